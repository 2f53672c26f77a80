"""A stdio MCP server that does one thing wrong on the way to being ready. Usage: ``rogue_start.py MISDEED``."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from stdio_peer import Peer, tool

if TYPE_CHECKING:
    from collections.abc import Callable


class Newcomer(Peer):
    """Honest until told otherwise; ``echo`` is its one tool."""

    def __init__(self) -> None:
        super().__init__()
        self.tools = [tool("echo")]

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        self.say(identifier, name)


class Mute(Newcomer):
    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        """Say nothing."""


class Refusing(Newcomer):
    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": identifier, "error": {"code": -32602, "message": "not you"}})


class OfAnotherTime(Newcomer):
    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        super().initialize(identifier, {**params, "protocolVersion": "1999-12-31"})


class Shapeless(Newcomer):
    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        self.answer(identifier, ["not", "an", "object"])


class Chatty(Newcomer):
    def run(self) -> None:
        self.write(b"Welcome to the server!\n\n{ not json }\n\xff\xff\n")
        super().run()


class Looping(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        self.answer(identifier, {"tools": self.tools, "nextCursor": "again"})


class Endless(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        page = int(params.get("cursor", "0"))
        self.answer(identifier, {"tools": [tool(f"t{page}")], "nextCursor": str(page + 1)})


class Paging(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        page = int(params.get("cursor") or "0")
        more = {"nextCursor": str(page + 1)} if page < 4 else {}
        self.answer(identifier, {"tools": [tool(f"t{page}")], **more})


class Nameless(Newcomer):
    def __init__(self) -> None:
        super().__init__()
        self.tools += [
            {"inputSchema": {}},
            {"name": 7},
            {"name": ""},
            None,
            "a string",
            tool("echo"),
            tool("last"),
        ]


class Listless(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        self.answer(identifier, {"tools": "none"})


class UnableToList(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": identifier, "error": {"code": -32603, "message": "cannot list"}})


class NeverListing(Newcomer):
    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        """Say nothing."""


class Quitter(Newcomer):
    """Ends at once, without a word."""

    status = 0

    def run(self) -> None:
        self.note(f"start {os.getpid()}")
        sys.exit(self.status)


class Crasher(Quitter):
    """Ends at once, and says why."""

    status = 7

    def run(self) -> None:
        sys.stderr.write("cannot find the token hunter2-very-secret\n")
        sys.stderr.flush()
        super().run()


class Deaf(Newcomer):
    """Reads nothing and never ends of its own accord."""

    def run(self) -> None:
        self.note(f"start {os.getpid()}")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()


MISDEEDS: dict[str, Callable[[], Newcomer]] = {
    "none": Newcomer,
    "mute": Mute,
    "refusing": Refusing,
    "of-another-time": OfAnotherTime,
    "shapeless": Shapeless,
    "chatty": Chatty,
    "looping": Looping,
    "endless": Endless,
    "paging": Paging,
    "nameless": Nameless,
    "listless": Listless,
    "unable-to-list": UnableToList,
    "never-listing": NeverListing,
    "quitter": Quitter,
    "crasher": Crasher,
    "deaf": Deaf,
}

if __name__ == "__main__":
    MISDEEDS[sys.argv[1]]().run()
