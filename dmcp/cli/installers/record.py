"""What ``dmcp install`` has changed, kept so that ``dmcp uninstall`` can undo it: one file for each tool and place.

The files are the person's alone, since an entry that was taken out may hold secrets.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from dmcp.cli.importers.documents import read_text
from dmcp.cli.importers.writing import backup_of, write_whole
from dmcp.cli.installers.change import Change
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.tool import CodingTool, Scope

_ONLY_MINE = 0o700
_OTHERS = 0o077


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
        """What was changed; nothing when nothing is kept.

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

    def keep(self, changes: Sequence[Change]) -> None:
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
            {**self._about, "changes": [change.as_json() for change in changes]}, indent=2
        ).decode()
        write_whole(self.path, text + "\n", "make it writable", keep=False, links="replace", private=True)
