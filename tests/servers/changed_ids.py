"""A stdio server that gives ids and progress tokens back as texts, or with a fraction. No dependencies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults" / "servers"))

from stdio_peer import Peer, tool


class Changed(Peer):
    """One life of it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = {"text": str, "fraction": float}[form]
        self.tools = [tool("echo")]

    def take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            message["id"] = self._form(message["id"])
        token = ((message.get("params") or {}).get("_meta") or {}).get("progressToken")
        if token is not None:
            params = {"progressToken": self._form(token), "progress": 1}
            self.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        super().take(message)

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        self.say(identifier, json.dumps(arguments))


if __name__ == "__main__":
    Changed(*sys.argv[1:]).run()
