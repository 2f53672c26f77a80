"""Make the text of a stranger safe to show: on a terminal, in the log, in what dmcp composes for the model.

Every text a peer has written (a server's name, error, description, stderr; a client's name; a file's value) goes
through ``printable`` before a user or a model sees it in a sentence of dmcp's. Results and listings are not shown
but passed on: they stay byte-exact and never come through here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

ELLIPSIS: Final = "…"

_UNSAFE: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0 and C1: line breaks, ESC, CSI, OSC
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers, Arabic letter mark
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, direction marks and overrides, isolates
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"  # fillers, variation selectors but those of emoji, BOM
    "\ud800-\udfff"  # lone surrogates: they cannot be encoded
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # format controls, tags, more selectors
)


def printable(text: str, limit: int | None = 1000, *, lines: bool = False) -> str:
    r"""Return the text with every character escaped that could move a cursor, hide, or reorder what is read.

    Linear in the length that is kept: the text is cut before it is searched. Runs anywhere.

    Args:
        text: what a stranger wrote.
        limit: characters kept, the ellipsis included; ``None`` keeps all, for texts that are bounded already.
        lines: keep line feeds and tabs, for output of several lines; else they are escaped too (``\n``).
    """
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 1)] + ELLIPSIS
    if text.isascii() and text.isprintable():
        return text
    return _pattern(lines=lines).sub(_escape, text)


def escaped_json(text: str) -> str:
    r"""Return a JSON text with the same characters escaped as JSON does it (``\u202e``): it means what it meant."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _pattern(lines=True).sub(_escape_as_json, text)


def is_suspicious(text: str) -> bool:
    """Return whether the text has a character that ``printable`` would escape, line feeds and tabs aside."""
    return not (text.isascii() and text.isprintable()) and bool(_pattern(lines=True).search(text))


@cache
def _pattern(*, lines: bool) -> re.Pattern[str]:
    # One character class and no repetition: the search is linear whatever the text.
    return re.compile(f"(?![\t\n])[{_UNSAFE}]" if lines else f"[{_UNSAFE}]")


def _escape_as_json(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    short = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    if short is not None:
        return short
    if code <= 0xFF:  # noqa: PLR2004 - what two digits can say
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - likewise, four


def sentence_end(text: str) -> int:
    """Return where the first sentence of a text ends, or its first line. Linear in the text."""
    end = _sentence().search(text)
    return end.end() if end is not None else len(text)


@cache
def _sentence() -> re.Pattern[str]:
    return re.compile(r"[.!?。！？](?=\s|$)|\n")  # noqa: RUF001 - sentences end with them in Chinese


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text as a set: a long list of them is read more easily so than one a line."""
    return frozenset(words.split())
