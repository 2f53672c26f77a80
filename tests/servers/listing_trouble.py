"""A stdio server whose listings are trouble; the first argument says which. No dependencies.

large: 30 tools.  long: one tool of 100 KB.  endless: pages of one tool without an end.  fails: an error, three times.
values: 200 tools with so many values each (the second argument), as lists in a list.  deep: as many levels.
shapeless: no list at all, twice.  later: good at first; after the tool "spoil", too large and told to have changed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults" / "servers"))

from stdio_peer import Peer, tool

TROUBLE = sys.argv[1]


class Listing(Peer):
    """One life of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tools = [tool("echo"), tool("spoil")]
        self.capabilities["prompts"] = {}
        self.asked = 0
        self.spoilt = TROUBLE in ("large", "long")

    def take(self, message: dict[str, Any]) -> None:
        """List prompts, which are no trouble."""
        if message.get("method") == "prompts/list":
            self.answer(message["id"], {"prompts": [{"name": "greet"}]})
        else:
            super().take(message)

    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        """Show the tools as the trouble has it."""
        self.asked += 1
        if TROUBLE == "endless":
            self.answer(identifier, {"tools": [tool(f"t{self.asked}")], "nextCursor": f"c{self.asked}"})
        elif TROUBLE == "fails" and self.asked <= 3:
            error = {"code": -32603, "message": "the database is locked"}
            self.send({"jsonrpc": "2.0", "id": identifier, "error": error})
        elif TROUBLE == "shapeless" and self.asked <= 2:
            self.answer(identifier, {"tools": "none"})
        elif TROUBLE in ("values", "deep"):
            many = int(sys.argv[2])
            schema = (
                '{"x":[' + "[]," * (many // 2) + "0]}"
                if TROUBLE == "values"
                else '{"a":' * many + "0" + "}" * many
            )
            tools = ",".join(f'{{"name":"t{n}","inputSchema":{schema}}}' for n in range(200))
            self.write(
                f'{{"jsonrpc":"2.0","id":{json.dumps(identifier)},"result":{{"tools":[{tools}]}}}}\n'.encode()
            )
        elif self.spoilt and TROUBLE == "long":
            self.answer(identifier, {"tools": [*self.tools, {**tool("long"), "description": "x" * 100_000}]})
        elif self.spoilt:
            self.answer(identifier, {"tools": [*self.tools, *(tool(f"t{n}") for n in range(30))]})
        else:
            super().list_tools(identifier, params)

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        """Run a tool."""
        self.say(identifier, name)
        if name == "spoil":
            self.spoilt = True
            self.send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})


if __name__ == "__main__":
    Listing().run()
