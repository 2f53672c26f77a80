"""dmcp's configuration file as it will be: a new one, or an existing one with servers added.

Decides the whole text before anything is written. Not here: writing it (``writing``), asking about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dmcp.cli import schema
from dmcp.cli.importers.documents import parse_document, read_text
from dmcp.cli.importers.jsonc_text import with_member
from dmcp.cli.importers.rendering import file_text
from dmcp.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SERVERS = "mcpServers"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would be written.

    Attributes:
        text: the whole file.
        added: the names of the servers that are new in it.
        kept: the names that were there already, and stay as they were.
        before: the bytes of the file that was added to, as text; nothing for a file of its own.
    """

    text: str = field(repr=False)
    added: tuple[str, ...]
    kept: tuple[str, ...] = ()
    before: str | None = field(default=None, repr=False)


def check_name(path: Path, *, merge: bool) -> None:
    """Whether a file of this name can be written at all.

    Raises:
        ConfigError: it cannot, with what to do.
    """
    if path.suffix.lower() == ".toml":
        do = "add the servers to it by hand, or merge" if merge else "import"
        raise ConfigError(f"{path}: dmcp import writes JSON, not TOML; {do} into a file that ends in .json")
    schema.check_name(path)
    if path.is_dir():
        raise ConfigError(f"{path}: this is a directory; give a file in it with --output")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: its directory does not exist; create it, or choose another with --output")


def fresh(entries: Mapping[str, dict[str, Any]]) -> Outcome:
    """A file of its own."""
    return Outcome(file_text(entries.items()), tuple(entries))


def merged(path: Path, entries: Mapping[str, dict[str, Any]]) -> Outcome:
    """The existing file with the servers it does not have yet, everything else in it untouched.

    Raises:
        ConfigError: the existing file cannot be read, or is no configuration of dmcp.
    """
    text = read_text(path)
    original = text
    before = parse_document(text, str(path), ".jsonc")
    servers = before.get(_SERVERS, {})
    if not isinstance(servers, dict):
        raise ConfigError(f'{path}: "{_SERVERS}" is no table; mend the file before merging into it')
    added = {name: entry for name, entry in entries.items() if name not in servers}
    for name, entry in added.items():
        text = _with(text, path, name, entry)
    if parse_document(text, str(path), ".jsonc") != {**before, _SERVERS: {**servers, **added}}:
        raise InternalError(
            f"{path}: servers could not be added without changing the rest; nothing was changed"
        )
    return Outcome(text, tuple(added), tuple(name for name in entries if name in servers), original)


def _with(text: str, path: Path, name: str, entry: dict[str, Any]) -> str:
    try:
        return with_member(text, (_SERVERS,), name, entry)
    except ValueError as error:
        raise ConfigError(f"{path}: servers cannot be added to this file: {error}") from None
