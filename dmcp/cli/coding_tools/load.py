"""Load the servers of what ``dmcp import`` was given: a tool, a file or everything.

Finding out whether there is something to read, and reading it, are two steps: the user may be asked in between whether
to overwrite. Not here: the questions, and dmcp's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcp.cli.coding_tools.detect import is_dmcp, project_of, servers_at_top, tables_of_servers, tool_of
from dmcp.cli.coding_tools.discover import SCOPES, Source, is_manifest, read_sources, servers_at, sources
from dmcp.cli.coding_tools.formats import parse_document, read_text, repeated_keys
from dmcp.cli.coding_tools.model import LoadResult, NotConverted
from dmcp.cli.coding_tools.places import exists, places_of
from dmcp.cli.coding_tools.table import TOOLS, nearest
from dmcp.cli.formatting import count
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.model import CodingTool, FoundFile, ImportedServer, Scope
    from dmcp.cli.coding_tools.places import Machine

Read = Callable[[], LoadResult]
"""Reads what was found to be there. Raises ``ConfigError`` when it cannot be read or holds no servers."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A server, the tool it is from, and its name there."""

    server: ImportedServer
    tool: CodingTool
    found_as: str


def find(what: str, scope: Scope, machine: Machine) -> Read:
    """Find a tool's files, or the file itself.

    Args:
        what: the name of a tool, or the path of a file.
        scope: the scope; of a tool without files in projects the user's are read instead.
        machine: where to look.

    Raises:
        ConfigError: there is no such tool, or nothing of it on this machine.
    """
    if what in TOOLS:
        return _find_tool(TOOLS[what], scope, machine)
    path = Path(what).expanduser()
    if path.is_file():
        return lambda: _read_file(path, machine)
    if path.suffix or "/" in what or "\\" in what or path.exists():
        raise ConfigError(
            f"{what}: this is a directory; give a file in it"
            if path.is_dir()
            else f"{what}: there is no such file"
        )
    close = nearest(what)
    meant = f'did you mean "{close}"? ' if close else ""
    raise ConfigError(
        f'"{what}" is neither a file nor a tool dmcp knows; {meant}The tools are: {", ".join(TOOLS)}'
    )


def find_all(machine: Machine) -> Read:
    """Find everything of every tool on this machine, a project's servers over the user's.

    Raises:
        ConfigError: there is nothing at all.
    """
    if not any(_present(tool, scope, machine) for tool in TOOLS.values() for scope in ("user", "project")):
        raise ConfigError(
            "no coding tool has a configuration here; dmcp import --list shows where was looked"
        )
    return lambda: _read_all(machine)


def _present(tool: CodingTool, scope: Scope, machine: Machine) -> list[Path]:
    return [path for path, _, _ in places_of(tool, scope, machine) if exists(path, as_file=True)]


def _find_tool(tool: CodingTool, scope: Scope, machine: Machine) -> Read:
    remarks: tuple[str, ...] = ()
    if scope == "project" and not tool.project:
        scope = "user"
        remarks = (f"{tool.title} keeps nothing in projects: the user's configuration was read",)
    if not _present(tool, scope, machine):
        raise ConfigError(_nothing(tool, scope, machine))

    def read() -> LoadResult:
        found_here = sources(tool, scope, machine)
        result = read_sources(tool, found_here, machine)
        tables = {keys for each in SCOPES for _, keys, _ in places_of(tool, each, machine)}
        by_path = {source.path: source.contents for source in found_here}
        unread = [
            note
            for path, contents in by_path.items()
            for note in _unread(
                path, contents, lambda keys, _: any(keys[: len(key)] == key for key in tables)
            )
        ]
        result = replace(result, not_converted=(*result.not_converted, *unread))
        if not result.servers:
            found = _in_other_scope(tool, scope, machine)
            hint = f"; {found}" if found else ""
            raise ConfigError(
                _no_servers(f"{tool.title} has no MCP servers here ({scope} scope){hint}", result)
            )
        elsewhere = _in_other_scope(tool, scope, machine)
        more = (f"{tool.title}: {elsewhere}",) if elsewhere else ()
        return replace(result, remarks=(*remarks, *result.remarks, *more))

    return read


def _nothing(tool: CodingTool, scope: Scope, machine: Machine) -> str:
    paths = dict.fromkeys(str(path) for path, _, _ in places_of(tool, scope, machine))
    looked = ", ".join(paths) or "nowhere: it has no such files"
    if scope == "project" and any(place.reach != "here" for place in tool.project):
        looked += ", here and in the directories above"
    other: Scope = "user" if scope == "project" else "project"
    hint = f"; {found}" if (found := _in_other_scope(tool, scope, machine)) else ""
    if not hint and _present(tool, other, machine):
        hint = (
            "; the user has one: add --global"
            if other == "user"
            else "; this project has one: leave out --global"
        )
    return f"{tool.title} has no {scope} configuration here (looked for {looked}){hint}"


