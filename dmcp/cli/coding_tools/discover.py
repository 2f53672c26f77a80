"""Find a tool's files, merge them as the tool does and read the servers in them; and the overview of all tools.

Reads files, writes none and asks nothing. A missing file is no error as long as another one exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from dmcp.cli.coding_tools.detect import is_dmcp, serves_dmcp
from dmcp.cli.coding_tools.entries import BadEntry, kind_of, read_entry, scalar
from dmcp.cli.coding_tools.formats import deep_merge, parse_document, read_document, read_text, repeated_keys
from dmcp.cli.coding_tools.model import Command, FoundFile, LoadResult, NotConverted, ToolFile
from dmcp.cli.coding_tools.places import exists, places, places_of
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.errors import ConfigError
from dmcp.store.files import base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dmcp.cli.coding_tools.model import CodingTool, ImportedServer, Scope
    from dmcp.cli.coding_tools.places import Machine


SCOPES: tuple[Scope, ...] = ("project", "user")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a tool on this machine, with the table of servers in it, and the project it is about.

    ``text`` is what was read, for a file the user has not named. ``repeated`` are keys that are in it twice.
    """

    path: Path
    scope: Scope
    servers: Mapping[str, Any]
    contents: Mapping[str, Any]
    folder: Path
    text: str | None = None
    repeated: tuple[str, ...] = ()


def sources(tool: CodingTool, scope: Scope, machine: Machine) -> list[Source]:
    """Return the files of a tool in a scope that exist, the later ones to win.

    Raises:
        ConfigError: one of them cannot be read.
    """
    found = []
    for path, keys, folder in places_of(tool, scope, machine):
        if exists(path, as_file=True):
            text = read_text(path)
            contents = parse_document(text, str(path), path.suffix)
            servers = servers_at(contents, keys, path, machine)
            if servers is not None:
                found.append(Source(path, scope, servers, contents, folder, text, repeated_keys(text)))
    return found


def servers_at(
    contents: Mapping[str, Any], keys: tuple[str, ...], path: Path, machine: Machine
) -> Mapping[str, Any] | None:
    """Return the table of servers under these keys; ``None`` when the file has none.

    Raises:
        ConfigError: what is there is no table of servers.
    """
    if is_manifest(contents):
        name = contents.get("name")
        entry = entry_of_manifest(contents, path.absolute().parent, machine)
        return {name if isinstance(name, str) and name else path.parent.name: entry}
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


def read_sources(tool: CodingTool, found: list[Source], machine: Machine) -> LoadResult:
    """Return the servers of one tool out of its files, by name.

    Raises:
        ConfigError: a settings file beside them cannot be read.
    """
    entries: dict[str, Any] = {}
    folders: dict[str, Path] = {}
    of_project: set[str] = set()
    for source in found:
        for name, raw in source.servers.items():
            entries[name] = deep_merge(entries.get(name), raw) if tool.overlays else raw
            folders[name] = source.folder
            (of_project.add if source.scope == "project" else of_project.discard)(name)
    files = tuple(ToolFile(source.path, source.scope, source.contents) for source in found)
    files += tuple(_settings(tool, {source.scope for source in found}, machine))
    servers = []
    kept = "the last one was read, as the tool does; keep one"
    notes = [
        NotConverted(source.path.name, f"the first of two at {key}", kept)
        for source in found
        for key in source.repeated
    ]
    for name in sorted(entries):
        server, new = _one(tool, name, entries[name], files, (machine, folders[name]))
        notes += new
        if server is not None:
            servers.append(replace(server, ran_in=folders[name]) if name in of_project else server)
    remarks = tuple(f"{tool.title}: {source.path} ({source.scope})" for source in found)
    untrusted = tuple(
        FoundFile(source.path, source.text, tuple(source.servers))
        for source in found
        if source.text is not None and base_of(source.path, machine.cwd, machine.home) is not None
    )
    return LoadResult(tuple(servers), tuple(notes), remarks, untrusted)


def _settings(tool: CodingTool, scopes: set[Scope], machine: Machine) -> Iterable[ToolFile]:
    """Yield the settings that exist: the user's, and a project's if servers of the project are read."""
    for scope, of_scope in groupby(tool.settings, key=lambda location: location.scope):
        if scope == "user" or scope in scopes:
            for place in places(of_scope, tool, machine):
                if exists(place.path, as_file=True):
                    yield ToolFile(place.path, scope, read_document(place.path))


def _one(
    tool: CodingTool, name: str, raw: Any, files: tuple[ToolFile, ...], where: tuple[Machine, Path]
) -> tuple[ImportedServer | None, list[NotConverted]]:
    if not name.strip():
        return None, [NotConverted('""', "a server without a name", "give it one and import again")]
    if not _can_be_written(name, raw):
        why = "not imported, since it holds half a character (a lone surrogate), or is nested too deeply"
        return None, [NotConverted(ascii(name), why, "correct it in the tool's file and import again")]
    if not isinstance(raw, Mapping):
        why = f"not imported, since the entry is {kind_of(raw)} where a table belongs"
        return None, [NotConverted(name, why, "correct it in the tool's file and import again")]
    machine, folder = where
    try:
        variables = replace(machine, cwd=folder).editor_variables()
        variables |= tool.variables(files) if tool.variables is not None else {}
        server, notes = read_entry(tool, name, raw, variables)
    except BadEntry as bad:
        return None, [NotConverted(name, f"not imported, since {bad}", bad.advice)]
    if isinstance(server.target, Command) and serves_dmcp((server.target.command, *server.target.args)):
        return None, [NotConverted(name, "not imported, since it is dmcp itself", "nothing to do")]
    if tool.is_off is not None and tool.is_off(name, files, machine.projects()):
        server = replace(server, enabled=False)
    server, more = tool.select(server, files) if tool.select is not None else (server, ())
    return server, [*notes, *more]


