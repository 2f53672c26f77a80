"""What servers return, as text for a user: escaped (``formatting``); what is not text is said, not dumped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from dmcp.cli import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping

    Block = Mapping[str, Any]


_OVERVIEW: Final = 200  # characters of a description in an overview


def tool_result(result: Block) -> str:
    """Return the result of a tool: its content, or its structured content when it has no other."""
    content = result.get("content")
    if isinstance(content, list) and content:
        return "\n".join(block(item) for item in content)
    structured = result.get("structuredContent")
    return "(no content)" if structured is None else formatting.block(to_json(structured, indent=2).decode())


def block(item: Any) -> str:
    """Return one content block (MCP 2025-11-25, ContentBlock)."""
    if not isinstance(item, dict):
        return formatting.line(f"[not a content block: {item!r}]")
    match item.get("type"):
        case "text":
            return formatting.block(item.get("text", ""))
        case "image" | "audio" as kind:
            return formatting.line(
                f"[{kind}, {item.get('mimeType', 'unknown type')}, {_decoded_size(item.get('data'))}]"
            )
        case "resource_link":
            return formatting.line(
                f"[resource {item.get('uri')}: {item.get('title') or item.get('name', '')}]"
            )
        case "resource":
            return resource(item.get("resource") or {})
        case kind:
            return formatting.line(f"[content of an unknown type: {kind}]")


def resource(contents: Any) -> str:
    """Return one resource's contents."""
    if not isinstance(contents, dict):
        return formatting.line(f"[not the contents of a resource: {contents!r}]")
    if "text" in contents:
        return formatting.block(contents["text"])
    kind = contents.get("mimeType", "unknown type")
    return formatting.line(f"[binary, {kind}, {_decoded_size(contents.get('blob'))}: {contents.get('uri')}]")


def messages(items: Any) -> str:
    """Return a prompt's messages, each under the role that says it."""
    return "\n\n".join(
        f"{formatting.line(item.get('role'))}:\n{block(item.get('content'))}"
        if isinstance(item, dict)
        else formatting.line(f"[not a message: {item!r}]")
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
        lines.append(formatting.block(shown, formatting.MAX_LINE))
    return lines


def first_sentence(text: Any) -> str:
    """Return enough of a description for an overview."""
    line = str(text).strip().partition("\n")[0]
    return formatting.line(line.split(". ")[0].strip().rstrip("."), _OVERVIEW)


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
