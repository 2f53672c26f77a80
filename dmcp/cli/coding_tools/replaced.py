"""The servers of a tool that dmcp replaces, which ``dmcp install --replace`` switches off there.

Reads files, changes none. Two servers are the same when command and arguments, or the address, are; and, under one
name, when the command alone or the host is, since the user may have corrected the arguments in the meantime.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dmcp.cli.coding_tools.changes import ABSENT, Change, planned, value_at
from dmcp.cli.coding_tools.discover import Source, read_sources, servers_at
from dmcp.cli.coding_tools.formats import contents_of, read_document
from dmcp.cli.coding_tools.model import SERVER_NAME, Location
from dmcp.cli.coding_tools.output import entry_of
from dmcp.cli.coding_tools.places import places_of
from dmcp.config.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dmcp.cli.coding_tools.model import CodingTool, ImportedServer, Scope
    from dmcp.cli.coding_tools.places import Machine


@dataclass(frozen=True, slots=True)
class Switches:
    """What to change, and which servers that is.

    Attributes:
        changes: one for each value in the files.
        off: the servers that will be off.
        left_on: the servers that stay on, because dmcp's configuration has nothing like them.
    """

    changes: tuple[Change, ...] = ()
    off: tuple[str, ...] = ()
    left_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """A file of a tool with the keys that lead to its servers, as read."""

    keys: tuple[str, ...]
    source: Source


class ReplacedServers:
    """The servers of dmcp's configuration that are switched on, as they are in the file."""

    def __init__(self, config: Path) -> None:
        """Read the configuration, which was checked before. Raises ``ConfigError``: it cannot be read."""
        servers = read_document(config).get("mcpServers")
        entries = servers.items() if isinstance(servers, dict) else ()
        self._entries = {name: entry for name, entry in entries if entry.get("enabled", True)}

    def __repr__(self) -> str:
        return f"<ReplacedServers {list(self._entries)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the servers, in the order of the file."""
        return tuple(self._entries)

    def variables(self) -> tuple[str, ...]:
        """Return the names of the environment variables the configuration refers to, in order."""
        asked: dict[str, str] = _RecordingEnvironment()
        for text in _texts(list(self._entries.values())):
            resolve(text, asked)
        return tuple(dict.fromkeys(asked))

    def include(self, server: ImportedServer) -> bool:
        """Return whether dmcp replaces this server."""
        other = entry_of(server, "")
        namesake = self._entries.get(server.name)
        if namesake is not None and _program(namesake) == _program(other):
            return True
        return any(_target(entry) == _target(other) for entry in self._entries.values())


class _RecordingEnvironment(dict[str, str]):
    """An environment in which nothing is set, and which keeps the names that were asked for."""

    def get(self, key: str, default: Any = None) -> Any:
        self[key] = ""
        return default


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _texts(item)]


def _target(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return entry.get("command"), tuple(entry.get("args") or ()), entry.get("url")


def _program(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    url = entry.get("url")
    try:
        return entry.get("command"), urlsplit(url).netloc if isinstance(url, str) else None
    except ValueError:
        return entry.get("command"), url


def switches(tool: CodingTool, scope: Scope, machine: Machine, servers: ReplacedServers) -> Switches:
    """Return what has to be changed in a tool's files so that the servers dmcp replaces are off there.

    Raises:
        ConfigError: a file of the tool cannot be read.
    """
    places = list(_places(tool, scope, machine))
    off, left_on = _sorted(tool, [place.source for place in places], machine, servers)
    changes = []
    for place in places:
        for name in (name for name in off if name in place.source.servers):
            keys = (*place.keys, name)
            path, contents = place.source.path, place.source.contents
            if tool.install.off is None:
                changes.append(Change(path, keys, value_at(contents, keys), ABSENT))
            else:
                changes.append(planned(path, contents, (*keys, tool.install.off[0]), tool.install.off[1]))
    if tool.install.shared is not None and scope == "project":
        change, more_off, more_on = _shared(tool, machine, servers, off)
        changes += [change] if change is not None else []
        off, left_on = (*off, *more_off), (*left_on, *more_on)
    return Switches(tuple(changes), tuple(dict.fromkeys(off)), tuple(dict.fromkeys(left_on)))


def _places(tool: CodingTool, scope: Scope, machine: Machine) -> list[_Place]:
    found = []
    for path, keys, folder in places_of(tool, scope, machine):
        contents = contents_of(path) if path.is_file() else None
        servers = servers_at(contents, keys, path, machine) if contents else None
        if servers and contents:
            found.append(_Place(keys, Source(path, scope, servers, contents, folder)))
    return found


def _sorted(
    tool: CodingTool, sources: list[Source], machine: Machine, replaced: ReplacedServers
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the servers to be switched off, and of those that stay on."""
    on = [
        server
        for server in read_sources(tool, sources, machine).servers
        if server.enabled and server.name != SERVER_NAME
    ]
    off = tuple(server.name for server in on if replaced.include(server))
    return off, tuple(server.name for server in on if server.name not in off)


def _shared(
    tool: CodingTool, machine: Machine, replaced: ReplacedServers, gone: tuple[str, ...]
) -> tuple[Change | None, tuple[str, ...], tuple[str, ...]]:
    """Return the same for the file of the project that everybody shares: names go into the user's own list.

    So do those of ``gone``, which the user's own servers have hidden so far.
    """
    file, own_file, key = tool.install.shared or ("", "", "")
    shared = replace(tool, project=(Location("{cwd}/" + file, reach="above"),))
    sources = [place.source for place in _places(shared, "project", machine)]
    off, left_on = _sorted(shared, sources, machine, replaced)
    off += tuple(name for name in left_on if name in gone)
    left_on = tuple(name for name in left_on if name not in gone)
    if not off:
        return None, (), left_on
    path = machine.cwd / own_file
    contents = contents_of(path)
    already = value_at(contents or {}, (key,))
    names = [*(already if isinstance(already, list) else []), *off]
    return planned(path, contents, (key,), names), off, left_on
