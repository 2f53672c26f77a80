"""The calls of dmcp's two tools, and the tool results dmcp writes itself. What the tools look like: ``definitions``."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.errors import DownstreamError
from dmcp.protocol.hints import did_you_mean, quoted
from dmcp.protocol.jsonrpc import INVALID_PARAMS
from dmcp.protocol.limits import MAX_REPAIRED, MAX_TOOL_NAME
from dmcp.protocol.wire import encode, is_object, is_raw, members, use_fast_json
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from dmcp.config.model import ToolSelection
    from dmcp.protocol.jsonrpc import JsonObject

GET_TOOLS: Final = "get_dynamic_tools"
CALL_TOOL: Final = "call_dynamic_tool"


class ToolCall(NamedTuple):
    """A valid ``call_dynamic_tool``. The arguments are an object, decoded or as the bytes it was (``msgspec.Raw``)."""

    group: str
    name: str
    arguments: Any


def read_call(arguments: Any, groups: Collection[str] = ()) -> ToolCall | str:
    """Check the arguments of ``call_dynamic_tool``; a string says what is wrong with them.

    Args:
        arguments: an object, decoded or as the bytes it was.
        groups: the names of all groups: a call in another form than the usual one may name one elsewhere.
    """
    if is_raw(arguments):
        decode, refused = _usual_decoder()
        try:
            usual = decode(arguments)
        except refused:  # not what most calls look like: the general way reads or refuses it
            usual = None
        if usual is not None and is_object(usual.args):
            return ToolCall(usual.group, usual.name, usual.args)
    try:
        return _read_any_call(members(arguments), groups)
    except ValueError as error:  # nested too deeply for what is on the stack already, or too many values
        return f"the arguments of {CALL_TOOL} cannot be read: {error}."


def _read_any_call(given: JsonObject, groups: Collection[str]) -> ToolCall | str:
    from dmcp.protocol import loose_calls  # noqa: PLC0415 - seldom needed

    group, name, used = loose_calls.target_of(given, groups)
    if group is None:
        return f"{CALL_TOOL} needs the parameter 'group' (a string)."
    if name is None:
        return f"{CALL_TOOL} needs the parameter 'name' (a string): the tool's name within the group."
    args = loose_calls.arguments_of(given, used)
    if args is None:
        return f"{CALL_TOOL} needs the parameter 'args' to be an object with the arguments of the tool."
    return ToolCall(group, name, args)


@cache
def _usual_decoder() -> tuple[Callable[[Any], Any], tuple[type[Exception], ...]]:
    import msgspec  # noqa: PLC0415 - loaded after the first answer, see wire.use_fast_json

    members = [("group", str), ("name", str), ("args", msgspec.Raw)]
    form = msgspec.defstruct("Arguments", members, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(form).decode, use_fast_json().refused


def is_suspect(value: Any) -> bool:
    """Return whether a text in arguments may stand for a value of another type. A look at the bytes, no more."""
    if not is_raw(value):  # read by the slow reader, or in another form than usual
        try:
            value = encode(value)
        except ValueError:
            return False
    return len(value) <= MAX_REPAIRED and _suspects().search(value) is not None


def is_unusual(call: ToolCall) -> bool:
    """Return whether a call is to be held against its tool's schema before it is sent."""
    return is_suspect(call.arguments) or call.name.startswith(call.group)


@cache
def _suspects() -> re.Pattern[bytes]:
    """Match a text in JSON that is a number, true or false, or begins like a list or an object."""
    return re.compile(rb'"(?:-?\d[\d.eE+-]*"|[tT]rue"|[fF]alse"|\s*[\[{])')


OUTDATED: Final = "The server could not be asked again what it offers; this is what it offered before."
"""What is told beside the last known tools of a group whose listing fails now."""

PARTIAL: Final = "The server could not be asked for all that it offers; this is a part. dmcp asks again."
"""What is told beside the tools of a group whose listing broke off."""


def invalid_configuration(problem: str) -> str:
    """Return what the client is told of a changed configuration file that cannot be used; empty without a problem."""
    if not problem:
        return ""
    text = printable(problem, 1000, lines=True)
    return f"The configuration file was changed and is invalid, the previous one is in force: {text}"


def text_result(text: str, *, failed: bool = False) -> bytes:
    """Return a tool result of one text block. ``failed`` sets ``isError``, so that the model can correct itself."""
    result: JsonObject = {"content": [{"type": "text", "text": text}]}
    if failed:
        result["isError"] = True
    return encode(result)


def unknown(what: str, name: str, known: Iterable[str], where: str = "", problem: str = "") -> bytes:
    """Return a failed tool result for a name that does not exist; it offers the close matches, or all if they are few.

    Args:
        what: "group" or "tool".
        name: what the client has called it.
        known: the names there are.
        where: ends the sentence.
        problem: what is wrong with the changed configuration file: it may be what has the name.
    """
    names = known if isinstance(known, list) else list(known)
    hint = did_you_mean(name, names)
    if not hint and names and len(names) <= 20:  # noqa: PLR2004 - more would drown the message
        hint = f"There {'is' if len(names) == 1 else 'are'}: {', '.join(printable(n, 80) for n in names)}."
    sentences = (f"Unknown {what} {quoted(name)}{where}.", hint, invalid_configuration(problem))
    return text_result(" ".join(filter(None, sentences)), failed=True)


def unknown_tool(name: str, direct: Iterable[str]) -> DownstreamError:
    """Return the error for a tool that is neither one of dmcp's nor one that is shown under its own name."""
    known = f"there are {GET_TOOLS} and {CALL_TOOL}"
    hint = did_you_mean(name, direct)
    text = f"Invalid params: unknown tool {printable(name, 100)!r}; {known}"
    return DownstreamError(INVALID_PARAMS, f"{text}. {hint}" if hint else text)


@lru_cache(maxsize=256)
def _globs(patterns: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """For each glob: text that a name must have to match, and the whole glob."""
    from fnmatch import translate  # noqa: PLC0415 - seldom needed

    # What translate makes of "*" gives nothing back once it has matched: linear in the name for each "*".
    texts = (re.split(r"[*?]", glob.partition("[")[0]) for glob in patterns)
    return tuple(
        (max(text, key=len), re.compile(translate(glob))) for text, glob in zip(texts, patterns, strict=True)
    )


def is_named(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a name matches one of these globs; one longer than ``MAX_TOOL_NAME`` matches none."""
    return len(name) <= MAX_TOOL_NAME and any(
        text in name and glob.match(name) for text, glob in _globs(patterns)
    )


def is_selected(selection: ToolSelection, name: str) -> bool:
    """Return whether a tool is switched on: included (everything is, without an include list) and not excluded.

    A name longer than ``MAX_TOOL_NAME`` is not compared: it is off where anything is included or excluded at all.
    """
    if not selection.include and not selection.exclude:
        return True
    if len(name) > MAX_TOOL_NAME:
        return False
    if selection.include and not is_named(name, selection.include):
        return False
    return not is_named(name, selection.exclude)


def may_repeat(tool: JsonObject) -> bool:
    """Return whether the server says of a tool that calling it twice does no harm (MCP 2025-03-26, ToolAnnotations)."""
    hints = tool.get("annotations")
    return isinstance(hints, dict) and (
        hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True
    )
