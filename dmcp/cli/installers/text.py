"""A file's text with a value put in or taken out, and everything else in it as it was: JSON, JSONC, TOML or YAML.

Each outcome is parsed and compared with what was meant; an edit that would do anything else is refused.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.documents import parse_document, read_text
from dmcp.cli.importers.jsonc_text import with_value, without_member
from dmcp.cli.installers.change import ABSENT, value_at, with_value_at
from dmcp.cli.installers.toml_text import with_key, with_table, without_key, without_table
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_YAML = (".yaml", ".yml")


def contents_of(path: Path) -> dict[str, Any] | None:
    """What is in a file; nothing for an empty one, ``None`` when there is none.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    return parsed(read_text(path), path) if path.exists() else None


def parsed(text: str, path: Path) -> dict[str, Any]:
    """The text as a table; an empty text is an empty one.

    Raises:
        ConfigError: it cannot be parsed.
    """
    if not text.strip():
        return {}
    contents = parse_document(text, str(path), path.suffix or ".jsonc")
    return _yaml(text) if path.suffix in _YAML else contents


def edited(text: str, path: Path, keys: tuple[str, ...], value: Any) -> str:
    """The text with this value there, or without the value that is there (``ABSENT``).

    Raises:
        ConfigError: the value cannot be put there without disturbing something else; a person has to do it.
    """
    before = parsed(text, path)
    wanted = with_value_at(before, keys, value)
    if wanted == before:
        return text
    try:
        outcome = _edited(text, path, keys, value, before)
        same = _comparable(parsed(outcome, path), path) == _comparable(wanted, path)
    except (ValueError, ConfigError):
        same = False
        outcome = text
    if not same:
        raise ConfigError(
            f"{path}: {'.'.join(keys)} cannot be changed without disturbing the rest of the file. Nothing was "
            "changed; edit the file by hand"
        )
    return outcome


def _comparable(contents: Any, path: Path) -> Any:
    """The contents without empty tables, in TOML: there a table without a header is gone with what is in it."""
    if path.suffix != ".toml" or not isinstance(contents, Mapping):
        return contents
    inner = {key: _comparable(value, path) for key, value in contents.items()}
    return {key: value for key, value in inner.items() if value != {}}


def _edited(text: str, path: Path, keys: tuple[str, ...], value: Any, before: Mapping[str, Any]) -> str:
    *above, key = keys
    if path.suffix in _YAML:
        return _yaml_edited(text, keys, value)
    if path.suffix == ".toml":
        return _toml_edited(text, keys, value, before)
    if value is ABSENT:
        return without_member(text, tuple(above), key)
    return with_value(text if text.strip() else "{}\n", tuple(above), key, value)


def _toml_edited(text: str, keys: tuple[str, ...], value: Any, before: Mapping[str, Any]) -> str:
    *above, key = keys
    if isinstance(value, Mapping):
        without = without_table(text, keys) if value_at(before, keys) is not ABSENT else text
        return with_table(without, keys, dict(value))
    if value is not ABSENT:
        return with_key(text, tuple(above), key, value)
    if isinstance(value_at(before, keys), Mapping):
        return without_table(text, keys)
    return without_key(text, tuple(above), key)


def _yaml(text: str) -> dict[str, Any]:
    """The text with its numbers and truth values as such, which ``documents`` leaves as texts."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - two tools of many write YAML

    contents = YAML(typ="safe", pure=True).load(text)
    return contents if isinstance(contents, dict) else {}


def _yaml_edited(text: str, keys: tuple[str, ...], value: Any) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415 - two tools of many write YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    contents = yaml.load(text) or {}
    table = contents
    *above, key = keys
    for step in above:
        table = table.setdefault(step, {})
    if value is ABSENT:
        del table[key]
    else:
        table[key] = value
    out = io.StringIO()
    yaml.dump(contents, out)
    return out.getvalue()
