"""A tool's file as a table, and the file with a value changed and everything else in it as it was.

The format is JSON (with comments), TOML or YAML, by the file's name, or found by trying when the name does not tell. An
edit is parsed again and compared with what was meant; one that would change anything else is refused. YAML is imported
with every scalar as a text, because a tool's env value ``1.10`` must not become ``1.1``. Not here: what the keys mean.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from dmcp.cli.coding_tools.changes import ABSENT, with_value_at
from dmcp.cli.coding_tools.jsonc import with_value, without_member
from dmcp.config.comments import blanked
from dmcp.config.positions import in_json
from dmcp.config.problems import spell_path
from dmcp.config.syntax import LARGEST_JSON5
from dmcp.errors import ConfigError
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dmcp.cli.coding_tools.changes import Step

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes. Claude Code's own file grows to some megabytes; what is larger is no configuration."""
_MAX_SLOW: Final = 1024 * 1024
"""Characters of a file for the slow parsers: of YAML, and of TOML that is edited. Nobody writes a megabyte by hand."""
_MAX_NODES: Final = 100_000
_MARK: Final = "\ufeff"  # the byte order mark
"""Values of a YAML file with every alias written out. A few aliases of aliases stand for more than any memory holds."""


def read_document(path: Path) -> dict[str, Any]:
    """Return the file's top-level table.

    Raises:
        ConfigError: it cannot be read or parsed, with line and column where the parser knows them.
    """
    return parse_document(read_text(path), str(path), path.suffix)


def read_text(path: Path) -> str:
    """Return the file as text; the byte order mark and the line ends are as they are.

    Raises:
        ConfigError: it cannot be read, is too large or is not UTF-8.
    """
    try:
        return files.read(path, MAX_FILE).decode("utf-8")
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
    """Return the text's top-level table.

    Args:
        text: the contents.
        name: how errors call the file.
        suffix: ``.json``, ``.jsonc``, ``.toml``, ``.yaml`` or ``.yml``; with any other, all are tried.

    Raises:
        ConfigError: it cannot be parsed, or is something else than a table.
    """
    text = text.removeprefix(_MARK)
    if not text.strip():
        raise ConfigError(f"{name}: the file is empty")
    try:
        value = _parser(text, suffix)(text)
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply to be a configuration") from None
    except ValueError as error:
        # The parser's words without the text around the error, which may hold a secret.
        raise ConfigError(f"{name}: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: the file must hold a table of settings at its top level")
    return value


def repeated_keys(text: str) -> tuple[str, ...]:
    """Return the keys that stand twice in one object of a JSON text, of which parsers silently take the last.

    Empty for other languages, whose parsers refuse that, and for texts beyond 256 KiB, which no user has written.
    """
    text = text.removeprefix(_MARK)
    if len(text) > LARGEST_JSON5 or not text.lstrip().startswith(("{", "//", "/*")):
        return ()
    return tuple(dict.fromkeys(spell_path(each.path) for each in in_json(text).repeated))


def deep_merge(under: Any, over: Any) -> Any:
    """Merge one table into another, key by key; what is no table replaces what was there."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    result = dict(under)
    for key, value in over.items():
        result[key] = deep_merge(result.get(key), value)
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

    if len(text) > _MAX_SLOW:
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
    """Return how many values there are when every alias is written out; each value is counted once."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in above:
        raise ValueError("not valid here: an alias (*NAME) stands inside of what it stands for")
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known, (*above, id(value))) for item in inner)
    return known[id(value)]


