"""An MCP server whose every word carries what may move a cursor, hide or reorder text: names, errors, stderr, results.

It needs no library. Arguments: ``fail`` makes it refuse ``initialize``; ``lists`` makes it refuse its listings.
"""

from __future__ import annotations

import json
import sys
from typing import Any

NASTY = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e\u200b\u2066\U000e0041\ufeff\r"
"""ESC, OSC, BEL, C1, a bidi override, zero width, an isolate, a tag character, BOM, carriage return."""


def nasty(text: str) -> str:
    """The text with everything in its middle."""
    middle = len(text) // 2
    return text[:middle] + NASTY + text[middle:]


SCHEMA = {
    "type": "object",
    "properties": {
        nasty("argument"): {"type": "string", "description": nasty("about it")},
        "e": {"enum": [NASTY]},
    },
}
TEXT = {"type": "text", "text": nasty("content of the result") + "\nsecond line\twith a tab"}
LISTINGS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "tools/list": (
        "tools",
        [
            {
                "name": nasty("tool"),
                "title": nasty("T"),
                "description": nasty("a tool. More"),
                "inputSchema": SCHEMA,
            },
            {"name": "plain", "description": "a tool without tricks", "inputSchema": {"type": "object"}},
        ],
    ),
    "resources/list": (
        "resources",
        [{"uri": "x://plain", "name": nasty("resource"), "description": nasty("a resource")}],
    ),
    "resources/templates/list": (
        "resourceTemplates",
        [{"uriTemplate": "y://{part}", "name": nasty("template"), "description": nasty("a template")}],
    ),
    "prompts/list": (
        "prompts",
        [{"name": "plain", "title": nasty("P"), "description": nasty("a prompt")}],
    ),
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result or error of a request."""
    if method == "initialize" and "fail" not in sys.argv:
        info = {"name": nasty("name"), "title": nasty("title"), "version": nasty("1")}
        capabilities = {"tools": {}, "resources": {}, "prompts": {}}
        version = params["protocolVersion"]
        return {
            "result": {
                "protocolVersion": version,
                "capabilities": capabilities,
                "serverInfo": info,
                "instructions": nasty("how to use it"),
            }
        }
    if method in LISTINGS and "lists" not in sys.argv:
        key, entries = LISTINGS[method]
        return {"result": {key: entries}}
    if method == "tools/call" and params.get("name") == "plain":
        return {
            "result": {
                "content": [TEXT, {"type": nasty("odd")}, {"type": "image", "mimeType": NASTY, "data": "aa"}]
            }
        }
    if method == "resources/read" and params.get("uri") == "x://plain":
        return {"result": {"contents": [{"uri": "x://plain", "text": TEXT["text"]}]}}
    if method == "prompts/get":
        return {"result": {"messages": [{"role": nasty("user"), "content": TEXT}]}}
    return {"error": {"code": -32000, "message": nasty("it went wrong")}}


for line in sys.stdin:
    sys.stderr.write(f"{nasty('remark on stderr')}\n")
    sys.stderr.flush()
    request = json.loads(line)
    if "id" in request and "method" in request:
        reply = answer(request["method"], request.get("params") or {})
        sys.stdout.write(f"{nasty('noise on stdout')}\n")
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}) + "\n")
        sys.stdout.flush()
