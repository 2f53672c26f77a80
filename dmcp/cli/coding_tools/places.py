"""Where a tool's files are on this machine: its directories, and the tool's locations with the variables filled in.

``Machine`` is a snapshot, so that a test can describe another machine. Looks which files exist and reads none:
that is for ``discover``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dmcp.cli.coding_tools.model import CodingTool, Location, Reach, Scope


def exists(path: Path, *, as_file: bool = False) -> bool:
    """Return whether there is such a path, or such a file. What dmcp is not allowed to look at counts as missing.

    Reads the directory. Up to Python 3.13 ``pathlib`` raises where a directory on the way may not be searched.
    """
    try:
        return path.is_file() if as_file else path.exists()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Machine:
    """The user's directories.

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
        """Return the machine this process runs on."""
        return cls(Path.home(), Path.cwd(), dict(os.environ), sys.platform)

    def variables(self) -> dict[str, str]:
        """Return the variables a path template may use."""
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
        """Return what a tool may take for the project: the root of the repository, then the directory itself."""
        return tuple(dict.fromkeys((str(self._repository() or self.cwd), str(self.cwd))))

    def folders(self, reach: Reach) -> tuple[Path, ...]:
        """Return the directories a tool looks into for a project's files, in the order in which the later ones win."""
        if reach == "here":
            return (self.cwd,)
        above = (self.cwd, *self.cwd.parents)
        root = self._repository()
        if reach == "above" or (root is None and reach in {"worktree", "worktree outwards"}):
            inner_first = above[:-1] or above  # the root of the file system is no project
        else:
            inner_first = above[: above.index(root or self.cwd) + 1]
        return inner_first if reach == "worktree outwards" else inner_first[::-1]

    def _repository(self) -> Path | None:
        """Return the root of the repository the working directory is in, if it is in one."""
        above = (self.cwd, *self.cwd.parents)
        return next((folder for folder in above if exists(folder / ".git")), None)

    def editor_variables(self) -> dict[str, str]:
        """Return the variables that editors define themselves, for ``references``."""
        separator = "\\" if self.platform == "win32" else "/"
        return {
            "workspaceFolder": str(self.cwd),
            "workspaceFolderBasename": self.cwd.name,
            "cwd": str(self.cwd),
            "userHome": str(self.home),
            "pathSeparator": separator,
            "/": separator,
        }


class Place(NamedTuple):
    """A location on this machine.

    Attributes:
        path: the file, whether it exists or not; one above the working directory always does.
        keys: what leads to the servers in it.
        folder: the directory that stands for ``{cwd}``: the project the file is about.
    """

    path: Path
    keys: tuple[str, ...]
    folder: Path


def places(locations: Iterable[Location], tool: CodingTool, machine: Machine) -> list[Place]:
    """Return where these locations of a tool are, in the order in which the later ones win.

    Locations that stand side by side and reach equally far are gone through directory by directory.
    """
    names = machine.variables()
    if tool.root is not None:
        variable, default = tool.root
        names["root"] = machine.environ.get(variable) or default.format_map(names)
    found: list[Place] = []
    for reach, group in groupby(locations, key=lambda location: location.reach):
        side_by_side = list(group)
        there = [
            place
            for folder in machine.folders(reach)
            for location in side_by_side
            for place in _in_folder(location, folder, names, machine)
            if folder == machine.cwd or exists(place.path, as_file=True)
        ]
        found += _nearest(there, machine) if reach == "nearest" else there
    return found


def places_of(tool: CodingTool, scope: Scope, machine: Machine) -> list[Place]:
    """Return where a tool keeps its servers in a scope, in the order in which the later ones win."""
    return places(tool.project if scope == "project" else tool.user, tool, machine)


def _nearest(there: list[Place], machine: Machine) -> list[Place]:
    """Return the places in the innermost directory with such a file, else in the working directory."""
    nearest = next(
        (place.folder for place in reversed(there) if exists(place.path, as_file=True)), machine.cwd
    )
    return [place for place in there if place.folder == nearest]


def _in_folder(
    location: Location, folder: Path, names: Mapping[str, str], machine: Machine
) -> Iterable[Place]:
    if location.platforms and machine.platform not in location.platforms:
        return
    named = {**names, "cwd": str(folder)}
    if location.unless and exists(Path(location.unless.format_map(named)), as_file=True):
        return
    moved = location.path[1:] if location.path.startswith("$") else None
    path = machine.environ.get(moved, "") if moved else location.path.format_map(named)
    ways = dict.fromkeys(
        tuple(project if key == "{cwd}" else key for key in location.servers)
        for project in machine.projects()
    )
    for each in _matching(path) if "/*" in location.path else [Path(path)] if path else []:
        for keys in ways:
            yield Place(each, keys, folder)


def _matching(path: str) -> list[Path]:
    """Return the files that ``/*`` in a path stands for: those of a directory, or of the directories in it."""
    folder, _, rest = path.rpartition("/*")
    files = Path(folder).glob(f"*{rest}") if exists(Path(folder)) else ()
    return sorted(each for each in files if each.suffix in {".yaml", ".yml", ".json"})
