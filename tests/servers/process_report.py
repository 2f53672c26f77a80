"""A stdio MCP server that tells what it was started with: environment, descriptors, session. Standard library only.

Usage: ``process_report.py [MODE ...]``. Modes: ``stubborn`` ignores the end of stdin and SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def report() -> dict[str, Any]:
    fds = []
    for fd in range(1024):
        try:
            os.fstat(fd)
        except OSError:
            continue  # not open
        fds.append(fd)
    return {
        "env": dict(os.environ),
        "fds": fds,
        "pid": os.getpid(),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "ignored": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
        "blocking": [os.get_blocking(fd) for fd in (0, 1, 2)],
        "cwd": str(Path.cwd()),
        "argv": sys.argv[1:],
    }


STARTED_WITH = report()


def answer(message: dict[str, Any]) -> dict[str, Any]:
    match message["method"]:
        case "initialize":
            return {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "report", "version": "1"},
            }
        case "tools/list":
            return {"tools": [{"name": "report", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            return {"content": [{"type": "text", "text": json.dumps(STARTED_WITH)}]}
        case _:
            return {}


def main() -> None:
    stubborn = "stubborn" in sys.argv
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            sys.stdout.write(
                json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}) + "\n"
            )
            sys.stdout.flush()
    while stubborn:
        time.sleep(60)


if __name__ == "__main__":
    main()
