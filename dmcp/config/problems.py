"""Checks a file against its types, and puts into words what is wrong: the place, the key, what to do about it.

All mistakes of a file are found, and values are never quoted, because a value may be a secret. Not here: the types
(``dmcp.config.schema``), and what references bring in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from msgspec import inspect

from dmcp.config.schema import (
    CHOOSE,
    FAULT,
    READS,
    ConfigurationFile,
    RemotePart,
    ServerPart,
    StdioPart,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.config.model import Part
    from dmcp.config.positions import Path, Positions

P = TypeVar("P", bound="Part")

_SERVERS: Final = "mcpServers"
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


class Problem(NamedTuple):
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


def format_problems(file: str, problems: Iterable[Problem], positions: Positions) -> tuple[str, ...]:
    """Return one finished sentence for each problem, in the order of the file."""
    placed = {
        (problem.line or positions.line(problem.path) or 0, spell_path(problem.path), problem.text)
        for problem in problems
    }
    return tuple(
        f"{file}:{line}: {path} {text}" if line else f"{file}: {path} {text}"
        for line, path, text in sorted(placed)
    )


def spell_path(path: Path) -> str:
    """Return the path with dots; a name that would be ambiguous in it stands in quotes."""
    if not path:
        return "the file"
    steps = [f"[{s}]" if isinstance(s, int) else f".{s if _PLAIN.fullmatch(s) else _quote(s)}" for s in path]
    return "".join(steps).removeprefix(".")


def checked(part: type[P], value: Any) -> tuple[P | None, list[Problem]]:
    """Return the part that a value is, or everything that is wrong with it."""
    reader = _Reader()
    found = reader.part(type_of(part), value, ())
    return (None, tidied(reader.problems, value)) if reader.problems else (found, [])


_WRONG: Final = object()
"""Stands for a value with a problem."""


class _Reader:
    """Makes values of what a file holds, and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def _refuse(self, path: Path, text: str, suggests: str | None = None) -> Any:
        self.problems.append(Problem(path, text, suggests=suggests))
        return _WRONG

    def part(self, kind: inspect.StructType, value: Any, path: Path) -> Any:
        """Return a part with its members."""
        if not isinstance(value, dict):
            return self._refuse(path, _wrong_type("an object", value))
        part: type[Part] = kind.cls  # type: ignore[assignment]  # all are
        before = len(self.problems)
        known = [field.encode_name for field in kind.fields]
        for key in value:
            if key not in known:
                self._refuse((*path, key), *_unknown_key(part, key, known))
        members = {}
        for field in kind.fields:
            if field.encode_name in value:
                members[field.name] = self.read(
                    field.type, value[field.encode_name], (*path, field.encode_name)
                )
            elif field.required:
                self._refuse(path, _missing_key(field.encode_name, value))
        if len(self.problems) > before:
            return _WRONG
        made = part(**members)
        wrong = made.fault()
        return made if wrong is None else self._refuse(path, wrong)

    def read(self, kind: inspect.Type, value: Any, path: Path) -> Any:
        """Return a value of a type."""
        extra: dict[str, Any] = {}
        if isinstance(kind, inspect.Metadata):
            extra, kind = kind.extra or {}, kind.type
        kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
        if value is None and any(isinstance(one, inspect.NoneType) for one in kinds):
            return None
        if READS in extra:
            try:
                return extra[READS](value)
            except ValueError as error:
                return self._refuse(path, str(error))
        if CHOOSE in extra:
            return self.part(type_of(extra[CHOOSE](value)), value, path)
        kinds = tuple(one for one in kinds if not isinstance(one, inspect.NoneType))
        kind = next((one for one in kinds if _is_of(one, value)), kinds[0])
        if not _is_of(kind, value) and not (len(kinds) == 1 and isinstance(kind, inspect.LiteralType)):
            return self._refuse(path, _wrong_type(" or ".join(map(_spelling, kinds)), value))
        return self._typed(kind, value, path, extra)

    def _typed(self, kind: inspect.Type, value: Any, path: Path, extra: dict[str, Any]) -> Any:
        match kind:
            case inspect.StructType():
                return self.part(kind, value, path)
            case inspect.VarTupleType(item_type=inner):
                return tuple(self.read(inner, one, (*path, index)) for index, one in enumerate(value))
            case inspect.DictType(value_type=inner):
                return self._table(inner, value, path)
            case inspect.LiteralType(values=words):
                wrong = None if value in words else _wrong_choice(words, value, path)
            case inspect.StrType():
                wrong = _wrong_text(kind, value, extra)
            case inspect.FloatType():
                wrong = _wrong_number(kind, value)
                value = value if wrong else float(value)
            case _:
                wrong = _wrong_number(kind, value)
        return value if wrong is None else self._refuse(path, wrong)

    def _table(self, inner: inspect.Type, value: dict[str, Any], path: Path) -> dict[str, Any]:
        for name in value:
            if not name:
                self._refuse((*path, name), "is an empty name: give it one")
            elif not _is_whole(name):
                self._refuse((*path, name), _HALF)
        return {name: self.read(inner, one, (*path, name)) for name, one in value.items()}


