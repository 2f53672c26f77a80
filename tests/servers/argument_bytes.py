"""A stdio server that says how many bytes the arguments of a call have, without reading them. No dependencies."""

from __future__ import annotations

import json
import re
import sys

_CALL = re.compile(rb'"id":(\d+),"method":"tools/call","params":\{"name":"count","arguments":')


def main() -> None:
    """Serve until stdin ends."""
    out = sys.stdout.buffer
    while line := sys.stdin.buffer.readline():
        call = _CALL.search(line[:200])
        if call is not None:
            text = str(len(line.rstrip(b"\n")) - call.end() - len(b"}}"))
            identifier, result = int(call[1]), {"content": [{"type": "text", "text": text}]}
        else:
            message = json.loads(line)
            if "id" not in message:
                continue
            identifier = message["id"]
            tools = [{"name": "count", "inputSchema": {"type": "object"}}]
            result = {"tools": tools} if message["method"] == "tools/list" else welcome(message)
        answer = {"jsonrpc": "2.0", "id": identifier, "result": result}
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def welcome(message: dict[str, dict[str, str]]) -> dict[str, object]:
    """The result of ``initialize``."""
    info = {"name": "bytes", "version": "1"}
    version = message.get("params", {}).get("protocolVersion")
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}


if __name__ == "__main__":
    main()
