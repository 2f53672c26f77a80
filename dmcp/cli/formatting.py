"""How commands print: numbers for people, texts of others with everything escaped that a terminal would obey, JSON.

Plain output is escaped wherever it goes; what is not text is said, not dumped. ``--json`` is exact: on a terminal what
could be obeyed is spelled as JSON escapes, which mean the same; into a pipe or file it goes as it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.text import escaped_json, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    Block = Mapping[str, Any]

MAX_NAME: Final = 120
"""Characters of a name that are shown; --json has it whole."""

MAX_LINE: Final = 4000
"""Characters of a line, likewise."""

MAX_TEXT: Final = 20_000
"""Characters of a description, likewise."""

BYTES_PER_TOKEN: Final = 4
"""A rule of thumb for English and JSON; every model counts differently."""


def name(text: object) -> str:
    """Return what somebody has called a thing, fit to stand among others. A longer name is cut."""
    return printable(str(text), MAX_NAME)


def line(text: object, limit: int | None = MAX_LINE) -> str:
    """Return a text fit for one line: line feeds are escaped too."""
    return printable(str(text), limit)


def block(text: object, limit: int | None = None) -> str:
    """Return a text of several lines fit to be printed. Windows' line ends become plain ones."""
    return printable(str(text).replace("\r\n", "\n"), limit, lines=True)


def plain(text: object) -> str:
    """Return a text whole, fit for one line."""
    return line(text, None)


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    text = to_json(value, indent=2, inf_nan_mode="constants").decode()
    click.echo(escaped_json(text) if sys.stdout.isatty() else text)


def echo_error(text: object) -> None:
    """Print an error of a command, masked: "Error: ..." on standard error."""
    click.echo(f"Error: {block(log.mask(str(text)))}", err=True)


def size(definitions: Any) -> int:
    """Return bytes of tool definitions as compact JSON, which is about what an assistant puts before its model."""
    return len(to_json(definitions))


def tokens(number_of_bytes: int) -> int:
    """Return about how many tokens these bytes are."""
    return round(number_of_bytes / BYTES_PER_TOKEN)


def count(number: int, thing: str) -> str:
    """Return a number with its noun: "1 tool", "12 tools"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


_OVERVIEW: Final = 200  # characters of a description in an overview


def tool_result(result: Block) -> str:
    """Return the result of a tool: its content, or its structured content when it has no other."""
    content = result.get("content")
    if isinstance(content, list) and content:
        return "\n".join(content_block(item) for item in content)
    structured = result.get("structuredContent")
    return "(no content)" if structured is None else block(to_json(structured, indent=2).decode())


def content_block(item: Any) -> str:
    """Return one content block (MCP 2025-11-25, ContentBlock)."""
    if not isinstance(item, dict):
        return line(f"[not a content block: {item!r}]")
    match item.get("type"):
        case "text":
            return block(item.get("text", ""))
        case "image" | "audio" as kind:
            return line(
                f"[{kind}, {item.get('mimeType', 'unknown type')}, {_decoded_size(item.get('data'))}]"
            )
        case "resource_link":
            return line(f"[resource {item.get('uri')}: {item.get('title') or item.get('name', '')}]")
        case "resource":
            return resource(item.get("resource") or {})
        case kind:
            return line(f"[content of an unknown type: {kind}]")


def resource(contents: Any) -> str:
    """Return one resource's contents."""
    if not isinstance(contents, dict):
        return line(f"[not the contents of a resource: {contents!r}]")
    if "text" in contents:
        return block(contents["text"])
    kind = contents.get("mimeType", "unknown type")
    return line(f"[binary, {kind}, {_decoded_size(contents.get('blob'))}: {contents.get('uri')}]")


def messages(items: Any) -> str:
    """Return a prompt's messages, each under the role that says it."""
    return "\n\n".join(
        f"{line(item.get('role'))}:\n{content_block(item.get('content'))}"
        if isinstance(item, dict)
        else line(f"[not a message: {item!r}]")
        for item in (items if isinstance(items, list) else [items])
    )


def resources(items: Any) -> str:
    """Return the contents of all resources that one read has given."""
    return "\n".join(map(resource, items if isinstance(items, list) else [items]))


def parameters(schema: Any) -> list[str]:
    """Return the arguments of a tool, a line each: name, type, whether it may be left out, what it is."""
    schema = schema if isinstance(schema, dict) else {}
    required, properties = schema.get("required"), schema.get("properties")
    required = required if isinstance(required, list) else []
    lines = []
    for name, part in (properties if isinstance(properties, dict) else {}).items():
        shape = part if isinstance(part, dict) else {}
        kind = _kind(shape)
        optional = "" if name in required else ", optional"
        about = shape.get("description") or ""
        shown = f"{name} ({kind}{optional})" + (f": {about}" if about else "")
        lines.append(block(shown, MAX_LINE))
    return lines


def first_sentence(text: Any) -> str:
    """Return enough of a description for an overview."""
    first = str(text).strip().partition("\n")[0]
    return line(first.split(". ")[0].strip().rstrip("."), _OVERVIEW)


def _kind(shape: Block) -> str:
    if isinstance(shape.get("enum"), list):
        return " | ".join(to_json(value).decode() for value in shape["enum"])
    kind = shape.get("type", "any")
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _decoded_size(encoded: object) -> str:
    """Return how many bytes a base64 text stands for, without decoding it."""
    if not isinstance(encoded, str):
        return "no data"
    return f"{len(encoded) * 3 // 4 - encoded[-2:].count('='):,} bytes"
