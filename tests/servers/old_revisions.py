"""A stdio server that refuses every revision but one in an error, instead of negotiating. No dependencies.

Usage: ``old_revisions.py REVISION HOW``; what ``HOW`` may be is in ``REFUSALS``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults" / "servers"))

from stdio_peer import Peer, tool

REFUSALS: dict[str, dict[str, Any]] = {
    "data": {"code": -32602, "message": "Unsupported protocol version", "data": {"supported": ["REVISION"]}},
    "code": {
        "code": -32022,
        "message": "no",
        "data": {"supported": ["2031-01-01", "REVISION"], "requested": "x"},
    },
    "text": {"code": -32603, "message": "Only these: 2001-01-01, REVISION."},
    "protocol": {"code": -32000, "message": "Incompatible protocol"},
    "unnamed": {"code": -32600, "message": "Protocol VERSION mismatch"},
    "other": {"code": -32001, "message": "invalid API key"},
}


class Old(Peer):
    """One life of it."""

    def __init__(self, revision: str, how: str) -> None:
        super().__init__()
        self.tools = [tool("echo")]
        self._revision = revision
        refusal = REFUSALS[how]
        data = refusal.get("data") and {
            **refusal["data"],
            "supported": [each.replace("REVISION", revision) for each in refusal["data"]["supported"]],
        }
        self._refusal = {**refusal, "message": refusal["message"].replace("REVISION", revision)}
        if data:
            self._refusal["data"] = data

    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        self.note(f"initialize {params['protocolVersion']}")
        if params["protocolVersion"] == self._revision:
            super().initialize(identifier, params)
        else:
            self.send({"jsonrpc": "2.0", "id": identifier, "error": self._refusal})

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        self.say(identifier, "echo")


if __name__ == "__main__":
    Old(*sys.argv[1:]).run()
