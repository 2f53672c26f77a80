"""What ``dmcp install`` has changed, kept so that ``dmcp uninstall`` can undo it: one file for each tool and place.

Only the user can read the files, since an entry that was taken out may hold secrets.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from dmcp.cli.coding_tools.changes import Change
from dmcp.cli.coding_tools.formats import read_text
from dmcp.cli.writing import backup_of, write_whole
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dmcp.cli.coding_tools.places import Machine
    from dmcp.cli.coding_tools.tool import CodingTool, Scope

_ONLY_MINE = 0o700
_OTHERS = 0o077


@dataclass(slots=True)
class Made:
    """What ``dmcp install`` has created besides its entries, and removes again if nobody has used it since.

    Attributes:
        files: files that were not there.
        folders: directories that were not there.
        backups: backups, with the SHA-256 of what is in them.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)

    def note_missing(self, path: Path) -> None:
        """Remember which of a file and the directories above it are not there yet."""
        if not path.exists() and not path.is_symlink() and str(path) not in self.files:
            self.files.append(str(path))
        for folder in path.parents:
            if folder.exists():
                break
            if str(folder) not in self.folders:
                self.folders.append(str(folder))

    def note_backup(self, path: Path, content: bytes) -> None:
        """Remember a backup dmcp has made."""
        self.backups[str(path)] = hashlib.sha256(content).hexdigest()


class Record:
    """The changes of one tool in one scope, in the order they were made."""

    def __init__(self, tool: CodingTool, scope: Scope, machine: Machine) -> None:
        """Name the file; nothing is read yet."""
        # A tool whose file names the project means the repository's directory, the others the one dmcp runs in.
        by_name = any("{cwd}" in place.servers for place in tool.project)
        project = machine.projects()[0] if by_name else str(machine.cwd)
        where = "user" if scope == "user" else hashlib.sha256(project.encode()).hexdigest()[:16]
        self._folder = machine.home / ".dynamic-mcp" / "installed"
        self.path = self._folder / f"{tool.name}-{where}.json"
        self._about = {"tool": tool.name, "scope": scope, "project": project}

    def __repr__(self) -> str:
        return f"<Record {self.path}>"

    def changes(self) -> tuple[Change, ...]:
        """Return what was changed; nothing when nothing is kept.

        Raises:
            ConfigError: what is kept cannot be read.
        """
        if not self.path.exists():
            return ()
        try:
            kept = from_json(read_text(self.path))
            return tuple(Change.from_json(change) for change in kept["changes"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.path}: what dmcp install changed cannot be read; undo it by hand, then delete this file"
            ) from None

    def made(self) -> Made:
        """Return what dmcp has made; nothing when nothing is kept, or an older dmcp has kept it."""
        try:
            kept = from_json(read_text(self.path))["made"]
            return Made(
                [str(path) for path in kept["files"]],
                [str(path) for path in kept["folders"]],
                {str(path): str(digest) for path, digest in kept["backups"].items()},
            )
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError):
            return Made()

    def keep(self, changes: Sequence[Change], made: Made | None = None) -> None:
        """Replace what is kept; without changes the file goes.

        Raises:
            ConfigError: it cannot be written.
        """
        if not changes:
            for path in (self.path, backup_of(self.path)):
                path.unlink(missing_ok=True)
            return
        try:
            self._folder.mkdir(mode=_ONLY_MINE, parents=True, exist_ok=True)
            if self._folder.stat().st_mode & _OTHERS:
                self._folder.chmod(_ONLY_MINE)
        except OSError as error:
            raise ConfigError(f"{self._folder}: cannot be made: {error.strerror or error}") from None
        text = to_json(
            {
                **self._about,
                "changes": [change.as_json() for change in changes],
                "made": asdict(made or Made()),
            },
            indent=2,
        ).decode()
        write_whole(self.path, text + "\n", "make it writable", keep=False, links="replace", private=True)
