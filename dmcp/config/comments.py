"""JSON as people write it, made into JSON that the fast reader takes: comments and trailing commas become blanks.

Every character keeps its line and column, so that what the reader says of a place is true of the file. One pass, linear
in the length whatever the text is. Pure. Not here: reading JSON; and what else JSON5 allows, which nearly nobody uses.
"""

from __future__ import annotations

import re
from typing import Final

# Single characters only: no repetition that a text could be made to slow down.
_MARK: Final = re.compile(r'["/,{}\[\]]')
_IN_TEXT: Final = re.compile(r'["\\]')
_LINE_END: Final = re.compile(r"[\n\r]")
_LINE_ENDS: Final = re.compile(r"[^\n\r]")


def blanked(text: str) -> str:
    """Return the text with blanks in place of comments and trailing commas.

    What is no JSON stays so: an unfinished string or comment ends the search, and a comma that follows nothing is left.
    """
    spans: list[tuple[int, int]] = []
    at = done = 0  # where to search on; up to where the text has been looked at
    comma = -1  # a comma that nothing has followed yet
    after_value = False
    while match := _MARK.search(text, at):
        here, mark = match.start(), match.group()
        if text[done:here].strip():
            comma, after_value = -1, True
        at = done = _token_end(text, here, mark)
        if at < 0:
            break
        if mark == "/" and at > here + 1:
            spans.append((here, at))
        elif mark == ",":
            comma, after_value = (here if after_value else -1), False
        else:
            if mark in "}]" and comma >= 0:
                spans.append((comma, comma + 1))
            comma, after_value = -1, mark not in "{["
    return _with_blanks(text, sorted(spans)) if spans else text


def _token_end(text: str, start: int, mark: str) -> int:
    """Return where the string, comment or mark that begins here ends; -1 if it has no end."""
    if mark == '"':
        return _text_end(text, start + 1)
    if text.startswith("//", start):
        match = _LINE_END.search(text, start)
        return match.start() if match else len(text)
    if text.startswith("/*", start):
        end = text.find("*/", start + 2)
        return end + 2 if end >= 0 else -1
    return start + 1


def _text_end(text: str, start: int) -> int:
    """Return the position after the quote that ends a string; -1 if none does."""
    while match := _IN_TEXT.search(text, start):
        if match.group() == '"':
            return match.end()
        start = match.end() + 1  # whatever is escaped
    return -1


def _with_blanks(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], _LINE_ENDS.sub(" ", text[start:end]))
        done = end
    return "".join((*parts, text[done:]))
