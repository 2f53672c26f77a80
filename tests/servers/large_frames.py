"""A stdio server whose messages are as large and as odd as a test asks for. No dependencies.

Its one tool, ``send``, sends a message whose body is made by ``body`` and stands where ``PLACES`` says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults" / "servers"))

from stdio_peer import Peer, tool

UNITS = {
    "objects": (b"[", b"{},", b"{}]"),
    "numbers": (b"[", b"1,", b"1]"),
    "floats": (b"[", b"-1.25e10,", b"1]"),
    "literals": (b"[", b"null,true,", b"1]"),
    "text": (b'"', b"a", b'"'),
    "escapes": (b'"', b"\\n", b'"'),
    "unicode": (b'"', "é".encode(), b'"'),
    "surrogates": (b'"', b"\\ud800", b'"'),
    "pairs": (b"{", b'"a":1,', b'"b":2}'),
    "texts": (b"[", b'"a",', b'"b"]'),
    "lists": (b"[", b"[[[[[[1]]]]]],", b"1]"),
    "deep": (b"[", b"[" * 900 + b"]" * 900 + b",", b"1]"),
    "space": (b"[", b" ", b"]"),
    "digits": (b"", b"7", b""),
}
"""What a body of each shape begins with, repeats, and ends with."""

PLACES = {
    "result": b'{"jsonrpc":"2.0","id":%d,"result":{"x":%b}}',
    "result first": b'{"result":{"x":%b},"id":%d,"jsonrpc":"2.0"}',
    "no object": b'{"jsonrpc":"2.0","id":%d,"result":%b}',
    "error": b'{"jsonrpc":"2.0","id":%d,"error":{"code":-5,"message":"no","data":%b}}',
    "no message": b'{"jsonrpc":"2.0","id":%d,"error":{"code":-5,"data":%b}}',
    "message": b'{"jsonrpc":"2.0","id":%d,"error":{"code":-5,"message":%b,"data":1.0}}',
    "batch": b'[{"jsonrpc":"2.0","id":%d,"result":{}},%b]',
    "many": b'[{"jsonrpc":"2.0","id":%d,"result":{}},%b',
    "unfinished": b'{"jsonrpc":"2.0","id":%d,"result":{"x":%b]}',
    "no utf-8": b'{"jsonrpc":"2.0","id":%d,"result":{"x":%b,"y":"\xff"}}',
    "two values": b'{"jsonrpc":"2.0","id":%d,"result":{"x":%b}} {}',
    "request": b'{"jsonrpc":"2.0","id":"q%d","method":"sampling/createMessage","params":{"x":%b}}',
    "notification": b'{"jsonrpc":"2.0","method":"notifications/message%.0d","params":{"level":"info","data":%b}}',
    "odd": b'{"jsonrpc":"2.0","id%.0d":%b}',
    "version": b'{"jsonrpc":%b,"id":%d,"result":{}}',
    "method": b'{"jsonrpc":"2.0","method%.0d":%b}',
    "id": b'{"jsonrpc":"2.0","id%.0d":%b,"method":"roots/list"}',
}
ANSWERS = (
    "result",
    "result first",
    "no object",
    "error",
    "no message",
    "message",
    "batch",
    "many",
    "unfinished",
    "no utf-8",
    "two values",
)


def body(shape: str, size: int) -> bytes:
    """A JSON value of this shape and about as many bytes."""
    begin, unit, end = UNITS[shape]
    return begin + unit * (size // len(unit)) + end


def message(place: str, shape: str, size: int, identifier: int) -> bytes:
    """The whole message."""
    frame, text = PLACES[place], body(shape, size)
    text = text[1:] if place == "many" else text  # its items are the batch's
    values = (text, identifier) if place in ("result first", "version") else (identifier, text)
    return frame % values


class Large(Peer):
    """One life of it. Its listing has as many tools as the first argument says, each with a schema of ``[{},...]``."""

    def __init__(self, tools: int, schema: int) -> None:
        super().__init__()
        extra: Any = [{}] * schema
        more = [
            tool(f"t{number}") | {"inputSchema": {"type": "object", "x": extra}} for number in range(tools)
        ]
        self.tools = [tool("send"), tool("echo"), *more]

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        if name == "echo":
            self.say(identifier, f"{len(json.dumps(arguments))}")
            return
        place = arguments["place"]
        self.write(message(place, arguments["shape"], arguments["size"], identifier) + b"\n")
        if place not in ANSWERS:
            self.say(identifier, "sent")


if __name__ == "__main__":
    Large(*map(int, sys.argv[1:3] or ("0", "0"))).run()
