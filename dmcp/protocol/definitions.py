"""What the model reads of dmcp before it has asked anything: its two tools. Pure.

It stands in the model's prompt, so nothing is in it that a server has written, nor how a server is at the moment: it
is the same, byte for byte, as long as the configuration is. Coding tools cut what is longer than they like
(``docs/tools.md``), so dmcp shortens first, evenly and at the ends of words. Not here: what the tools are called with
and answer (``tools``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dmcp.protocol.limits import MAX_GROUP_NAME, MAX_OWN_DESCRIPTION
from dmcp.protocol.tools import CALL_TOOL, GET_TOOLS
from dmcp.text import ELLIPSIS, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.protocol.jsonrpc import JsonObject


_GET_INTRO: Final = (
    "Finds tools of the groups below (MCP servers behind dmcp). query: say in words what is wanted, and get the five "
    "tools that fit best, of all groups or one, as group/tool(parameter*: type = default); * is required, ~ "
    "simplified. names: get these tools' whole definitions (group/tool). A group alone: get all its tools. "
    f"Call this before {CALL_TOOL}."
)
_HOW_MUCH: Final[JsonObject] = {
    "query": {"type": "string", "description": "What the tool should do, in words"},
    "names": {"type": "array", "items": {"type": "string"}, "description": "Tools to show whole"},
    "detail": {"type": "string", "enum": ["full", "signatures", "names"]},
    "cursor": {"type": "string", "description": "Of the next page, as the page before gave it"},
}
_CALL_INTRO: Final = (
    f"Calls one tool of one group. Get the tool's name and input schema from {GET_TOOLS} first.\n\n"
    f'Example: {CALL_TOOL}(group="playwright", name="browser_navigate", args={{"url": "https://example.com"}})'
)
_LEAST: Final = 24  # characters of a description that still say something; below it there are names only
_MOST_ENUMERATED: Final = 250  # groups; providers limit the values of all enumerations together
_HINT: Final = 200  # characters
_LONG_RESULT: Final = 100_000  # characters of a listing that was asked for in full


class GroupLine(NamedTuple):
    """What the descriptions say of one group: what the configuration does, and nothing of its state."""

    name: str
    description: str


def own_tools(groups: Sequence[GroupLine]) -> list[JsonObject]:
    """Return the two tools as ``tools/list`` shows them: the same as long as the configuration is the same.

    Args:
        groups: every group whose tools are switched on, in the order of the configuration.
    """
    group: JsonObject = {"type": "string", "description": "The group's name"}
    if 0 < len(groups) <= _MOST_ENUMERATED:
        group["enum"] = [line.name for line in groups]
    name = {"type": "string", "description": "The tool's name within the group"}
    args = {"type": "object", "description": "The tool's arguments", "additionalProperties": True}
    hint = _cut(f"tools of MCP servers: {', '.join(printable(line.name) for line in groups)}", _HINT)
    # What a client's own keys mean is in docs/tools.md. To all others they mean nothing.
    meta: JsonObject = {"anthropic/alwaysLoad": True, "anthropic/searchHint": f"find {hint}"}
    room = MAX_OWN_DESCRIPTION - _length(_GET_INTRO) - 2
    return [
        {
            "name": GET_TOOLS,
            "description": f"{_GET_INTRO}\n\n{_listed(groups, room)}",
            "inputSchema": _schema({"group": group, **_HOW_MUCH}, []),
            "annotations": {"readOnlyHint": True, "openWorldHint": False},
            "_meta": {**meta, "anthropic/maxResultSizeChars": _LONG_RESULT},
        },
        {
            "name": CALL_TOOL,
            "description": _CALL_INTRO,
            "inputSchema": _schema({"group": group, "name": name, "args": args}, ["group", "name"]),
            "_meta": {**meta, "anthropic/searchHint": f"call {hint}"},
        },
    ]


def _schema(properties: JsonObject, required: list[str]) -> JsonObject:
    return {"type": "object", "properties": properties, "required": required}


def _listed(groups: Sequence[GroupLine], room: int) -> str:
    """Return the groups with as much of their descriptions as there is room for, the same for each, or their names."""
    if not groups:
        return "No group is available."
    names = [printable(group.name, MAX_GROUP_NAME) for group in groups]
    texts = [" ".join(printable(group.description, room, lines=True).split()) for group in groups]
    whole = _lines("Available groups:", names, texts)
    if _length(whole) <= room:
        return whole
    head = f"Available groups ({len(groups)}, shortened; {GET_TOOLS} without arguments lists them in full):"
    best, least, most = "", _LEAST, room
    while least <= most:  # the longest that fits
        limit = (least + most) // 2
        lines = _lines(head, names, [_cut(text, limit) for text in texts])
        if _length(lines) <= room:
            best, least = lines, limit + 1
        else:
            most = limit - 1
    return best or _only_names(names, room)


def _lines(head: str, names: Sequence[str], texts: Sequence[str]) -> str:
    return "\n".join((head, *(f"- {name}: {text}" for name, text in zip(names, texts, strict=True))))


def _only_names(names: Sequence[str], room: int) -> str:
    told = f"Available groups ({len(names)}; {GET_TOOLS} without arguments describes them): "
    room -= _length(told) + len(f" and {len(names)} more")
    shown: list[str] = []
    for name in names:
        room -= _length(name) + 2
        if room < 0:
            break
        shown.append(name)
    left = len(names) - len(shown)
    return told + ", ".join(shown) + (f" and {left} more" if left else "")


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a line of text: ``limit`` characters at most, cut at the end of a word if it has one."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    words = head.rpartition(" ")[0].rstrip(" ,;:.-")
    return (words if len(words) > limit // 2 else head[:-1]) + ELLIPSIS


def _length(text: str) -> int:
    """Return the length in UTF-16 units, as clients written in JavaScript count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
