"""References to environment variables in configuration values. Pure: the environment is an argument.

``${NAME}`` is the variable's value; ``${NAME:-default}`` is the default when it is unset or empty, as in
bash, and the default may hold references itself. ``$NAME``, and braces around anything else, are plain text.
``$${`` is a literal ``${``: of several dollars before a brace one is taken away and the rest means nothing.
Not here: which values of a configuration may hold references.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
LARGEST: Final = 1024 * 1024
"""Characters that references may bring into one value. No operating system takes longer ones."""

_DEEPEST: Final = 50  # defaults within defaults; the reader recurses
_INTEREST: Final = re.compile(
    rf"\$(?P<literal>\$+\{{)|\$\{{(?P<plain>{_NAME})\}}|\$\{{(?P<guarded>{_NAME}):-|(?P<end>\}})",
    re.ASCII,
)


class Resolved(NamedTuple):
    """A text with its references filled in.

    Attributes:
        text: the result; where a variable is missing, nothing stands for it.
        values: what came from variables and defaults, for the log to keep quiet about.
        missing: names of variables that are not set and have no default, in order of appearance.
        names: names of all variables referred to, whether they are set or needed, in order of appearance.
        is_too_long: what was brought in is more than there may be, and the text is left empty.
    """

    text: str
    values: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_too_long: bool = False


class _TooLong(Exception):  # noqa: N818 - never leaves this module
    """What is filled in is longer than it may be."""


def resolve(text: str, environ: Mapping[str, str], limit: int = LARGEST) -> Resolved:
    """Fill in the references of one text, unless they bring in more than ``limit`` characters."""
    if "${" not in text:
        return Resolved(text)
    reader = _Reader(text, environ, limit)
    try:
        result, _ = reader.read(0)
    except _TooLong:
        return Resolved("", names=tuple(dict.fromkeys(reader.names)), is_too_long=True)
    missing, names = (tuple(dict.fromkeys(found)) for found in (reader.missing, reader.names))
    return Resolved(result, tuple(reader.values), missing, names)


def has_references(text: str) -> bool:
    """Return whether the text depends on the environment."""
    return any(m["plain"] or m["guarded"] for m in _INTEREST.finditer(text))


def escape(text: str) -> str:
    """Return the configuration value that means exactly ``text``, whatever the environment."""
    return text.replace("${", "$${")


class _Reader:
    """One pass over one text; collects what it used and what it missed."""

    def __init__(self, text: str, environ: Mapping[str, str], limit: int) -> None:
        self._left = limit
        self.values: list[str] = []
        self.missing: list[str] = []
        self.names: list[str] = []
        self._text = text
        self._environ = environ

    def read(self, start: int, depth: int = 0) -> tuple[str, int]:
        """Read from ``start`` to the end, or, inside a default (``depth`` > 0), to the brace that closes it.

        Returns:
            The text read, and where to read on; a position past the end if a default is never closed.
        """
        parts: list[str] = []
        position = start
        while match := _INTEREST.search(self._text, position):
            parts.append(self._text[position : match.start()])
            position = match.end()
            if match["literal"]:
                parts.append(match["literal"])
            elif match["plain"]:
                parts.append(self._value(match["plain"]))
            elif match["guarded"] and depth < _DEEPEST:
                value, position = self._guarded(match["guarded"], match.start(), position, depth)
                parts.append(value)
            elif match["end"] and depth:
                return "".join(parts), position
            else:
                parts.append(match.group())
        parts.append(self._text[position:])
        return "".join(parts), len(self._text) + (1 if depth else 0)

    def _value(self, name: str) -> str:
        value = self._environ.get(name)
        self.names.append(name)
        if value is None:
            self.missing.append(name)
            return ""
        return self._taken(value)

    def _taken(self, value: str) -> str:
        self._left -= len(value)
        if self._left < 0:
            raise _TooLong
        self.values.append(value)
        return value

    def _guarded(self, name: str, opened: int, start: int, depth: int) -> tuple[str, int]:
        values, missing, names = len(self.values), len(self.missing), len(self.names)
        self.names.append(name)
        default, end = self.read(start, depth + 1)
        if end > len(self._text):
            # Never closed, so it is no reference, and neither is what only an unclosed one holds.
            del self.values[values:], self.missing[missing:], self.names[names:]
            return self._text[opened:], end
        value = self._environ.get(name)
        if value:
            # The default is not used: what it missed is not missing.
            del self.values[values:], self.missing[missing:]
            return self._taken(value), end
        return self._taken(default), end
