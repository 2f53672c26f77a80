"""From a tool to the servers it knows: finds its files, lays them over each other, reads the entries.

Reads files; writes none and asks nothing. A file that is not there is no error as long as another one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from dmcp.cli.importers.documents import overlaid, parse_document, read_document, read_text, repeated_keys
from dmcp.cli.importers.entries import read_entry
from dmcp.cli.importers.fields import BadEntry, Entry, kind_of
from dmcp.cli.importers.machine import is_there
from dmcp.cli.importers.model import Command, FoundFile, Harvest, NotCarried
from dmcp.cli.importers.own import serves_dmcp
from dmcp.cli.importers.places import places
from dmcp.cli.importers.tool import Found
from dmcp.errors import ConfigError
from dmcp.store.files import base_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.model import ImportedServer
    from dmcp.cli.importers.places import Place
    from dmcp.cli.importers.tool import CodingTool, Scope


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a tool that is on this machine, with the table of servers in it, and the project it is about.

    ``text`` is what was read, for a file that was looked for; a person has named the others. ``repeated`` are keys that
    stand in it twice.
    """

    path: Path
    scope: Scope
    servers: Mapping[str, Any]
    contents: Mapping[str, Any]
    folder: Path
    text: str | None = None
    repeated: tuple[str, ...] = ()


def locations(tool: CodingTool, scope: Scope, machine: Machine) -> list[tuple[Path, tuple[str, ...]]]:
    """Where a tool keeps its servers in a scope on this machine: paths, and the keys that lead to them."""
    return [(place.path, place.keys) for place in places_of(tool, scope, machine)]


def places_of(tool: CodingTool, scope: Scope, machine: Machine) -> list[Place]:
    """The same, each with the project it is about."""
    return places(tool.project if scope == "project" else tool.user, tool, machine)


def sources(tool: CodingTool, scope: Scope, machine: Machine) -> list[Source]:
    """The files of a tool in a scope that are there, the later ones to win.

    Raises:
        ConfigError: one is there and cannot be read.
    """
    found = []
    for path, keys, folder in places_of(tool, scope, machine):
        if is_there(path, as_file=True):
            text = read_text(path)
            contents = parse_document(text, str(path), path.suffix)
            servers = servers_at(contents, keys, path)
            if servers is not None:
                found.append(Source(path, scope, servers, contents, folder, text, repeated_keys(text)))
    return found


def servers_at(contents: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> Mapping[str, Any] | None:
    """The table of servers under these keys; ``None`` when the file has none.

    Raises:
        ConfigError: what is there is no table of servers.
    """
    value: Any = contents
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        return {_name_in_list(item, at): item for at, item in enumerate(value, 1)}
    if not isinstance(value, Mapping):
        raise ConfigError(f'{path}: "{".".join(keys)}" is {kind_of(value)} where a table of servers belongs')
    return value


def _name_in_list(item: Any, at: int) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name else f"server-{at}"


def read_sources(tool: CodingTool, found: list[Source], machine: Machine) -> Harvest:
    """The servers of one tool out of its files, by name.

    Raises:
        ConfigError: a settings file beside them cannot be read.
    """
    entries: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    of_project: set[str] = set()
    for source in found:
        for name, raw in source.servers.items():
            entries[name] = overlaid(entries.get(name), raw) if tool.overlays else raw
            folders[name] = source.folder
            (of_project.add if source.scope == "project" else of_project.discard)(name)
    files = tuple(Found(source.path, source.scope, source.contents) for source in found)
    files += tuple(_settings(tool, {source.scope for source in found}, machine))
    servers = []
    notes = [_twice(source.path, key) for source in found for key in source.repeated]
    for name in sorted(entries):
        server, new = _one(tool, name, entries[name], files, (machine, folders[name]))
        notes += new
        if server is not None:
            servers.append(replace(server, ran_in=folders[name]) if name in of_project else server)
    remarks = tuple(f"{tool.title}: {source.path} ({source.scope})" for source in found)
    strange = tuple(
        FoundFile(source.path, source.text, tuple(source.servers))
        for source in found
        if source.text is not None and base_of(source.path, machine.cwd, machine.home) is not None
    )
    return Harvest(tuple(servers), tuple(notes), remarks, strange)


def _twice(path: Path, key: str) -> NotCarried:
    return NotCarried(
        path.name, f"the first of two at {key}", "the last one was read, as the tool does; keep one"
    )


def _settings(tool: CodingTool, scopes: set[Scope], machine: Machine) -> Iterable[Found]:
    """The settings that are there: the person's, and a project's if servers of the project are read."""
    for scope, of_scope in groupby(tool.settings, key=lambda location: location.scope):
        if scope == "user" or scope in scopes:
            for place in places(of_scope, tool, machine):
                if is_there(place.path, as_file=True):
                    yield Found(place.path, scope, read_document(place.path))


def _one(
    tool: CodingTool, name: str, raw: Any, files: tuple[Found, ...], where: tuple[Machine, Path]
) -> tuple[ImportedServer | None, list[NotCarried]]:
    if not name.strip():
        return None, [NotCarried('""', "a server without a name", "give it one and import again")]
    if not _can_be_written(name, raw):
        why = "not imported, since it holds half a character (a lone surrogate), or is nested too deeply"
        return None, [NotCarried(ascii(name), why, "correct it in the tool's file and import again")]
    if not isinstance(raw, Mapping):
        why = f"not imported, since the entry is {kind_of(raw)} where a table belongs"
        return None, [NotCarried(name, why, "correct it in the tool's file and import again")]
    machine, folder = where
    try:
        entry = Entry(name, tool.unwrap(name, raw), tool, replace(machine, cwd=folder).predefined())
        server = read_entry(entry, tool)
    except BadEntry as bad:
        return None, [NotCarried(name, f"not imported, since {bad}", bad.advice)]
    if isinstance(server.target, Command) and serves_dmcp((server.target.command, *server.target.args)):
        return None, [NotCarried(name, "not imported, since it is dmcp itself", "nothing to do")]
    if tool.switched_off(name, raw, files, machine.projects()):
        server = replace(server, enabled=False)
    server, more = tool.select(server, files)
    return server, [*entry.notes, *more]


def _can_be_written(name: str, raw: Any) -> bool:
    """Whether a terminal and a file can show it at all: JSON may spell what UTF-8 cannot."""
    try:
        to_json({name: raw}, fallback=str)
    except ValueError:
        return False
    return True