def _with_nulls(value: Any) -> Any:
    """Replace YAML's spellings of nothing, which were read as texts."""
    if isinstance(value, dict):
        return {key: _with_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return None if value in ("null", "~") else value


# Editing --------------------------------------------------------------------------------------------------------------

_YAML: Final = (".yaml", ".yml")


def contents_of(path: Path) -> dict[str, Any] | None:
    """Return what is in a file with its numbers and truth values; ``None`` when there is none.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    return parsed(read_text(path), path) if path.exists() else None


def parsed(text: str, path: Path) -> dict[str, Any]:
    """Return the text as a table; an empty text is an empty one. Raises ``ConfigError``: it cannot be parsed."""
    text = text.removeprefix(_MARK)
    if not text.strip():
        return {}
    contents = parse_document(text, str(path), path.suffix or ".jsonc")
    if path.suffix not in _YAML:
        return contents
    from ruamel.yaml import YAML  # noqa: PLC0415 - two tools of many write YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    try:
        contents = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError):  # a tag (!NAME), or a date that is none
        raise ConfigError(f"{path}: it holds a value that is neither text, number nor table") from None
    return contents if isinstance(contents, dict) else {}


def edited(text: str, path: Path, steps: Sequence[Step]) -> str:
    """Return the text with each of these values in its place, or without the value that is there (``ABSENT``).

    The byte order mark and the line ends stay as they are.

    Raises:
        ConfigError: the values cannot be put there without disturbing something else; the user has to do it.
    """
    mark, text = text[: len(text) - len(text.lstrip(_MARK))], text.lstrip(_MARK)
    before = wanted = parsed(text, path)
    for keys, value in steps:
        wanted = with_value_at(wanted, keys, value)
    if wanted == before:
        return mark + text
    edit = _edit_yaml if path.suffix in _YAML else _edit_toml if path.suffix == ".toml" else _edit_json
    try:
        windows = edit is not _edit_json and "\r\n" in text and text.count("\r\n") == text.count("\n")
        result = (
            edit(text.replace("\r\n", "\n"), steps).replace("\n", "\r\n") if windows else edit(text, steps)
        )
        same = _comparable(parsed(result, path), path) == _comparable(wanted, path)
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError):  # what the libraries raise
        result, same = text, False
    if not same:
        where = ", ".join(".".join(keys) for keys, _ in steps)
        raise ConfigError(
            f"{path}: {where} cannot be changed without disturbing the rest of the file. Nothing was "
            "changed; edit the file by hand"
        )
    return mark + result


def _comparable(contents: Any, path: Path) -> Any:
    """Return the contents without empty tables, for TOML: there a table without a header is gone with what is in it."""
    if path.suffix != ".toml" or not isinstance(contents, Mapping):
        return contents
    inner = {key: _comparable(value, path) for key, value in contents.items()}
    return {key: value for key, value in inner.items() if value != {}}


def _edit_json(text: str, steps: Sequence[Step]) -> str:
    text = text if text.strip() else "{}\n"
    for (*above, key), value in steps:
        if value is ABSENT:
            text = without_member(text, tuple(above), key)
        else:
            text = with_value(text, tuple(above), key, value)
    return text


def _edit_toml(text: str, steps: Sequence[Step]) -> str:
    import tomlkit  # noqa: PLC0415 - one tool of many has TOML, and only here it is written

    if len(text) > _MAX_SLOW:
        raise ValueError("too large")
    document = tomlkit.parse(text)
    for keys, value in steps:
        *above, key = keys
        table: Any = document
        for step in above:
            if step not in table:
                table[step] = tomlkit.table(is_super_table=True)
            table = table[step]
        if value is ABSENT:
            table.pop(key, None)
        else:
            whole = isinstance(value, Mapping) and not isinstance(table, tomlkit.items.InlineTable)
            table[key] = _toml_table(value) if whole else value
    result: str = document.as_string()
    if result.endswith("\n\n") and not text.endswith("\n\n"):
        result = result.rstrip("\n") + "\n"
    return result


def _toml_table(value: Mapping[str, Any]) -> Any:
    """Return a table with a header of its own and an empty line behind it, which goes when the table does."""
    import tomlkit  # noqa: PLC0415 - as in ``_edit_toml``

    table: Any = tomlkit.table()
    table.update(value)
    table.add(tomlkit.nl())
    return table


def _edit_yaml(text: str, steps: Sequence[Step]) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415 - two tools of many write YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    contents = yaml.load(text) or {}
    for (*above, key), value in steps:
        table = contents
        for step in above:
            table = table.setdefault(step, {})
        if value is ABSENT:
            table.pop(key, None)
        else:
            table[key] = value
    out = io.StringIO()
    yaml.dump(contents, out)
    return out.getvalue()