_HALF: Final = "holds half a character (a lone surrogate): write the character whole"
_KINDS: Final[dict[type[inspect.Type], tuple[str, tuple[type, ...]]]] = {
    inspect.BoolType: ("true or false", (bool,)),
    inspect.IntType: ("a whole number", (int,)),
    inspect.FloatType: ("a number", (int, float)),
    inspect.StrType: ("text", (str,)),
    inspect.LiteralType: ("text", (str,)),
    inspect.VarTupleType: ("a list", (list,)),
    inspect.DictType: ("an object", (dict,)),
    inspect.StructType: ("an object", (dict,)),
}


def _spelling(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(_quote(str(word)) for word in kind.values)
    return _KINDS[type(kind)][0]


def _is_of(kind: inspect.Type, value: object) -> bool:
    """Return whether a value is of the kind of a type. Which words are taken is looked at later."""
    return isinstance(value, _KINDS[type(kind)][1]) and (
        not isinstance(value, bool) or isinstance(kind, inspect.BoolType)
    )


def _is_whole(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _wrong_number(kind: inspect.Type, value: Any) -> str | None:
    least, most = getattr(kind, "ge", None), getattr(kind, "le", None)
    if least is not None and not value >= least:  # nor is what is no number at all
        return f"is too small: the least is {least}"
    return None if most is None or value <= most else f"is too large: the most is {most}"


def _wrong_text(kind: inspect.StrType, value: str, extra: dict[str, Any]) -> str | None:
    if not _is_whole(value):
        return _HALF
    if len(value) < (kind.min_length or 0):
        return "is empty: fill it in or leave it out"
    if kind.max_length is not None and len(value) > kind.max_length:
        return f"is too long: {kind.max_length} characters are the most"
    if kind.pattern is not None and not re.search(re.sub(r"\$$", r"\\Z", kind.pattern), value):
        return str(extra[FAULT])
    return None


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


def _wrong_choice(known: Iterable[Any], value: object, path: Path) -> str:
    if path[-1] == "type" and value == "stdio":
        return 'is "stdio", but the server has a url: leave one of them out'
    if path[-1] == "type" and value in ("http", "sse"):
        return f'is "{value}", but the server has a command: leave one of them out'
    known = [str(word) for word in known]
    close = _close(str(value), known, 0.4)
    advice = f"; did you mean {_quote(close)}?" if close else ""
    return f"must be {' or '.join(_quote(word) for word in known)}{advice}"


def _missing_key(key: str, entry: dict[str, Any]) -> str:
    if key == "description":
        return "has no description: add one that says in a sentence what the server is good for"
    if key == "url":
        return "has no url: add the server's address"
    if key == "command" and entry.get("type") != "stdio":
        return "has neither a command (for a local server) nor a url (for a remote one): add one of them"
    if key == _SERVERS:
        return f'has no "{_SERVERS}": add it, with an entry for each server'
    return f"has no {key}: add it"


def _unknown_key(part: type[Part], key: str, known: list[str]) -> tuple[str, str | None]:
    """Return what is to be said of a key nobody knows, and the one that was meant, where one is close."""
    is_server = issubclass(part, ServerPart)
    if is_server:
        if key == "url":
            return "stands beside a command: a server has one or the other", None
        is_local = part is StdioPart
        if key in (RemotePart if is_local else StdioPart).__struct_encode_fields__:
            return f"is only for servers with a {'url' if is_local else 'command'}: remove it", None
    foreign = _FOREIGN if is_server or part is ConfigurationFile else {}
    close = _close(key, [*foreign, *known]) or _close(key.lower(), known, 0.5)
    if close is None:
        return f"is not a known key: the known ones are {', '.join(known)}", None
    if close in foreign:
        called = foreign[close]
        return f"is not a known key: here it is called {called}", called[1:-1] if called.endswith(
            '"'
        ) else None
    return f"is not a known key: did you mean {_quote(close)}?", close


def _close(word: str, known: list[str], cutoff: float = 0.6) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 - most files have no such mistake

    return next(iter(get_close_matches(word, known, n=1, cutoff=cutoff)), None)


def _quote(word: str) -> str:
    return f'"{word.encode("utf-8", "backslashreplace").decode()}"'
