"""A stdio MCP server that is odd on the way to being ready, or around its messages. Usage: ``odd_start.py MODE``.

Standard library only. Its tool ``echo`` answers with its own name.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODE = sys.argv[1]
BEFORE = {
    "bom": b"\xef\xbb\xbf",
    "title": b"\x1b]0;My server\x07",
    "colour": b"\x1b[32m",
    "progress": b"\r\x1b[2K",
    "zero": b"\x00",
}
DECLARED: dict[str, Any] = {"declares-true": {"tools": True}, "declares-nothing": {}, "declares-null": None}
AFTER = {"colour": b"\x1b[0m", "title": b"\x1b]0;\x07"}


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def say(identifier: Any, result: Any) -> None:
    message = json.dumps({"jsonrpc": "2.0", "id": identifier, "result": result}).encode()
    if MODE == "json-log":
        for number in range(6):  # among them is the number of the request that is open
            for log in (
                {"id": number, "level": "info", "msg": "answering"},
                {"jsonrpc": "2.0", "id": number, "level": "info", "msg": "answering"},
                {"id": number, "level": "error", "error": "a text"},
                {"id": str(number), "error": None},
            ):
                write(json.dumps(log).encode() + b"\n")
    write(BEFORE.get(MODE, b"") + message + AFTER.get(MODE, b"") + b"\n")


def work(seconds: float) -> None:
    """Use the processor, as a package manager that unpacks does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(10_000))


def start() -> None:
    """Be slow, each mode in its own way, before anything is read."""
    marker = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if marker is not None:  # says how often it was started
        with marker.open("a") as file:
            file.write("started\n")
    match MODE:
        case "banner":
            write(b"Starting server on \x1b[1mhttp://localhost\x1b[0m\n[INFO] listening\n{not: json}\n")
            time.sleep(600)
        case "slow-cpu":
            work(6)
        case "slow-stderr":
            for percent in range(30):
                sys.stderr.write(f"downloading {percent}\n")
                sys.stderr.flush()
                time.sleep(0.2)
        case "slow-child":
            subprocess.run(
                [
                    sys.executable,
                    "-S",
                    "-c",
                    "import time\ne=time.time()+6\nwhile time.time()<e: sum(range(9999))",
                ],
                check=True,
            )
        case "idle":
            time.sleep(600)


def main() -> None:
    start()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        match asked.get("method"):
            case "initialize":
                about = {"name": "odd", "version": "1"}
                version = asked["params"]["protocolVersion"]
                declared = DECLARED.get(MODE, {} if MODE == "has-nothing" else {"tools": {}})
                said = {"protocolVersion": version, "capabilities": declared, "serverInfo": about}
                say(asked["id"], said)
            case "tools/list" if MODE == "has-nothing":
                error = {"code": -32601, "message": "Method not found"}
                write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}).encode() + b"\n")
            case "tools/list":
                say(asked["id"], {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
            case "tools/call":
                say(asked["id"], {"content": [{"type": "text", "text": MODE}]})
            case _ if "id" in asked:
                say(asked["id"], {})


if __name__ == "__main__":
    main()
