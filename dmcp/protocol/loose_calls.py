"""Calls of ``call_dynamic_tool`` as models really write them. Pure.

Loaded and asked only for what is not in the usual form. What is there under its own name counts as it stands; a meaning
is given only to what has one: other names of the three members, a group in front of the tool's name, arguments as text
or beside the others. Not here: whether the arguments fit the tool (``schemas``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dmcp.protocol.wire import decode_bounded, encode, is_object, is_raw, opened, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_GROUP: Final = ("server", "server_name", "serverName", "group_name", "groupName", "mcp_server")
_NAME: Final = ("tool", "tool_name", "toolName", "function", "function_name")
_ARGUMENTS: Final = ("arguments", "parameters")
_PERHAPS_ARGUMENTS: Final = (
    "input",
    "params",
    "tool_args",
    "tool_input",
    "toolArgs",
    "kwargs",
)  # or one argument
_SEPARATORS: Final = ("__", "/", ":", ".", "_", "-")
_PREFIX: Final = "mcp__"
_MOST_TEXT: Final = 64 * 1024  # characters of a text that is no JSON, read as Python writes objects
_NESTED_TEXTS: Final = 3


def target_of(
    given: Mapping[str, Any], groups: Collection[str]
) -> tuple[str | None, str | None, frozenset[str]]:
    """Return which group and tool are meant, ``None`` where nobody can tell, and the members that say it.

    Args:
        given: the members of the arguments of ``call_dynamic_tool``.
        groups: the names of all groups.
    """
    group, group_at = _first_text(given, ("group",))
    name, name_at = _first_text(given, ("name",))
    if name is None:
        name, name_at = _first_text(given, _NAME)
    if group is None and name is not None and (split := split_name(name, groups)) is not None:
        group, name = split
    if group is None:
        known = [key for key in _GROUP if text_of(given.get(key)) in groups]
        group, group_at = _first_text(given, known)
    if group is not None and name is None and group not in groups and (split := split_name(group, groups)):
        group, name = split
    return group, name, frozenset((group_at, name_at))


def split_name(name: str, groups: Collection[str]) -> tuple[str, str] | None:
    """Take ``group/name``, ``group_name`` or ``mcp__group__name`` apart; of two groups the longer one is meant."""
    for text in (name, name.removeprefix(_PREFIX)):
        found = [
            (group, text[len(group) + len(mark) :])
            for group in groups
            if text.startswith(group)
            for mark in _SEPARATORS
            if text.startswith(mark, len(group)) and len(text) > len(group) + len(mark)
        ]
        if found:
            return max(found, key=lambda pair: (len(pair[0]), -len(pair[1])))
    return None


def arguments_of(given: Mapping[str, Any], used: frozenset[str]) -> Any:
    """Return the arguments of the tool: an object, decoded or as the bytes it was; ``None`` if they are none.

    Args:
        given: as in ``target_of``.
        used: the members that say which tool is meant.

    Raises:
        ValueError: what is there cannot be read.
    """
    given = {name: value for name, value in given.items() if name not in used}
    args = given.pop("args", None)
    if not _is_empty(args):
        return _object(args)
    for key in _ARGUMENTS:
        if key in given:
            return {} if _is_empty(given[key]) else _object(given[key])
    if len(given) == 1:
        ((key, value),) = given.items()
        if key in _PERHAPS_ARGUMENTS and (found := _object(value)) is not None:
            return found
    return given


def _first_text(given: Mapping[str, Any], names: Collection[str]) -> tuple[str | None, str]:
    for name in names:
        if (text := text_of(given.get(name))) is not None:
            return text, name
    return None, ""


def _is_empty(value: Any) -> bool:
    return (
        value is None or (is_raw(value) and bytes(value) == b"null") or text_of(value) in ("", "null", "None")
    )


def _object(value: Any) -> Any:
    """Return what is meant as an object: one, or a text of one, or a list of one; ``None`` for anything else."""
    if is_object(value):
        return value
    value = opened(value)
    for _ in range(_NESTED_TEXTS):  # some write the text of a text
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            return value[0]
        if not isinstance(value, str):
            break
        value = _from_text(value.strip())
    return value if isinstance(value, dict) else None


def _from_text(text: str) -> Any:
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    if not text:
        return {}
    try:
        return decode_bounded(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return _from_python(text)


def _from_python(text: str) -> Any:
    """Return an object written as Python writes it (``{'a': True}``): only constants, lists and objects are read."""
    if not text.startswith("{") or len(text) > _MOST_TEXT:
        return None
    from ast import literal_eval  # noqa: PLC0415 - seldom needed

    try:
        return decode_bounded(encode(literal_eval(text)))  # what JSON has no form for is refused
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