def _in_other_scope(tool: CodingTool, scope: Scope, machine: Machine) -> str:
    """Return how many servers the other scope has, and how to import those; empty if it has none."""
    other: Scope = "user" if scope == "project" else "project"
    try:
        found = {
            name
            for source in sources(tool, other, machine)
            for name, entry in source.servers.items()
            if not is_dmcp(entry)
        }
    except ConfigError:
        return ""
    if not found:
        return ""
    how = "in user scope: add --global" if other == "user" else "in this project: leave out --global"
    return f"{len(found)} {how}"


def _read_file(path: Path, machine: Machine) -> LoadResult:
    if path.suffix in {".mcpb", ".dxt"}:
        raise ConfigError(
            f"{path}: this extension is packed: install it in Claude Desktop and run dmcp import claude-desktop, "
            "or unpack it, it is a zip file, and give its manifest.json"
        )
    text = read_text(path)
    whole = parse_document(text, str(path), path.suffix)
    if is_manifest(whole):
        tool, key, contents = TOOLS["claude-desktop"], "", whole
    else:
        contents = servers_at_top(whole, path)
        tool, key = tool_of(path, contents, text)
    servers = servers_at(contents, (key,), path, machine) or {}
    scope: Scope = "project" if tool.project else "user"  # which began nobody knows where
    source = Source(path, scope, servers, contents, project_of(path), repeated=repeated_keys(text))
    # The settings beside a tool's own files say nothing about a file that lies elsewhere.
    result = read_sources(replace(tool, settings=()), [source], replace(machine, cwd=source.folder))
    if not result.servers:
        raise ConfigError(_no_servers(f"{path} has no MCP servers", result))
    notes = _unread(path, whole, lambda keys, table: keys[:1] == (key,) or table == servers) if key else []
    return replace(
        result,
        remarks=(f"{path}: read as a file of {tool.title}",),
        not_converted=(*result.not_converted, *notes),
    )


def _unread(
    path: Path, contents: Mapping[str, Any], is_read: Callable[[tuple[str, ...], Any], bool]
) -> list[NotConverted]:
    """Return notes on other tables of servers in a file, such as those of projects in Claude Code's."""
    found: dict[str, dict[str, int]] = {}
    for keys in tables_of_servers(contents):
        table: Any = contents
        for key in keys:
            table = table[key]
        if not is_read(keys, table):
            found.setdefault(keys[0], {})[".".join(keys)] = len(table)
    notes = []
    for first, tables in found.items():
        where = next(iter(tables)) if len(tables) == 1 else f"{first} ({len(tables)} tables)"
        of_projects = "import them in that project with dmcp import claude"
        advice = of_projects if first == "projects" else "add them by hand"
        notes.append(
            NotConverted(path.name, f"{count(sum(tables.values()), 'server')} under {where}", advice)
        )
    return notes


def _no_servers(what: str, result: LoadResult) -> str:
    why = [f"  {note}" for note in result.not_converted]
    return "\n".join([f"{what} that can be imported" if why else what, *why])


def _read_all(machine: Machine) -> LoadResult:
    kept: dict[str, _Kept] = {}
    notes: list[NotConverted] = []
    remarks: list[str] = []
    untrusted: list[FoundFile] = []
    for tool in TOOLS.values():
        try:
            found = [each for scope in ("user", "project") for each in sources(tool, scope, machine)]
            result = read_sources(tool, found, machine)
        except ConfigError as error:
            notes.append(NotConverted(tool.title, str(error), "mend the file and import again"))
            continue
        notes += result.not_converted
        untrusted += result.untrusted
        remarks += result.remarks
        for server in result.servers:
            remark = _add(server, tool, kept)
            remarks += [remark] if remark else []
    servers = tuple(kept[name].server for name in sorted(kept))
    if not servers:
        raise ConfigError(_no_servers("no coding tool has MCP servers here", LoadResult((), tuple(notes))))
    return LoadResult(servers, tuple(notes), tuple(remarks), tuple(untrusted))


def _add(server: ImportedServer, tool: CodingTool, kept: dict[str, _Kept]) -> str | None:
    """Add a server. The same one under the same name is added once; another one gets another name."""
    namesakes = [each for each in kept.values() if each.found_as == server.name]
    for earlier in namesakes:
        if earlier.server.target == server.target:
            if server.enabled and not earlier.server.enabled:
                kept[earlier.server.name] = replace(earlier, server=replace(server, name=earlier.server.name))
            return f"{server.name}: the same in {earlier.tool.title} and {tool.title}, imported once"
    name, count = server.name, 1
    while name in kept:
        name = f"{server.name}-{tool.name}" if count == 1 else f"{server.name}-{tool.name}-{count}"
        count += 1
    kept[name] = _Kept(replace(server, name=name), tool, server.name)
    if name == server.name:
        return None
    others = " and ".join(each.tool.title for each in namesakes) or "another tool"
    return f"{server.name}: {tool.title} has another one than {others}, imported as {name}"
