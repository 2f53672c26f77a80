"""A stdio MCP server with next to no work of its own, so that what is measured is the proxy in front of it.

Usage: ``upstream.py [--boot SECONDS] [--tools N] [--resources N] [--prompts N]``.

Tools: ``echo`` (text), ``sleep`` (ms), ``blob`` and ``rows`` (bytes); the rest of ``--tools`` is padding. It answers
``initialize`` in whatever revision it is asked for. Sleeps overlap. Only the standard library, because it is started
ten times in one measurement, or a hundred.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import sys
import time
from functools import cache

_CHUNK = 1 << 18
_Result = tuple[float, bytes]  # seconds to wait, and the result


def schema(**properties: str) -> dict[str, object]:
    """A JSON schema of an object with these properties."""
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}


def tools(count: int) -> bytes:
    """The result of ``tools/list``."""
    known = [
        {"name": "echo", "description": "Gives back the text", "inputSchema": schema(text="string")},
        {"name": "sleep", "description": "Waits", "inputSchema": schema(ms="number")},
        {"name": "blob", "description": "Gives this many bytes", "inputSchema": schema(bytes="integer")},
        {"name": "rows", "description": "Gives as many in objects", "inputSchema": schema(bytes="integer")},
    ]
    padding = [
        {
            "name": f"padding_{i}",
            "description": "Does nothing at all, at some length",
            "inputSchema": schema(a="string"),
        }
        for i in range(count - len(known))
    ]
    return json.dumps({"tools": known + padding}, separators=(",", ":")).encode()


def listings(options: dict[str, str]) -> dict[str, bytes]:
    """The results of the methods that list something, by method."""
    found = {"tools/list": tools(int(options.get("--tools", "4")))}
    for kind, key in (("resources", "uri"), ("prompts", "name")):
        count, own = int(options.get(f"--{kind}", "0")), os.getpid()
        names = [f"{kind}://{own}/{i}" for i in range(count)]
        entries = [{key: name, "name": name, "description": "One of many"} for name in names]
        if count:
            found[f"{kind}/list"] = json.dumps({kind: entries}).encode()
    return found


@cache
def blob(size: int) -> bytes:
    """A result with a text of ``size`` bytes."""
    return b'{"content":[{"type":"text","text":"' + b"x" * size + b'"}]}'


def rows(size: int) -> bytes:
    """A result of ``size`` bytes and hardly a text."""
    row = b'{"id":4711,"name":"a name","tags":["x","y"],"value":1.5},'
    return b'{"content":[],"structuredContent":{"rows":[' + row * (size // len(row) + 1) + b"{}]}}"


def call(name: str, arguments: dict[str, object]) -> _Result:
    """The result of ``tools/call``."""
    if name == "blob":
        return 0.0, blob(int(str(arguments["bytes"])))
    if name == "rows":
        return 0.0, rows(int(str(arguments["bytes"])))
    text = json.dumps(arguments.get("text", ""))
    wait = float(str(arguments["ms"])) / 1000 if name == "sleep" else 0.0
    return wait, b'{"content":[{"type":"text","text":' + text.encode() + b"}]}"


def answer(message: dict[str, object], listed: dict[str, bytes]) -> _Result:
    """The result of any request."""
    method, params = message["method"], message.get("params") or {}
    if not isinstance(params, dict):
        return 0.0, b"{}"
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    if method in listed:
        return 0.0, listed[str(method)]
    if method == "initialize":
        info = {"name": "bench-upstream", "version": "1"}
        told = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {method.partition("/")[0]: {} for method in listed},
            "serverInfo": info,
        }
        return 0.0, json.dumps(told).encode()
    return 0.0, b"{}"


def write(data: bytes) -> None:
    """Write all of it to stdout, past Python's buffers."""
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    """Serve until stdin ends."""
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    time.sleep(float(options.get("--boot", "0")))
    listed = listings(options)
    rest, later = b"", list[tuple[float, bytes]]()
    while True:
        patience = max(0.0, later[0][0] - time.monotonic()) if later else None
        if select.select([0], [], [], patience)[0]:
            chunk = os.read(0, _CHUNK)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            out = []
            for line in lines:
                message = json.loads(line)
                if "id" in message and "method" in message:
                    wait, result = answer(message, listed)
                    frame = b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (
                        json.dumps(message["id"]).encode(),
                        result,
                    )
                    if wait:
                        heapq.heappush(later, (time.monotonic() + wait, frame))
                    else:
                        out.append(frame)
            write(b"".join(out))
        while later and later[0][0] <= time.monotonic():
            write(heapq.heappop(later)[1])


if __name__ == "__main__":
    main()
