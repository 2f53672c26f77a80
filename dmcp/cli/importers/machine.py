"""Where things are on this machine: the directories that coding tools keep their files under.

A snapshot taken once, so that a test can describe another machine. Not here: what is in the files.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.tool import Reach


def is_there(path: Path, *, as_file: bool = False) -> bool:
    """Whether there is such a path, or such a file. What dmcp may not look at counts as not there: nobody can use it.

    Reads the directory. Up to Python 3.13 ``pathlib`` raises where a directory on the way may not be searched.
    """
    try:
        return path.is_file() if as_file else path.exists()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Machine:
    """One person's directories.

    Attributes:
        home: the home directory.
        cwd: the project: where the command was started.
        environ: environment variables; some tools let them move their files.
        platform: as ``sys.platform``: "linux", "darwin" or "win32".
    """

    home: Path
    cwd: Path
    environ: Mapping[str, str]
    platform: str

    @classmethod
    def here(cls) -> Machine:
        """The machine this process runs on."""
        return cls(Path.home(), Path.cwd(), dict(os.environ), sys.platform)

    def places(self) -> dict[str, str]:
        """The names a path template may use, with their values."""
        home = str(self.home)
        appdata = self.environ.get("APPDATA") or f"{home}/AppData/Roaming"
        xdg = self.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
        programs = {"darwin": f"{home}/Library/Application Support", "win32": appdata}.get(self.platform, xdg)
        return {
            "home": home,
            "cwd": str(self.cwd),
            "xdg": xdg,
            "programs": programs,
            "appdata": appdata,
            "localappdata": self.environ.get("LOCALAPPDATA") or f"{home}/AppData/Local",
            "code": f"{programs}/Code/User",
        }

    def projects(self) -> tuple[str, ...]:
        """What a tool may take for the project: the root of the repository, then the directory itself."""
        return tuple(dict.fromkeys((str(self._repository() or self.cwd), str(self.cwd))))

    def folders(self, reach: Reach) -> tuple[Path, ...]:
        """The directories a tool looks into for a project's files, in the order in which the later ones win."""
        if reach == "here":
            return (self.cwd,)
        above = (self.cwd, *self.cwd.parents)
        root = self._repository()
        if reach == "above" or (root is None and reach in {"worktree", "worktree outwards"}):
            inner_first = above[:-1] or above  # the root of the file system is nobody's project
        else:
            inner_first = above[: above.index(root or self.cwd) + 1]
        return inner_first if reach == "worktree outwards" else inner_first[::-1]

    def _repository(self) -> Path | None:
        """The root of the repository the working directory is in, if it is in one."""
        above = (self.cwd, *self.cwd.parents)
        return next((folder for folder in above if is_there(folder / ".git")), None)

    def predefined(self) -> dict[str, str]:
        """The variables editors define themselves, for ``references``."""
        separator = "\\" if self.platform == "win32" else "/"
        return {
            "workspaceFolder": str(self.cwd),
            "workspaceFolderBasename": self.cwd.name,
            "cwd": str(self.cwd),
            "userHome": str(self.home),
            "pathSeparator": separator,
            "/": separator,
        }
