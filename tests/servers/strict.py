"""A stdio server that takes only what its schemas say, and answers with the arguments it has got, as JSON.

Usage: python strict.py FILE, a JSON object ``{name: inputSchema}``. What does not fit is a result with ``isError``, of
a tool whose name begins with "rpc" an error -32602. It says no more than that: nobody learns from it what is wrong.
With a second word "fail" every call fails. The tool "raw" is answered with the line that called it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
FAILS = sys.argv[2:] == ["fail"]


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is as its schema wants it."""
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request.

    Raises:
        ValueError: the arguments of a tool that answers with errors do not fit.
    """
    if method == "initialize":
        info = {"name": "strict", "version": "1"}
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": info,
        }
    if method == "tools/list":
        return {
            "tools": [{"name": name, "description": name, "inputSchema": s} for name, s in SCHEMAS.items()]
        }
    name, given = params["name"], params.get("arguments", {})
    if FAILS or name not in SCHEMAS or not fits(given, SCHEMAS[name]):
        if name.startswith("rpc"):
            raise ValueError("Invalid arguments")
        return {"content": [{"type": "text", "text": "Invalid arguments"}], "isError": True}
    return {"content": [{"type": "text", "text": json.dumps(given)}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    try:
        reply = {"result": answer(message["method"], message.get("params") or {})}
        if (message.get("params") or {}).get("name") == "raw":
            reply = {"result": {"content": [{"type": "text", "text": line}]}}
    except ValueError as wrong:
        reply = {"error": {"code": -32602, "message": str(wrong), "data": {"k": 1.50}}}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **reply}) + "\n")
    sys.stdout.flush()
