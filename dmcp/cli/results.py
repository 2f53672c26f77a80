"""What servers return, as text for a person. Text is given as it is; what is not text is said, not dumped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Block = Mapping[str, Any]


def tool_result(result: Block) -> str:
    """The result of a tool: its content, or its structured content when it has no other."""
    content = result.get("content")
    if isinstance(content, list) and content:
        return "\n".join(block(item) for item in content)
    structured = result.get("structuredContent")
    return "(no content)" if structured is None else to_json(structured, indent=2).decode()


def block(item: Any) -> str:
    """One content block (MCP 2025-11-25, ContentBlock)."""
    if not isinstance(item, dict):
        return f"[not a content block: {item!r}]"
    match item.get("type"):
        case "text":
            return str(item.get("text", ""))
        case "image" | "audio" as kind:
            return f"[{kind}, {item.get('mimeType', 'unknown type')}, {_decoded_size(item.get('data'))}]"
        case "resource_link":
            return f"[resource {item.get('uri')}: {item.get('title') or item.get('name', '')}]"
        case "resource":
            return resource(item.get("resource") or {})
        case kind:
            return f"[content of an unknown type: {kind}]"


def resource(contents: Block) -> str:
    """One resource's contents."""
    if "text" in contents:
        return str(contents["text"])
    kind = contents.get("mimeType", "unknown type")
    return f"[binary, {kind}, {_decoded_size(contents.get('blob'))}: {contents.get('uri')}]"


def messages(items: Iterable[Block]) -> str:
    """A prompt's messages, each under the role that says it."""
    return "\n\n".join(f"{item.get('role')}:\n{block(item.get('content'))}" for item in items)


def parameters(schema: Block) -> list[str]:
    """The arguments of a tool, a line each: name, type, whether it may be left out, what it is."""
    required = schema.get("required") or ()
    lines = []
    for name, part in (schema.get("properties") or {}).items():
        shape = part if isinstance(part, dict) else {}
        kind = _kind(shape)
        optional = "" if name in required else ", optional"
        about = shape.get("description") or ""
        lines.append(f"{name} ({kind}{optional})" + (f": {about}" if about else ""))
    return lines


def first_sentence(text: str) -> str:
    """Enough of a description for an overview."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line.split(". ")[0].rstrip(".")


def _kind(shape: Block) -> str:
    if isinstance(shape.get("enum"), list):
        return " | ".join(to_json(value).decode() for value in shape["enum"])
    kind = shape.get("type", "any")
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _decoded_size(encoded: object) -> str:
    """How many bytes a base64 text stands for, without decoding it."""
    if not isinstance(encoded, str):
        return "no data"
    return f"{len(encoded) * 3 // 4 - encoded[-2:].count('='):,} bytes"
