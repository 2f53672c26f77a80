"""The resources, prompts and completions of the well-behaved core. All of it is fixed text."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from dmcp.fault.trouble import Trouble
from dmcp.protocol.jsonrpc import INVALID_PARAMS, RESOURCE_NOT_FOUND

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

RESOURCES: Final[list[JsonObject]] = [
    {"uri": "fault://text", "name": "text", "description": "Some text", "mimeType": "text/plain"},
    {
        "uri": "fault://bytes",
        "name": "bytes",
        "description": "256 bytes",
        "mimeType": "application/octet-stream",
    },
    {
        "uri": "fault://counter",
        "name": "counter",
        "description": "How often counter ran",
        "mimeType": "text/plain",
    },
    *(
        {"uri": f"fault://item/{number}", "name": f"item {number}", "mimeType": "text/plain"}
        for number in range(1, 6)
    ),
]
TEMPLATES: Final[list[JsonObject]] = [
    {
        "uriTemplate": "fault://item/{number}",
        "name": "item",
        "description": "Any item",
        "mimeType": "text/plain",
    },
]
PROMPTS: Final[list[JsonObject]] = [
    {"name": "plain", "description": "Without arguments"},
    {
        "name": "greet",
        "description": "A greeting",
        "arguments": [{"name": "name", "description": "Whom to greet", "required": True}],
    },
]
COMPLETIONS: Final = {"greet": ("Ada", "Alan", "Grace"), "fault://item/{number}": ("1", "10", "2")}


def contents(uri: str, runs: int) -> JsonObject:
    """What is in a resource.

    Args:
        uri: the resource.
        runs: what ``fault://counter`` says.

    Raises:
        Trouble: there is no such resource.
    """
    if uri == "fault://bytes":
        return {
            "uri": uri,
            "mimeType": "application/octet-stream",
            "blob": b64encode(bytes(range(256))).decode(),
        }
    if uri == "fault://text":
        text = "Příliš žluťoučký kůň 🐎"
    elif uri == "fault://counter":
        text = str(runs)
    elif (number := uri.removeprefix("fault://item/")).isdecimal():
        text = f"item {number}"
    else:
        raise Trouble(RESOURCE_NOT_FOUND, f"there is no resource {uri!r}", {"uri": uri})
    return {"uri": uri, "mimeType": "text/plain", "text": text}


def prompt(name: str, arguments: JsonObject) -> JsonObject:
    """The messages of a prompt.

    Raises:
        Trouble: there is no such prompt, or an argument is missing.
    """
    if name == "plain":
        text = "Say something."
    elif name == "greet":
        if not isinstance(arguments.get("name"), str):
            raise Trouble(INVALID_PARAMS, "prompt 'greet' needs the argument name, a string")
        text = f"Greet {arguments['name']}."
    else:
        raise Trouble(INVALID_PARAMS, f"there is no prompt {name!r}")
    return {"description": name, "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}
