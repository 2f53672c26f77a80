"""Which line of a configuration file a key stands on, and which keys stand there twice.

Parsers tell values and forget places; these two scanners tell places and forget values. They run over text
that a real parser has accepted, so they check nothing. Pure; not here: parsing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct, field, json

if TYPE_CHECKING:
    from collections.abc import Callable

Path = tuple[str | int, ...]
"""The keys (and list indices) from the top of the file down to a value."""

_JSON: Final = re.compile(
    r"//[^\n\r]*|/\*.*?\*/"  # comments, matched so that braces in them are not seen
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<bare>[^\s{}\[\]:,\"'/]+)",
    re.DOTALL,
)
_TOML: Final = re.compile(
    r"#[^\n]*"
    r'|(?P<long>"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5})"
    r"|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
    r"|(?P<mark>[\[\]{}=\n])"
    r"|(?P<bare>[A-Za-z0-9_-]+)",
    re.DOTALL,
)


class Repeated(NamedTuple):
    """A key that stands twice in one object; parsers would silently keep the last."""

    path: Path
    line: int
    first_line: int


class Positions(Struct):
    """Lines, counted from 1, by path."""

    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[Repeated] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """Return the line of the key at ``path``, or of the nearest enclosing one that is known."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None

    def note(self, path: Path, line: int) -> None:
        """Remember where ``path`` stands. The second time is a repetition."""
        if path in self.lines:
            self.repeated.append(Repeated(path, line, self.lines[path]))
        else:
            self.lines[path] = line


class _Open(Struct):
    """An object or array the scanner is inside of."""

    path: Path
    index: int | None  # of the next element; None in an object
    key: str | None = None  # the key whose value comes next


def in_json(text: str) -> Positions:
    """Return the places of all keys and elements of a JSON, JSONC or JSON5 text that a parser has accepted."""
    found = Positions()
    line_of = _line_counter(text)
    inside: list[_Open] = []
    for token in _JSON.finditer(text):
        kind, word = token.lastgroup, token.group()
        here = inside[-1] if inside else None
        if word in "{[" and kind == "mark":
            inside.append(_Open(_value_path(here), 0 if word == "[" else None))
        elif here is None or kind is None:
            continue
        elif word in "}]" and kind == "mark":
            inside.pop()
        elif word == "," and kind == "mark":
            here.key = None
            here.index = None if here.index is None else here.index + 1
        elif here.index is None and here.key is None and kind != "mark":
            here.key = _unquote(word)
            found.note((*here.path, here.key), line_of(token.start()))
        if here is not None and here.index is not None and word not in ",]":
            found.lines.setdefault((*here.path, here.index), line_of(token.start()))
    return found


def in_toml(text: str) -> Positions:
    """Return the places of tables and keys of a TOML text that a parser has accepted.

    Keys inside inline tables and arrays are not told apart: they get the line of the key they belong to.
    """
    found = Positions()
    line_of = _line_counter(text)
    table: Path = ()
    position = 0
    while match := _TOML.search(text, position):
        position = match.end()
        if match.lastgroup is None or match.group() == "\n":
            continue
        words, end = _words_until_mark(text, position if match.group() == "[" else match.start())
        if match.group() == "[":
            table = tuple(words)
            _note_all(found, (), words, line_of(match.start()))
            position = end
        else:
            _note_all(found, table, words, line_of(match.start()))
            position = _after_value(text, end)
    return found


def _words_until_mark(text: str, start: int) -> tuple[list[str], int]:
    """Return the parts of a dotted name, and the position after the mark that ends it (``=`` or ``]``)."""
    words: list[str] = []
    for token in _TOML.finditer(text, start):
        if token.lastgroup in ("text", "bare"):
            words.append(_unquote(token.group()))
        elif words or token.group() == "\n":
            return words, token.end()
    return words, len(text)


def _after_value(text: str, start: int) -> int:
    """Return the position after a value that begins at ``start``: the end of its last line."""
    depth = 0
    for token in _TOML.finditer(text, start):
        if token.lastgroup != "mark":
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        if token.group() == "\n" and depth <= 0:
            return token.end()
    return len(text)


def _note_all(found: Positions, table: Path, words: list[str], line: int) -> None:
    # A dotted name also opens the tables on its way. TOML's own parser has refused repetitions.
    for length in range(1, len(words) + 1):
        found.lines.setdefault((*table, *words[:length]), line)


def _value_path(here: _Open | None) -> Path:
    if here is None:
        return ()
    step = here.key if here.index is None else here.index
    return here.path if step is None else (*here.path, step)


def _unquote(word: str) -> str:
    if word[0] not in "\"'":
        return word
    if word[0] == '"' and "\\" in word:
        try:
            return str(json.decode(word))
        except ValueError:  # an escape that only JSON5 or TOML knows: good enough to find a line by
            return word[1:-1]
    return word[1:-1]


def _line_counter(text: str) -> Callable[[int], int]:
    ends = [match.start() for match in re.finditer("\n", text)]
    return lambda offset: bisect_left(ends, offset) + 1