def _can_be_written(name: str, raw: Any) -> bool:
    """Return whether it can be written as UTF-8 at all: JSON may spell what UTF-8 cannot."""
    try:
        to_json({name: raw}, fallback=str)
    except ValueError:
        return False
    return True


# All tools ------------------------------------------------------------------------------------------------------------


def overview(machine: Machine) -> str:
    """Return a table of the tools' files that exist, and the tools that have none: ``dmcp import --list``."""
    rows = [("tool", "scope", "servers", "file"), *_rows(machine)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in rows
    ]
    found = {row[0] for row in rows}
    missing = [name for name in TOOLS if name not in found]
    if len(rows) == 1:
        lines = ["No coding tool has MCP servers here."]
    return "\n".join([*lines, f"Nothing found of: {', '.join(missing)}"] if missing else lines)


def _rows(machine: Machine) -> Iterator[tuple[str, str, str, str]]:
    for tool in TOOLS.values():
        for scope in SCOPES:
            for path, keys, _ in places_of(tool, scope, machine):
                count = _count(path, keys, machine) if exists(path, as_file=True) else None
                if count is not None:
                    yield tool.name, scope, count, str(path)


def _count(path: Path, keys: tuple[str, ...], machine: Machine) -> str | None:
    """Return how many servers there are, and whether dmcp is; ``None`` for a file that has no place for any."""
    try:
        servers = servers_at(read_document(path), keys, path, machine)
    except ConfigError as error:
        return f"unreadable ({str(error).removeprefix(f'{path}: ')})"
    if servers is None:
        return None
    mine = sum(map(is_dmcp, servers.values()))
    return f"{len(servers) - mine}, dmcp" if mine else str(len(servers))


# Extensions of Claude Desktop (MCPB, ``.mcpb`` and ``.dxt``): the manifest of an installed one as a server's entry.
# Source: the manifest specification 0.3, and the application's directories: ``Claude Extensions/ID/manifest.json``,
# with what the user has chosen in ``Claude Extensions Settings/ID.json``.

_VARIABLE: Final = re.compile(r"\$\{([\w./-]{1,200})\}")
_CHOICE: Final = "user_config."
_ENCRYPTED: Final = "__encrypted__"  # a secret in the keyring: what follows is of no use to another program


def is_manifest(contents: Mapping[str, Any]) -> bool:
    """Return whether a file is the manifest of an extension."""
    versions = (contents.get(key) for key in ("manifest_version", "dxt_version"))
    return any(isinstance(each, str) for each in versions) and isinstance(contents.get("server"), Mapping)


def entry_of_manifest(manifest: Mapping[str, Any], folder: Path, machine: Machine) -> dict[str, Any]:
    """Return the entry, with every variable filled in that is known; the others stay ``${user_config.KEY}``."""
    settings = _extension_settings(folder)
    config = _table(_table(manifest, "server"), "mcp_config")
    config = {**config, **_table(_table(config, "platform_overrides"), machine.platform)}
    separator = machine.editor_variables()["pathSeparator"]
    known: dict[str, Any] = {"__dirname": str(folder), "pathSeparator": separator, "/": separator}
    known["HOME"] = str(machine.home)
    known |= {
        name.upper(): f"{machine.home}{separator}{name}" for name in ("Desktop", "Documents", "Downloads")
    }
    for key, about in _table(manifest, "user_config").items():
        value = _table(settings, "userConfig").get(key, _table({"": about}, "").get("default"))
        if isinstance(value, list):
            known[_CHOICE + key] = [_filled(scalar(item), known) for item in value]
        elif value is not None and not scalar(value).startswith(_ENCRYPTED):
            known[_CHOICE + key] = _filled(scalar(value), known)
    env = config.get("env")
    entry = {
        "command": _filled(config.get("command"), known),
        "args": _arguments(config.get("args"), known),
        "env": {name: _filled(text, known) for name, text in env.items()}
        if isinstance(env, Mapping)
        else env,
        "description": manifest.get("description"),
        "disabled": settings.get("isEnabled") is False,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _extension_settings(folder: Path) -> Mapping[str, Any]:
    """Return what the user has chosen; nothing where that cannot be read."""
    try:
        return read_document(folder.parent.parent / "Claude Extensions Settings" / f"{folder.name}.json")
    except ConfigError:
        return {}


def _table(contents: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = contents.get(key)
    return found if isinstance(found, Mapping) else {}


def _arguments(args: Any, known: Mapping[str, Any]) -> Any:
    """Return the arguments; one that is nothing but a variable with several values becomes several."""
    if not isinstance(args, list):
        return args
    filled: list[Any] = []
    for arg in args:
        match = _VARIABLE.fullmatch(arg) if isinstance(arg, str) else None
        values = known.get(match[1]) if match else None
        filled += values if isinstance(values, list) else [_filled(arg, known)]
    return filled


def _filled(text: Any, known: Mapping[str, Any]) -> Any:
    """Return a text with the known variables filled in; the values are not looked at again."""
    if not isinstance(text, str):
        return text
    return _VARIABLE.sub(
        lambda match: found if isinstance(found := known.get(match[1]), str) else match[0], text
    )
