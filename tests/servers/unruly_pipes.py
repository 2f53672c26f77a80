"""A stdio MCP server that misuses its pipes. Standard library only. Usage: ``unruly_pipes.py MODE``.

It answers ``initialize`` and ``tools/list``; the first call of its tool starts what MODE says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, NoReturn

MODE = sys.argv[1]


def write(data: bytes, fd: int = 1) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def message(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


def result(asked: dict[str, Any], text: str) -> bytes:
    return message(id=asked["id"], result={"content": [{"type": "text", "text": text}]})


def wait() -> NoReturn:
    while True:
        time.sleep(60)


def for_ever(data: bytes, fd: int = 1) -> NoReturn:
    while True:
        write(data, fd)


def misbehave(asked: dict[str, Any]) -> None:  # noqa: C901, PLR0912 - one case for each mode
    match MODE:
        case "endless":
            for_ever(b"x" * 65536)
        case "bytes":
            for byte in result(asked, "a byte at a time"):
                write(bytes([byte]))
        case "nul":
            write(
                b"\x00\x00\n"
                + b"\x00" * 100_000
                + b"\n"
                + b'{"\x00": 1}\n'
                + result(asked, "after the zeros")
            )
        case "blank":
            write(b"\n" * 5_000_000 + result(asked, "after the blank lines"))
        case "noise":
            write(b"x\n" * 300_000 + result(asked, "after the noise"))
        case "flat-out":
            for_ever(message(method="notifications/message", params={"level": "info", "data": "x"}) * 500)
        case "stderr":
            for _ in range(500):
                write(b"e" * 65536 + b"\n", 2)
            write(b"\n" * 1_000_000, 2)
            write(b"e" * 1_000_000, 2)  # without an end
            write(result(asked, "after the diagnostics"))
        case "close-stdout":
            os.close(1)
            wait()
        case "close-stdin":
            os.close(0)
            wait()
        case "grandchild":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # it has all three pipes
            os._exit(3)
        case "deaf":
            wait()
        case _:
            raise SystemExit(f"no such mode: {MODE}")


def main() -> None:
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        match asked.get("method"):
            case "initialize":
                write(
                    message(
                        id=asked["id"],
                        result={
                            "protocolVersion": asked["params"]["protocolVersion"],
                            "capabilities": {"tools": {}, "logging": {}},
                            "serverInfo": {"name": "unruly", "version": "1"},
                        },
                    )
                )
            case "tools/list":
                tool = {"name": "go", "inputSchema": {"type": "object"}}
                write(message(id=asked["id"], result={"tools": [tool]}))
            case "tools/call":
                misbehave(asked)
            case _ if "id" in asked:
                write(message(id=asked["id"], result={}))


if __name__ == "__main__":
    main()
