"""Changing a TOML file without touching anything else in it, as far as tables with headers of their own go.

Pure: text in, text out. It knows headers and lines, not all of TOML: the caller parses the text before and after, and
refuses an outcome that is not the one meant.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import to_json

_HEADER = re.compile(r"^[ \t]*\[[ \t]*(?P<keys>[^\[\]\r\n]+?)[ \t]*\][ \t]*(?:#[^\r\n]*)?$", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def with_table(text: str, keys: tuple[str, ...], table: dict[str, Any]) -> str:
    """The text with one more table at its end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{'.'.join(map(_key, keys))}]", *(f"{_key(key)} = {_value(v)}" for key, v in table.items())]
    before = text.rstrip()
    return newline.join([*([before, ""] if before else []), *lines, ""])


def without_table(text: str, keys: tuple[str, ...]) -> str:
    """The text without a table and the tables below it, from each header to the next.

    Raises:
        ValueError: the table has no header of its own.
    """
    spans = [(start, end) for found, start, end in _tables(text) if found[: len(keys)] == keys]
    if not spans:
        raise ValueError(f"[{'.'.join(keys)}] has no header of its own")
    for start, end in reversed(spans):
        before, after = text[:start], text[end:]
        text = before + after if after else before.rstrip() + ("\n" if before.strip() else "")
    return text


def with_key(text: str, keys: tuple[str, ...], key: str, value: Any) -> str:
    """The text with a table's key set, on the line where it is, or on a new one below the header.

    Raises:
        ValueError: the table has no header of its own.
    """
    start, end = _body(text, keys)
    line = f"{_key(key)} = {_value(value)}"
    found = _line_of(key).search(text, start, end)
    if found is not None:
        return text[: found.start()] + line + text[found.end() :]
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:start]}{newline}{line}{text[start:]}"


def without_key(text: str, keys: tuple[str, ...], key: str) -> str:
    """The text without the line that sets a table's key.

    Raises:
        ValueError: the table has no header of its own.
    """
    start, end = _body(text, keys)
    found = _line_of(key).search(text, start, end)
    if found is None:
        return text
    return text[: found.start()] + text[found.end() :].removeprefix("\r").removeprefix("\n")


def _line_of(key: str) -> re.Pattern[str]:
    return re.compile(rf'^[ \t]*"?{re.escape(key)}"?[ \t]*=[^\r\n]*', re.MULTILINE)


def _body(text: str, keys: tuple[str, ...]) -> tuple[int, int]:
    """Where the table's own lines are: from the end of its header to the next header."""
    for found, start, end in _tables(text):
        if found == keys:
            header = _HEADER.match(text, start)
            return header.end() if header else start, end
    raise ValueError(f"[{'.'.join(keys)}] has no header of its own")


def _tables(text: str) -> list[tuple[tuple[str, ...], int, int]]:
    """All tables with headers: their keys, and from where to where they go."""
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    return [(_keys(header["keys"]), header.start(), end) for header, end in zip(headers, ends, strict=True)]


def _keys(header: str) -> tuple[str, ...]:
    """The keys a header spells, quoted ones included."""
    import tomli  # noqa: PLC0415 - one tool of many writes TOML

    found: list[str] = []
    try:
        table: Any = tomli.loads(f"[{header}]")
    except tomli.TOMLDecodeError:
        return ()
    while isinstance(table, dict) and table:
        key, table = next(iter(table.items()))
        found.append(key)
    return tuple(found)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else to_json(key).decode()


def _value(value: Any) -> str:
    """A text, number, truth value or list of texts, which TOML spells as JSON does."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return to_json(value).decode()
