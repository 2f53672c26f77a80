"""A file on disk as a table: JSON, JSONC, TOML or YAML, by its name, or by trying when the name says nothing.

Owns the sentences about unreadable and unparsable files. Not here: what the keys mean.
YAML is read with every scalar as a text, because a tool's env value ``1.10`` must not become ``1.1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from dmcp.config.comments import blanked
from dmcp.config.positions import in_json
from dmcp.config.problems import spell_path
from dmcp.config.syntax import LARGEST_JSON5
from dmcp.errors import ConfigError
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_FILE = 64 * 1024 * 1024
"""Bytes. Claude Code's own file grows to some megabytes; what is larger is no configuration."""
_MAX_YAML = 1024 * 1024
"""Characters. The reader of YAML is slow, and nobody writes a megabyte by hand."""
_MAX_NODES = 100_000
"""Values of a YAML file with every alias written out. A few aliases of aliases stand for more than any memory holds."""


def read_document(path: Path) -> dict[str, Any]:
    """The file's top-level table.

    Raises:
        ConfigError: it cannot be read or parsed, with line and column where the parser knows them.
    """
    return parse_document(read_text(path), str(path), path.suffix)


def read_text(path: Path) -> str:
    """The file as text; a byte order mark is dropped, line ends are as they are.

    Raises:
        ConfigError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        return files.read(path, MAX_FILE).decode("utf-8-sig")
    except files.TooLarge:
        raise ConfigError(
            f"{path}: the file is larger than {MAX_FILE >> 20} MiB, which no configuration is"
        ) from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a directory; give a file in it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read: {error.strerror or error}") from None


def parse_document(text: str, name: str, suffix: str) -> dict[str, Any]:
    """The text's top-level table.

    Args:
        text: the contents.
        name: how errors call the file.
        suffix: ``.json``, ``.jsonc``, ``.toml``, ``.yaml`` or ``.yml``; with any other, all are tried.

    Raises:
        ConfigError: it cannot be parsed, or is something else than a table.
    """
    if not text.strip():
        raise ConfigError(f"{name}: the file is empty")
    try:
        value = _parser(text, suffix)(text)
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply to be a configuration") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: the file must hold a table of settings at its top level")
    return value


def repeated_keys(text: str) -> tuple[str, ...]:
    """Return the keys that stand twice in one object of a JSON text, of which parsers silently take the last.

    Empty for other languages, whose parsers refuse that, and for texts beyond 256 KiB, which no person has written.
    """
    if len(text) > LARGEST_JSON5 or not text.lstrip().startswith(("{", "//", "/*")):
        return ()
    return tuple(dict.fromkeys(spell_path(each.path) for each in in_json(text).repeated))


def overlaid(under: Any, over: Any) -> Any:
    """One table over another, key by key; what is no table replaces what was there."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    result = dict(under)
    for key, value in over.items():
        result[key] = overlaid(result.get(key), value)
    return result


def _parser(text: str, suffix: str) -> Callable[[str], Any]:
    named: dict[str, Callable[[str], Any]] = {
        ".json": _json,
        ".jsonc": _json,
        ".toml": _toml,
        ".yaml": _yaml,
        ".yml": _yaml,
    }
    if suffix.lower() in named:
        return named[suffix.lower()]
    if text.lstrip().startswith(("{", "//", "/*")):
        return _json
    try:
        _toml(text)
    except ValueError:
        return _yaml
    return _toml


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        strict = error
    plain = blanked(text)
    if plain != text:
        try:
            return from_json(plain)
        except ValueError as error:
            strict = error
    if len(text) > LARGEST_JSON5:
        raise ValueError(f"not valid JSON: {strict}")
    import json5  # noqa: PLC0415 - slow to import, and most files are strict JSON

    try:
        return json5.loads(text)
    except ValueError as error:
        raise ValueError(f"not valid JSON: {str(error).removeprefix('<string>:')}") from None


def _toml(text: str) -> Any:
    import tomli  # noqa: PLC0415 - one tool of many writes TOML

    return tomli.loads(text.replace("\r\n", "\n"))


def _yaml(text: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - two tools of many write YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    if len(text) > _MAX_YAML:
        raise ValueError("not valid here: a YAML file of more than 1 MiB is no configuration")
    try:
        value = YAML(typ="base", pure=True).load(text)
        if _size(value, {}, ()) > _MAX_NODES:
            raise ValueError("not valid here: its aliases (*NAME) stand for too many values")
        return _with_nulls(value)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        # What follows "with value" quotes the file, which may hold a secret.
        why = (getattr(error, "problem", None) or "cannot be parsed").partition(" with value")[0]
        raise ValueError(f"not valid YAML: {where}{why}") from None


def _size(value: Any, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values there are when every alias is written out; each value is counted once and then known."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in above:
        raise ValueError("not valid here: an alias (*NAME) stands inside of what it stands for")
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known, (*above, id(value))) for item in inner)
    return known[id(value)]


def _with_nulls(value: Any) -> Any:
    """YAML's spellings of nothing, which reading every scalar as a text has left as texts."""
    if isinstance(value, dict):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return None if value in ("null", "~") else value


def _one_line(error: ValueError) -> str:
    """The parser's words; the text around the fault is left out, since it may hold a secret."""
    return " ".join(str(error).split())[:200]
