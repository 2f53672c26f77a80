"""Where on this machine a tool's files are: its locations with the names filled in, in the directories above too.

Looks which files are there; reads none. Not here: what is in them (``gather``).
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dmcp.cli.importers.machine import is_there

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.tool import CodingTool, Location


class Place(NamedTuple):
    """A location on this machine.

    Attributes:
        path: the file, whether it is there or not; one above the working directory is always there.
        keys: what leads to the servers in it.
        folder: the directory that stands for ``{cwd}``: the project the file is about.
    """

    path: Path
    keys: tuple[str, ...]
    folder: Path


def places(locations: Iterable[Location], tool: CodingTool, machine: Machine) -> list[Place]:
    """Where these locations of a tool are, in the order in which the later ones win.

    Locations that stand side by side and reach equally far are gone through directory by directory.
    """
    names = machine.places()
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
            if folder == machine.cwd or is_there(place.path, as_file=True)
        ]
        found += _nearest(there, machine) if reach == "nearest" else there
    return found


def _nearest(there: list[Place], machine: Machine) -> list[Place]:
    """Those of the innermost directory with such a file, else of the working directory."""
    nearest = next(
        (place.folder for place in reversed(there) if is_there(place.path, as_file=True)), machine.cwd
    )
    return [place for place in there if place.folder == nearest]


def _in_folder(
    location: Location, folder: Path, names: Mapping[str, str], machine: Machine
) -> Iterable[Place]:
    if location.platforms and machine.platform not in location.platforms:
        return
    named = {**names, "cwd": str(folder)}
    if location.unless and is_there(Path(location.unless.format_map(named)), as_file=True):
        return
    moved = location.path[1:] if location.path.startswith("$") else None
    path = machine.environ.get(moved, "") if moved else location.path.format_map(named)
    ways = dict.fromkeys(
        tuple(project if key == "{cwd}" else key for key in location.servers)
        for project in machine.projects()
    )
    for each in _matching(path):
        for keys in ways:
            yield Place(each, keys, folder)


def _matching(path: str) -> list[Path]:
    """The path itself, or the files of a directory when it ends with ``/*``; none for an empty one."""
    if path.endswith("/*"):
        folder = Path(path[:-2])
        files = folder.glob("*") if is_there(folder) else ()
        return sorted(each for each in files if each.suffix in {".yaml", ".yml", ".json"})
    return [Path(path)] if path else []
