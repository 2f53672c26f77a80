"""From the bytes of a configuration file to plain values: JSON, JSON with comments, TOML.

Plain JSON is read by msgspec, and so is JSON with comments and trailing commas, once those are blanks. What it refuses
is read again by what says best where the mistake is, and json5 is imported for files that need it.
Not here: what the values mean.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from msgspec import json

from dmcp.config.comments import blanked
from dmcp.config.positions import in_json, in_toml
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePath

    from dmcp.config.positions import Positions

LARGEST_JSON5: Final = 256 * 1024
"""Characters of a text that is more than JSON with comments: its reader takes a second for 75,000 of them."""

_JSON_PLACE: Final = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)$", re.DOTALL)
_JSON5_PLACE: Final = re.compile(r"\S*:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)$", re.DOTALL)


def decode(content: bytes, file: PurePath) -> str:
    """Return the text of a file: UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is empty or not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: the file is not UTF-8 text: save it as UTF-8.") from None
    if not text.strip():
        raise ConfigError(f'{file}: the file is empty: it needs at least {{"mcpServers": {{}}}}.')
    return text


def parse(text: str, file: PurePath) -> tuple[Mapping[str, Any], Positions]:
    """Return the values of a file and where they stand. A known suffix decides the language, else the content.

    Raises:
        ConfigError: it cannot be parsed, or is no object; with the line and column.
    """
    suffix = file.suffix.lower()
    if suffix == ".toml" or (suffix not in (".json", ".jsonc") and text.lstrip()[0] not in "{/"):
        return _toml(text, file), in_toml(text)
    value = _json(text, file)
    if not isinstance(value, dict):
        raise ConfigError(f'{file}: the file must hold an object ({{"mcpServers": {{...}}}}) at the top.')
    return value, in_json(text)


def _json(text: str, file: PurePath) -> Any:
    plain = text
    with suppress(ValueError, RecursionError):
        return json.decode(text)
    with suppress(ValueError, RecursionError):
        plain = blanked(text)
        return json.decode(plain)
    from pydantic_core import from_json  # noqa: PLC0415 - only for what is no JSON: it says where

    try:
        return from_json(text)
    except ValueError as error:
        strict = str(error)
    if plain != text or len(text) > LARGEST_JSON5:
        try:
            return from_json(plain)
        except ValueError as error:
            strict = str(error)
    if len(text) > LARGEST_JSON5:
        raise ConfigError(_unparsable(file, "JSON", _JSON_PLACE.match(strict), ""))
    import json5  # noqa: PLC0415 - slow to import and to run; most files are plain JSON

    try:
        return json5.loads(text)
    except RecursionError:
        raise ConfigError(f"{file}: the file is nested too deeply to be a configuration.") from None
    except ValueError as error:
        # json5 knows comments, so its place is the right one, unless it could not say any.
        place = _JSON5_PLACE.match(str(error)) or _JSON_PLACE.match(strict)
        raise ConfigError(_unparsable(file, "JSON", place, _missing(plain, place))) from None


def _missing(text: str, place: re.Match[str] | None) -> str:
    """Return what seems to be missing before the place of an error, in words, or nothing.

    Args:
        text: the file, comments blanked.
        place: where its reader stumbled.
    """
    lines = text.split("\n")
    if place is None or int(place["line"]) > len(lines):
        return ""
    row, column = int(place["line"]) - 1, int(place["column"]) - 1
    at, before = lines[row][column : column + 1], lines[row][:column].rstrip()
    while row > 0 and not before:
        row -= 1
        before = lines[row].rstrip()
    if not before or not (at in ('"', "'", "{", "[") or at.isalnum() or at == "-"):
        return ""
    if before[-1] not in "\"'}]" and not before[-1].isalnum():
        return ""
    where = "before it" if row == int(place["line"]) - 1 else f"at the end of line {row + 1}"
    what = "a colon or comma" if at in ("{", "[") and before[-1] in "\"'" else "a comma"
    return f": {what} seems to be missing {where}"


def _toml(text: str, file: PurePath) -> Mapping[str, Any]:
    import tomli  # noqa: PLC0415 - only for TOML files

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        where = f"{file}:{error.lineno}:{error.colno}"
        raise ConfigError(f"{where}: this is not valid TOML: {_lower(error.msg)}.") from None
    except RecursionError:
        raise ConfigError(f"{file}: the file is nested too deeply to be a configuration.") from None


def _unparsable(file: PurePath, language: str, place: re.Match[str] | None, missing: str) -> str:
    if place is None:
        return f"{file}: this is not valid {language}."
    return f"{file}:{place['line']}:{place['column']}: this is not valid {language}: {_lower(place['what'])}{missing}."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
