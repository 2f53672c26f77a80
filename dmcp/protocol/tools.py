"""The two tools the client sees, and the tool results dmcp writes itself."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.protocol.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dmcp.config.model import ToolSelection
    from dmcp.protocol.jsonrpc import JsonObject

GET_TOOLS: Final = "get_dynamic_tools"
CALL_TOOL: Final = "call_dynamic_tool"

_GET_INTRO = (
    "Shows the tools of one group (an MCP server behind dmcp) as a JSON array: names, descriptions and input schemas. "
    f"Call this before {CALL_TOOL}."
)
_CALL_INTRO = (
    f"Calls one tool of one group. Get the tool's name and input schema from {GET_TOOLS} first.\n\n"
    f'Example: {CALL_TOOL}(group="playwright", name="browser_navigate", args={{"url": "https://example.com"}})'
)


class GroupLine(NamedTuple):
    """What the descriptions say of one group. ``trouble`` is empty while it can be used."""

    name: str
    description: str
    trouble: str = ""
    available: bool = True


class ToolCall(NamedTuple):
    """A valid ``call_dynamic_tool``."""

    group: str
    name: str
    arguments: JsonObject


def definitions(groups: Sequence[GroupLine], problem: str = "") -> list[JsonObject]:
    """The two tools as ``tools/list`` shows them.

    Args:
        groups: every group whose tools are switched on, in the order of the configuration.
        problem: what is wrong with the configuration file, for the person to be told.
    """
    group = {"type": "string", "description": "The group's name"}
    if groups:
        group["enum"] = [line.name for line in groups]  # type: ignore[assignment]  # JSON values are of any type
    name = {"type": "string", "description": "The tool's name within the group"}
    args = {"type": "object", "description": "The tool's arguments", "additionalProperties": True}
    return [
        _tool(
            GET_TOOLS, f"{_GET_INTRO}\n\n{_lines(groups, problem)}", {"group": group}, ["group"], reads=True
        ),
        _tool(
            CALL_TOOL,
            _CALL_INTRO,
            {"group": group, "name": name, "args": args},
            ["group", "name"],
            reads=False,
        ),
    ]


def _tool(
    name: str, description: str, properties: JsonObject, required: list[str], *, reads: bool
) -> JsonObject:
    tool: JsonObject = {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties, "required": required},
    }
    if reads:
        tool["annotations"] = {"readOnlyHint": True, "openWorldHint": False}
    return tool


def _lines(groups: Sequence[GroupLine], problem: str) -> str:
    usable = [
        f"- {g.name}: {g.description}" + (f" ({g.trouble})" if g.trouble else "")
        for g in groups
        if g.available
    ]
    broken = [f"- {g.name}: {g.description} (unavailable: {g.trouble})" for g in groups if not g.available]
    parts = ["Available groups:\n" + "\n".join(usable) if usable else "No group is available."]
    if broken:
        parts.append("Unavailable groups:\n" + "\n".join(broken))
    if problem:
        parts.append(
            f"The configuration file was changed and is invalid, the previous one is in force: {problem}"
        )
    return "\n\n".join(parts)


def read_call(arguments: JsonObject) -> ToolCall | str:
    """Check the arguments of ``call_dynamic_tool``; a string says what is wrong with them."""
    group, name, args = arguments.get("group"), arguments.get("name"), arguments.get("args")
    if not isinstance(group, str):
        return f"{CALL_TOOL} needs the parameter 'group' (a string)."
    if not isinstance(name, str):
        return f"{CALL_TOOL} needs the parameter 'name' (a string): the tool's name within the group."
    if isinstance(args, str):  # many models write the object as a string
        args = _from_string(args)
    if args is None:
        args = {}
    if not isinstance(args, dict):
        return f"{CALL_TOOL} needs the parameter 'args' to be an object with the arguments of the tool."
    return ToolCall(group, name, args)


def _from_string(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return text


def listing_result(tools: Iterable[JsonObject]) -> bytes:
    """The result of ``get_dynamic_tools``: the upstream's tools as compact JSON, without the schemas' ``$schema``."""
    return text_result(encode([_without_dialect(tool) for tool in tools]).decode())


def _without_dialect(tool: JsonObject) -> JsonObject:
    lean = dict(tool)
    for key in ("inputSchema", "outputSchema"):
        schema = lean.get(key)
        if isinstance(schema, dict) and "$schema" in schema:
            lean[key] = {name: value for name, value in schema.items() if name != "$schema"}
    return lean


def text_result(text: str, *, failed: bool = False) -> bytes:
    """A tool result of one text block. ``failed`` sets ``isError``, so that the model can correct itself."""
    result: JsonObject = {"content": [{"type": "text", "text": text}]}
    if failed:
        result["isError"] = True
    return encode(result)


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> bytes:
    """A failed tool result for a name that does not exist; it offers the close matches, or all if they are few."""
    names = list(known)
    close = _close(name, names)
    if close:
        hint = f" Did you mean {' or '.join(repr(match) for match in close)}?"
    elif names and len(names) <= 20:  # noqa: PLR2004 - more would drown the message
        hint = f" There {'is' if len(names) == 1 else 'are'}: {', '.join(names)}."
    else:
        hint = ""
    return text_result(f"Unknown {what} {name!r}{where}.{hint}", failed=True)


def _close(name: str, names: list[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415 - only when somebody has mistyped

    folded = {known.casefold(): known for known in names}
    return [folded[match] for match in get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]


def is_selected(selection: ToolSelection, name: str) -> bool:
    """Whether a tool is switched on: included (everything is, without an include list) and not excluded."""
    if selection.include and not any(fnmatchcase(name, pattern) for pattern in selection.include):
        return False
    return not any(fnmatchcase(name, pattern) for pattern in selection.exclude)


def may_repeat(tool: JsonObject) -> bool:
    """Whether the server says of a tool that calling it twice does no harm (MCP 2025-03-26, ToolAnnotations)."""
    hints = tool.get("annotations")
    return isinstance(hints, dict) and (
        hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True
    )
