"""Puts what is wrong with a file into words: the place, the key, the mistake, and what to do about it.

Values are never quoted, because a value may be a secret. Not here: finding out what is wrong.
Loaded only with ``dmcp.config.schema``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from dmcp.config.schema import ConfigurationFile, RemotePart, StdioPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from dmcp.config.positions import Path, Positions

_SERVERS: Final = "mcpServers"
_KINDS: Final[dict[str, type[BaseModel]]] = {"stdio": StdioPart, "remote": RemotePart}
_SUGGESTION: Final = re.compile(r'did you mean "([^"]+)"\?|here it is called "([^"]+)"$')
_PLAIN: Final = re.compile(r"[A-Za-z0-9_$-]+")
_FOREIGN: Final = {
    "servers": '"mcpServers"',
    "mcp": '"mcpServers"',
    "context_servers": '"mcpServers"',
    "disabled": '"enabled" (with the opposite value)',
    "environment": '"env"',
    "httpUrl": '"url"',
    "serverUrl": '"url"',
    "http_headers": '"headers"',
    "includeTools": '"tools.include"',
    "enabled_tools": '"tools.include"',
    "excludeTools": '"tools.exclude"',
    "disabledTools": '"tools.exclude"',
    "disabled_tools": '"tools.exclude"',
}
"""What other tools call a thing, where the spelling alone would not lead there."""

_TYPES: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

_VALUES: Final = {
    "value_error": "{error}",
    "string_too_short": "is empty: fill it in or leave it out",
    "string_pattern_mismatch": "is blank: say in a sentence what the server is good for",
    "string_unicode": "holds half a character (a lone surrogate): write the character whole",
    "greater_than_equal": "is too small: the least is {ge}",
    "less_than_equal": "is too large: the most is {le}",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, and a predicate that continues a sentence begun with the key's path.

    ``line`` is given only where the path does not lead to it. ``suggests`` is the key that was meant, where one
    is close.
    """

    path: Path
    text: str
    line: int | None = None
    suggests: str | None = None


def tidied(problems: Iterable[Problem], values: Any) -> list[Problem]:
    """Return the problems so that no key is suggested which is there already."""
    found = []
    for problem in problems:
        holder: Any = values
        for step in problem.path[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if problem.suggests and isinstance(holder, dict) and problem.suggests in holder:
            text = f"is not a known key, and {_quote(problem.suggests)} is there already: remove one of them"
            found.append(Problem(problem.path, text, problem.line))
        else:
            found.append(problem)
    return found


def sentences(file: str, problems: Iterable[Problem], positions: Positions) -> tuple[str, ...]:
    """One finished sentence for each problem, in the order of the file."""
    placed = {
        (problem.line or positions.line(problem.path) or 0, spell_path(problem.path), problem.text)
        for problem in problems
    }
    return tuple(
        f"{file}:{line}: {path} {text}" if line else f"{file}: {path} {text}"
        for line, path, text in sorted(placed)
    )


def spell_path(path: Path) -> str:
    """The path with dots; a name that would be ambiguous in it stands in quotes."""
    if not path:
        return "the file"
    steps = [f"[{s}]" if isinstance(s, int) else f".{s if _PLAIN.fullmatch(s) else _quote(s)}" for s in path]
    return "".join(steps).removeprefix(".")


def from_pydantic(error: ErrorDetails) -> Problem:
    """The problem behind one error of the models in ``dmcp.config.schema``."""
    location = error["loc"]
    if location[-1:] == ("[key]",):
        return Problem(_without_tag(location[:-1]), "is an empty name: give it one")
    path = _without_tag(location)
    kind = error["type"]
    if kind == "extra_forbidden":
        text = _unknown_key(location)
        return Problem(path, text, suggests=_suggested(text))
    if kind == "missing":
        return Problem(path[:-1], _missing_key(location, error["input"]))
    return Problem(path, _wrong_value(kind, error, path))


def _wrong_value(kind: str, error: ErrorDetails, path: Path) -> str:
    context = error.get("ctx", {})
    if kind in _TYPES:
        return _wrong_type(_TYPES[kind], error["input"])
    if kind == "literal_error":
        return _wrong_choice(context["expected"], error["input"], path)
    if kind in _VALUES:
        return _VALUES[kind].format_map(context)
    return f"is wrong: {error['msg']}"


def _wrong_type(wanted: str, value: object) -> str:
    match value:
        case bool():
            found = "true or false"
        case int() | float():
            found = "a number"
        case str():
            found = "text"
        case list():
            found = "a list"
        case dict():
            found = "an object"
        case None:
            found = "null"
        case _:
            found = "a date or time"
    advice = ": put it in quotes" if wanted == "text" and found in ("a number", "true or false") else ""
    if wanted in ("true or false", "a whole number") and found == "text":
        advice = ": leave the quotes out"
    return f"must be {wanted}, not {found}{advice}"


def _wrong_choice(expected: str, value: object, path: Path) -> str:
    if path[-1] == "type" and value == "stdio":
        return 'is "stdio", but the server has a url: leave one of them out'
    if path[-1] == "type" and value in ("http", "sse"):
        return f'is "{value}", but the server has a command: leave one of them out'
    known = re.findall(r"'([^']*)'", expected)
    close = get_close_matches(str(value), known, n=1, cutoff=0.4)
    advice = f"; did you mean {_quote(close[0])}?" if close else ""
    return f"must be {' or '.join(_quote(word) for word in known)}{advice}"


def _missing_key(location: tuple[int | str, ...], entry: object) -> str:
    key = str(location[-1])
    if key == "description":
        return "has no description: add one that says in a sentence what the server is good for"
    if key == "url":
        return "has no url: add the server's address"
    if key == "command" and isinstance(entry, dict) and entry.get("type") != "stdio":
        return "has neither a command (for a local server) nor a url (for a remote one): add one of them"
    if key == _SERVERS:
        return f'has no "{_SERVERS}": add it, with an entry for each server'
    return f"has no {key}: add it"


def _unknown_key(location: tuple[int | str, ...]) -> str:
    key = str(location[-1])
    is_server_key = len(location) == 4 and location[0] == _SERVERS  # noqa: PLR2004 - mcpServers, name, kind, key
    if is_server_key:
        kind = str(location[2])
        if key == "url":
            return "stands beside a command: a server has one or the other"
        other = "remote" if kind == "stdio" else "stdio"
        if key in _keys(_KINDS[other]):
            return f"is only for servers with a {'url' if other == 'remote' else 'command'}: remove it"
    known = _keys(_model_at(location[:-1]))
    foreign = _FOREIGN if is_server_key or len(location) == 1 else {}
    close = get_close_matches(key, [*foreign, *known], n=1)
    close = close or get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    if not close:
        return f"is not a known key: the known ones are {', '.join(known)}"
    if close[0] in foreign:
        return f"is not a known key: here it is called {foreign[close[0]]}"
    return f"is not a known key: did you mean {_quote(close[0])}?"


def _suggested(text: str) -> str | None:
    found = _SUGGESTION.search(text)
    return found.group(1) or found.group(2) if found else None


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that checked the object at this location (which holds the tag of the server's shape)."""
    model: type[BaseModel] = ConfigurationFile
    steps = location
    if location[:1] == (_SERVERS,):
        model, steps = _KINDS[str(location[2])], location[3:]
    for step in steps:
        inner: Any = model.model_fields[str(step)].annotation
        model = inner
    return model


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _without_tag(location: tuple[int | str, ...]) -> Path:
    return (*location[:2], *location[3:]) if location[:1] == (_SERVERS,) else location


def _quote(word: str) -> str:
    return f'"{word}"'
