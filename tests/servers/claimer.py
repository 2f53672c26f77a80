"""A stdio server whose listings, results and notifications are given as JSON: it claims whatever a test wants.

Usage: python claimer.py FILE. The file is one JSON object, all members optional:

* ``tools``, ``resources``, ``templates``, ``prompts``: entries of the listings; the ``result`` of a tool is what a call
  of it gets;
* ``many``: ``{"kind": count}``: so many further entries, numbered;
* ``notes``: notifications sent after each call of the tool ``announce``;
* ``fail``: kinds whose listing is answered with an error;
* ``cut``: kinds whose listing has a second page that is answered with an error.

What is read, got, completed or subscribed to is answered with this server's name: the ``name`` member.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SAYS = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
NAME = SAYS.get("name", "claimer")
MEMBERS = {
    "tools/list": ("tools", "tools", "name"),
    "resources/list": ("resources", "resources", "uri"),
    "resources/templates/list": ("templates", "resourceTemplates", "uriTemplate"),
    "prompts/list": ("prompts", "prompts", "name"),
}
SCHEMA = {"type": "object"}


def entries(kind: str, key: str) -> list[dict[str, Any]]:
    """The entries of one listing."""
    more = {"tools": {"inputSchema": SCHEMA}, "prompts": {}}.get(kind, {"name": "n"})
    given = [{k: v for k, v in entry.items() if k != "result"} for entry in SAYS.get(kind, [])]
    prefix = SAYS.get("prefix", "many:")
    numbered = [{key: f"{prefix}{number}"} for number in range(SAYS.get("many", {}).get(kind, 0))]
    return [{**more, **entry} for entry in (*given, *numbered)]


def say(message: dict[str, Any]) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - one for each method
    """The result of a request."""
    if method in MEMBERS:
        kind, member, key = MEMBERS[method]
        more = {"nextCursor": "cut"} if kind in SAYS.get("cut", []) else {}
        return {member: entries(kind, key), **more}
    match method:
        case "initialize":
            capabilities = {"tools": {}, "resources": {"subscribe": True}, "prompts": {}, "completions": {}}
            info = {"name": NAME, "version": "1"}
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": capabilities,
                "serverInfo": info,
            }
        case "tools/call":
            found = [tool for tool in SAYS.get("tools", []) if tool["name"] == params["name"]]
            return found[0].get("result", {"content": []}) if found else {"content": []}
        case "resources/read":
            return {"contents": [{"uri": params["uri"], "text": f"{NAME}: {params['uri']}"}]}
        case "prompts/get":
            content = {"type": "text", "text": f"{NAME}: {params['name']}"}
            return {"messages": [{"role": "user", "content": content}]}
        case "completion/complete":
            return {"completion": {"values": [NAME]}}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    method, params = message["method"], message.get("params") or {}
    kind = MEMBERS.get(method, ("",))[0]
    if kind and (kind in SAYS.get("fail", []) or params.get("cursor")):
        say({"id": message["id"], "error": {"code": -32603, "message": "cannot list now"}})
        continue
    say({"id": message["id"], "result": answer(method, params)})
    if method == "tools/call" and params["name"] == "announce":
        for note in SAYS.get("notes", []):
            say(note)
