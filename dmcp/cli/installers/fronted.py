"""What ``--replace`` switches off in a tool: the servers dmcp's configuration starts, or reaches, in the same way.

Reads files, changes none. Two servers are the same when command and arguments, or the address, are; and, under one
name, when the command alone or the host is, since a person may have mended the arguments in the meantime.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dmcp.cli.importers.documents import read_document
from dmcp.cli.importers.gather import Source, places_of, read_sources, servers_at
from dmcp.cli.importers.rendering import entry_of
from dmcp.cli.importers.tool import Location
from dmcp.cli.installers.change import ABSENT, Change, planned, value_at
from dmcp.cli.installers.hosts import NAME
from dmcp.cli.installers.text import contents_of
from dmcp.config.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.model import ImportedServer
    from dmcp.cli.importers.tool import CodingTool, Scope
    from dmcp.cli.installers.hosts import Host


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


class Fronted:
    """The servers of dmcp's configuration that are switched on, as they stand in the file."""

    def __init__(self, config: Path) -> None:
        """Read the configuration, which was checked before.

        Raises:
            ConfigError: it cannot be read.
        """
        servers = read_document(config).get("mcpServers")
        entries = servers.items() if isinstance(servers, dict) else ()
        self._entries = {name: entry for name, entry in entries if entry.get("enabled", True)}

    def __repr__(self) -> str:
        return f"<Fronted {list(self._entries)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the servers, in the order of the file."""
        return tuple(self._entries)

    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables the configuration refers to, in order."""
        asked: dict[str, str] = _Asked()
        for text in _texts(list(self._entries.values())):
            resolve(text, asked)
        return tuple(dict.fromkeys(asked))

    def has(self, server: ImportedServer) -> bool:
        """Whether dmcp stands in front of this server."""
        mine = entry_of(server, "")
        namesake = self._entries.get(server.name)
        if namesake is not None and _program(namesake) == _program(mine):
            return True
        return any(_target(entry) == _target(mine) for entry in self._entries.values())


class _Asked(dict[str, str]):
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


def switches(host: Host, scope: Scope, machine: Machine, fronted: Fronted) -> Switches:
    """What has to be changed in a tool's files so that what dmcp stands in front of is off there.

    Raises:
        ConfigError: a file of the tool cannot be read.
    """
    places = list(_places(host.tool, scope, machine))
    off, left_on = _sorted(host.tool, [place.source for place in places], machine, fronted)
    changes = []
    for place in places:
        for name in (name for name in off if name in place.source.servers):
            keys = (*place.keys, name)
            path, contents = place.source.path, place.source.contents
            if host.off is None:
                changes.append(Change(path, keys, value_at(contents, keys), ABSENT))
            else:
                changes.append(planned(path, contents, (*keys, host.off[0]), host.off[1]))
    if host.shared is not None and scope == "project":
        change, more_off, more_on = _shared(host, machine, fronted, off)
        changes += [change] if change is not None else []
        off, left_on = (*off, *more_off), (*left_on, *more_on)
    return Switches(tuple(changes), tuple(dict.fromkeys(off)), tuple(dict.fromkeys(left_on)))


def _places(tool: CodingTool, scope: Scope, machine: Machine) -> list[_Place]:
    found = []
    for path, keys, folder in places_of(tool, scope, machine):
        contents = contents_of(path) if path.is_file() else None
        servers = servers_at(contents, keys, path) if contents else None
        if servers and contents:
            found.append(_Place(keys, Source(path, scope, servers, contents, folder)))
    return found


def _sorted(
    tool: CodingTool, sources: list[Source], machine: Machine, fronted: Fronted
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the servers to be switched off, and of those that stay on."""
    on = [
        server
        for server in read_sources(tool, sources, machine).servers
        if server.enabled and server.name != NAME
    ]
    off = tuple(server.name for server in on if fronted.has(server))
    return off, tuple(server.name for server in on if server.name not in off)


def _shared(
    host: Host, machine: Machine, fronted: Fronted, gone: tuple[str, ...]
) -> tuple[Change | None, tuple[str, ...], tuple[str, ...]]:
    """The same for the file that a project's people share: their names go into the person's own list.

    So do those of ``gone``, which the person's own servers have hidden so far.
    """
    file, own_file, key = host.shared or ("", "", "")
    shared = replace(host.tool, project=(Location("{cwd}/" + file, reach="above"),))
    sources = [place.source for place in _places(shared, "project", machine)]
    off, left_on = _sorted(shared, sources, machine, fronted)
    off += tuple(name for name in left_on if name in gone)
    left_on = tuple(name for name in left_on if name not in gone)
    if not off:
        return None, (), left_on
    path = machine.cwd / own_file
    contents = contents_of(path)
    already = value_at(contents or {}, (key,))
    names = [*(already if isinstance(already, list) else []), *off]
    return planned(path, contents, (key,), names), off, left_on
