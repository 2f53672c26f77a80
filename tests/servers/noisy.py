"""An MCP server in plain Python that makes noise when told to: stray lines on stdout, lines on stderr, odd answers.

Tool ``noise`` with ``{"stdout": n, "stderr": n, "answers": n, "size": characters}`` writes them and then answers.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def say(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")


def make_noise(stdout: int = 0, stderr: int = 0, answers: int = 0, size: int = 40) -> None:
    """Write what nobody asked for."""
    for number in range(stdout):
        sys.stdout.write(f"stray {number} ".ljust(size, "x") + "\n")
    for number in range(stderr):
        sys.stderr.write(f"remark {number} ".ljust(size, "x") + "\n")
    for number in range(answers):
        say({"id": 1_000_000 + number, "result": {}})
    sys.stderr.flush()


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request."""
    if method == "initialize":
        info = {"name": "noisy", "version": "1"}
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": info,
        }
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("noise", "echo")]}
    if method == "tools/call" and params["name"] == "noise":
        make_noise(**params.get("arguments", {}))
    return {"content": [{"type": "text", "text": "done"}]} if method == "tools/call" else {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request and "method" in request:
        say({"id": request["id"], "result": result_of(request["method"], request.get("params") or {})})
        sys.stdout.flush()
