"""What is particular to single tools and cannot be said as data: one section of functions for each tool.

The functions are named in ``table``; ``CodingTool`` and ``Installation`` in ``model`` describe when each is called.
OpenCode's switches over the tools of all servers are brought down to one server's own lists. Pure. Source: the tools
themselves and their documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from glob import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from dmcp.cli.coding_tools.entries import BadEntry, redirect_of
from dmcp.cli.coding_tools.formats import deep_merge
from dmcp.cli.coding_tools.model import (
    SERVER_NAME,
    Command,
    LaunchCommand,
    NotConverted,
    Scope,
    SignIn,
    ToolCommand,
    plain_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.cli.coding_tools.entries import Entry
    from dmcp.cli.coding_tools.model import ImportedServer, ToolFile

Raw = Mapping[str, Any]
Selected = tuple["ImportedServer", tuple[NotConverted, ...]]


def _table(contents: Raw, key: str) -> Raw:
    found = contents.get(key)
    return found if isinstance(found, Mapping) else {}


def _names(contents: Raw, key: str) -> list[str]:
    found = contents.get(key)
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _merged_inner(raw: Raw, key: str, renamed: Mapping[str, str]) -> Raw:
    """Return the entry with what the table under ``key`` says merged into it."""
    inner = raw.get(key)
    if not isinstance(inner, Mapping):
        return raw
    rest = {other: value for other, value in raw.items() if other != key}
    return {**rest, **{renamed.get(name, name): value for name, value in inner.items()}}


def _command_of(launch: LaunchCommand) -> tuple[str, ...]:
    return (launch.command, *launch.args)


# Claude Code ----------------------------------------------------------------------------------------------------------


def claude_is_off(name: str, files: tuple[ToolFile, ...], projects: tuple[str, ...]) -> bool:
    """Return whether the project's list, a denying one or one about ``.mcp.json`` switches the server off."""
    tables = [_table(file.contents, "projects") for file in files]
    of_project = [_table(table, project) for table in tables for project in projects if project in table]
    if any(name in _names(table, "disabledMcpServers") for table in of_project):
        return True
    denied = [file.contents.get("deniedMcpServers") for file in files]
    if any(isinstance(entries, list) and {"serverName": name} in entries for entries in denied):
        return True
    if any(name in _table(table, "mcpServers") for table in of_project):
        return False  # a server of the local scope hides the one in .mcp.json, and what is said of that
    shared = any(
        file.path.name == ".mcp.json" and name in _table(file.contents, "mcpServers") for file in files
    )
    rejected = [
        _claude_name(each)
        for table in (*(file.contents for file in files), *of_project)
        for each in _names(table, "disabledMcpjsonServers")
    ]
    return shared and _claude_name(name) in rejected


def _claude_name(name: str) -> str:
    """Return a server's name as Claude Code compares it with the list of rejected ones."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


def typed_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry with its type, as Visual Studio Code has it."""
    return {"type": "stdio", **plain_entry(launch)}


def claude_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry; its tools are not to be deferred, since they are how all others are found."""
    return {**typed_entry(launch), "alwaysLoad": True}


def claude_command(scope: Scope, launch: LaunchCommand) -> ToolCommand:
    """Return the commands for the local scope or the user's; ``add-json`` takes an entry as it is."""
    where = ("--scope", "user" if scope == "user" else "local")
    entry = to_json(claude_entry(launch)).decode()
    return ToolCommand(
        ("claude", "mcp", "add-json", *where, SERVER_NAME, entry),
        ("claude", "mcp", "remove", *where, SERVER_NAME),
    )


# Visual Studio Code ---------------------------------------------------------------------------------------------------


def vscode_variables(files: tuple[ToolFile, ...]) -> dict[str, str]:
    """Return the defaults and the options of the inputs that the editor asks for: ``input:ID`` and ``options:ID``."""
    found: dict[str, str] = {}
    for contents in (file.contents for file in files):
        container = _table(_table(contents, "customizations"), "vscode")
        for place in (contents, _table(contents, "mcp"), _table(container, "mcp")):
            inputs = place.get("inputs")
            for each in inputs if isinstance(inputs, list) else ():
                if isinstance(each, Mapping) and isinstance(each.get("id"), str):
                    if isinstance(each.get("default"), str):
                        found[f"input:{each['id']}"] = each["default"]
                    options = each.get("options")
                    chosen = [
                        option.get("value") if isinstance(option, Mapping) else option
                        for option in (options if isinstance(options, list) else ())
                    ]
                    found[f"options:{each['id']}"] = ", ".join(
                        text for text in chosen if isinstance(text, str)
                    )
    return found


# Cline, Continue, Zed -------------------------------------------------------------------------------------------------


def cline_flatten(raw: Raw) -> Raw:
    """Return the entry with what its ``transport`` says merged into it."""
    return _merged_inner(raw, "transport", {})


CONTINUE_OLD = ("experimental", "modelContextProtocolServers")
"""Where the older config.json of Continue has its servers."""


def continue_flatten(raw: Raw) -> Raw:
    """Return the entry with its request options and its key as headers.

    Raises:
        BadEntry: it names a block of Continue's hub.
    """
    if "uses" in raw:
        raise BadEntry("it is a block of Continue's hub", "open the block there, and add its server by hand")
    raw = _merged_inner(raw, "transport", {})
    flat = {key: value for key, value in raw.items() if key not in {"requestOptions", "apiKey"}}
    options = _table(raw, "requestOptions")
    headers = dict(_table(options, "headers"))
    flat |= {f"requestOptions.{key}": value for key, value in options.items() if key != "headers"}
    if isinstance(raw.get("apiKey"), str):
        headers.setdefault("Authorization", f"Bearer {raw['apiKey']}")
    return {**flat, "headers": headers} if headers and "headers" not in flat else flat


def zed_flatten(raw: Raw) -> Raw:
    """Return the entry with what an older ``command`` table says merged into it.

    Raises:
        BadEntry: the server comes with an extension of Zed.
    """
    if raw.get("command") is None and "url" not in raw:
        if raw.get("source") == "extension" or "settings" in raw:
            raise BadEntry(
                "it comes with an extension of Zed, which alone knows how to start it",
                "find out how to start the server without Zed, and add it by hand",
            )
        return raw
    return _merged_inner(raw, "command", {"path": "command"})


def zed_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry as a server that no extension brings."""
    return {"source": "custom", **plain_entry(launch)}


# Codex CLI ------------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def codex_finish(entry: Entry, server: ImportedServer) -> ImportedServer:
    """Convert what Codex takes from the environment to references, and its older spelling of a duration."""
    if server.connect_timeout is None:
        server = replace(server, connect_timeout=entry.seconds(("startup_timeout_ms", 0.001)))
    entry.ignore("startup_timeout_ms")
    target = server.target
    if isinstance(target, Command):
        named = _codex_references(entry, entry.take("env_vars"))
        return replace(server, target=replace(target, env={**named, **target.env}))
    sign_in = replace(
        target.sign_in,
        scopes=target.sign_in.scopes or entry.names("scopes"),
        resource=target.sign_in.resource or entry.text("oauth_resource"),
    )
    headers = {**target.headers, **_codex_headers(entry)}
    return replace(server, target=replace(target, headers=headers, sign_in=sign_in))


def _codex_headers(entry: Entry) -> dict[str, str]:
    named = entry.take("env_http_headers")
    headers = {
        str(header): reference
        for header, variable in (named.items() if isinstance(named, Mapping) else ())
        for reference in _codex_references(entry, [variable]).values()
    }
    if (bearer := entry.take("bearer_token_env_var")) is not None:
        for reference in _codex_references(entry, [bearer]).values():
            headers["Authorization"] = f"Bearer {reference}"
    return headers


def _codex_references(entry: Entry, value: Any) -> dict[str, str]:
    """Return a reference for each variable of a list; an item is a name, or a table with a ``name``."""
    found = {}
    for item in value if isinstance(value, list) else []:
        name = item.get("name") if isinstance(item, Mapping) else item
        if isinstance(name, str) and _VARIABLE.fullmatch(name):
            found[name] = f"${{{name}}}"
        else:
            entry.note("a name that no environment variable can have", "add the variable to env by hand")
    return found


def codex_select(server: ImportedServer, files: tuple[ToolFile, ...]) -> Selected:
    """Convert the address that the browser returns to, which Codex keeps once for all servers."""
    target = server.target
    if isinstance(target, Command) or target.sign_in == SignIn():
        return server, ()  # without sign-in settings dmcp registers itself, with an address of its own
    sign_in = target.sign_in
    for contents in (file.contents for file in files):
        port = contents.get("mcp_oauth_callback_port")
        port = port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 1 << 16 else None
        back = redirect_of(contents.get("mcp_oauth_callback_url"), port) or SignIn(redirect_port=port)
        if back != SignIn():
            sign_in = replace(
                sign_in,
                redirect_port=back.redirect_port,
                redirect_host=back.redirect_host,
                redirect_path=back.redirect_path,
            )
    return replace(server, target=replace(target, sign_in=sign_in)), ()


def codex_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry with the variables it needs: Codex passes on few others."""
    return {**plain_entry(launch), **({"env_vars": list(launch.variables)} if launch.variables else {})}


def codex_command(scope: Scope, launch: LaunchCommand) -> ToolCommand | None:
    """Return the commands for the user's file; Codex has none for a project's."""
    if scope == "project":
        return None
    return ToolCommand(
        ("codex", "mcp", "add", SERVER_NAME, "--", *_command_of(launch)),
        ("codex", "mcp", "remove", SERVER_NAME),
    )


# Copilot CLI ----------------------------------------------------------------------------------------------------------


def copilot_is_off(name: str, files: tuple[ToolFile, ...], _projects: tuple[str, ...]) -> bool:
    """Return whether the user's settings switch the server off."""
    return any(name in _names(file.contents, "disabledMcpServers") for file in files)


def copilot_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry with all its tools switched on, which none is without the key."""
    return {"type": "local", **plain_entry(launch), "tools": ["*"]}


# Gemini CLI, Qwen Code ------------------------------------------------------------------------------------------------


def _lists(files: tuple[ToolFile, ...], table: str, key: str) -> Iterator[list[str]]:
    """Yield the list of names under ``table.key`` of each file that has one."""
    for contents in {file.path: file.contents for file in files}.values():
        inner = _table(contents, table)
        if isinstance(inner.get(key), list):
            yield _names(inner, key)


def gemini_finish(_entry: Entry, server: ImportedServer) -> ImportedServer:
    """Reduce ``name(arguments)`` among the included tools to ``name``, as Gemini does for servers."""
    return replace(server, include=tuple(name.partition("(")[0] for name in server.include))


def gemini_is_off(name: str, files: tuple[ToolFile, ...], _projects: tuple[str, ...]) -> bool:
    """Return whether a list, or the file of ``mcp disable``, switches it off; every allow list has to name it."""
    plain = _gemini_name(name)
    if any(plain not in map(_gemini_name, names) for names in _lists(files, "mcp", "allowed")):
        return True
    if any(plain in map(_gemini_name, names) for names in _lists(files, "mcp", "excluded")):
        return True
    tables = [file.contents for file in files if file.path.name == "mcp-server-enablement.json"]
    switches = [switch for table in tables for key, switch in table.items() if _gemini_name(key) == plain]
    return any(isinstance(switch, Mapping) and switch.get("enabled") is False for switch in switches)


def _gemini_name(name: str) -> str:
    """Return a server's name as Gemini compares it."""
    return name.strip().lower()


def qwen_is_off(name: str, files: tuple[ToolFile, ...], _projects: tuple[str, ...]) -> bool:
    """Return whether a list switches the server off. Other than for Gemini, the lists of several files are one list."""
    allowed = list(_lists(files, "mcp", "allowed"))
    excluded = any(name in names for names in _lists(files, "mcp", "excluded"))
    return excluded or (bool(allowed) and not any(name in names for names in allowed))


def gemini_select(prefix: str) -> Callable[[ImportedServer, tuple[ToolFile, ...]], Selected]:
    """Return a function that excludes what ``tools.exclude`` names; ``prefix`` is for tools of ``{server}``."""

    def select(server: ImportedServer, files: tuple[ToolFile, ...]) -> Selected:
        names = [name for each in _lists(files, "tools", "exclude") for name in each]
        return _without(server, prefix.format(server=server.name), names), ()

    return select


def amp_select(server: ImportedServer, files: tuple[ToolFile, ...]) -> Selected:
    """Exclude what ``amp.tools.disable`` names of this server."""
    names = [name for file in files for name in _names(file.contents, "amp.tools.disable")]
    return _without(server, f"mcp__{server.name}__", names), ()


def _without(server: ImportedServer, start: str, names: list[str]) -> ImportedServer:
    """Return the server without the tools that are named with this prefix."""
    off = [escape(name.removeprefix(start)) for name in names if name.startswith(start) and name != start]
    return replace(server, exclude=tuple(dict.fromkeys((*server.exclude, *off))))


def gemini_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry with the variables it needs: Gemini removes those whose names look like secrets."""
    env = {name: f"${{{name}:-}}" for name in launch.variables}
    return {**plain_entry(launch), **({"env": env} if env else {})}


def gemini_command(program: str) -> Callable[[Scope, LaunchCommand], ToolCommand | None]:
    """Return the function that makes the commands of Gemini CLI, or of a program that has the same ones."""

    def command(scope: Scope, launch: LaunchCommand) -> ToolCommand | None:
        words = _command_of(launch)
        if any(word.startswith("-") for word in words):
            return None  # it would take them for its own options
        where = ("--scope", scope)
        return ToolCommand(
            (program, "mcp", "add", *where, SERVER_NAME, *words),
            (program, "mcp", "remove", *where, SERVER_NAME),
        )

    return command


# Goose ----------------------------------------------------------------------------------------------------------------


def goose_flatten(raw: Raw) -> Raw:
    """Return the entry as it is. Raises ``BadEntry``: it is a part of Goose."""
    if raw.get("type") in {"builtin", "platform", "frontend", "inline_python"}:
        raise BadEntry("it is a part of Goose, not an MCP server of its own", "nothing to do")
    return raw


def goose_finish(entry: Entry, server: ImportedServer) -> ImportedServer:
    """Convert the names of secrets that Goose keeps in the system's keyring to references."""
    keys = entry.names("env_keys")
    if not keys:
        return server
    entry.note(
        "secrets that Goose keeps in the keyring (" + ", ".join(keys) + ")",
        "export them as environment variables before dmcp starts"
        + ("; env refers to them" if isinstance(server.target, Command) else ""),
    )
    if not isinstance(server.target, Command):
        return server
    env = {**{key: f"${{{key}}}" for key in keys}, **server.target.env}
    return replace(server, target=replace(server.target, env=env))


def goose_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry as an extension."""
    about = {"type": "stdio", "name": SERVER_NAME, "enabled": True}
    return {**about, "cmd": launch.command, "args": list(launch.args), "timeout": 300}


# OpenCode, Kilo Code --------------------------------------------------------------------------------------------------

_SWITCHING = ("tools", "permission", "agent", "mode")


def opencode_flatten(raw: Raw) -> Raw:
    """Return the entry as it is. Raises ``BadEntry``: it only switches a server of another file on or off."""
    if set(raw) == {"enabled"}:
        raise BadEntry("it only switches a server of another file on or off", "import that file, or --all")
    return raw


def opencode_select(server: ImportedServer, files: tuple[ToolFile, ...]) -> Selected:
    """Apply ``tools`` and ``permission`` at the top of the files to the server's tools."""
    merged = _opencode_merged(files)
    prefix = re.sub(r"[^a-zA-Z0-9_-]", "_", server.name) + "_"
    switches = _opencode_switches(merged)
    selected = selection(switches, prefix)
    notes = [
        NotConverted(
            server.name,
            f'"{pattern}" among "tools", which switches on again what an earlier pattern switches off',
            "list the tools you want in tools.include of dmcp's configuration",
        )
        for pattern in selected.lost
    ]
    notes += [
        NotConverted(
            server.name,
            f'other "tools" for the agent {name}',
            "dmcp shows every agent the same tools; change tools or features.tools in its configuration",
        )
        for key in ("agent", "mode")
        for name, agent in _table(merged, key).items()
        if isinstance(agent, Mapping)
        and selection([*switches, *_opencode_switches(agent)], prefix) != selected
    ]
    server = replace(
        server,
        include=selected.include,
        exclude=(*server.exclude, *selected.exclude),
        features_off=("tools",) if selected.none else (),
    )
    return server, tuple(notes)


def _opencode_merged(files: tuple[ToolFile, ...]) -> Raw:
    """Merge the switches of all files. One with servers comes twice; its place is that among the settings."""
    merged: Any = {}
    last = {file.path: file.contents for file in reversed(files)}
    for contents in reversed(last.values()):
        merged = deep_merge(merged, {key: contents[key] for key in _SWITCHING if key in contents})
    found: Raw = merged
    return found


def _opencode_switches(table: Raw) -> list[Switch]:
    """Return the switches of a file or an agent: those of the older ``tools`` first, then those of ``permission``."""
    permission = table.get("permission")
    older = {
        name: "allow" if on else "deny" for name, on in _table(table, "tools").items() if isinstance(on, bool)
    }
    newer = {"*": permission} if isinstance(permission, str) else permission
    rules = deep_merge(older, newer) if isinstance(newer, Mapping) else older
    return [Switch(name, not _opencode_denies(action)) for name, action in rules.items()]


def _opencode_denies(action: Any) -> bool:
    """Return whether a tool is hidden: when the last rule denies it, whatever it is called with."""
    if isinstance(action, Mapping):
        return bool(action) and [*action.items()][-1] == ("*", "deny")
    return bool(action == "deny")


def opencode_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry with the program among its arguments."""
    return {"type": "local", "command": [launch.command, *launch.args], "enabled": True}


# Switches over the tools of all servers at once -----------------------------------------------------------------------
# OpenCode calls a tool ``SERVER_TOOL`` and goes by the last switch whose pattern matches that. dmcp has two lists for a
# server: what is included, without what is excluded. Most chains of switches can be said with them, not all: see
# ``Selection.lost``.

_LONGEST = 200
"""Signs in a pattern, others are passed over. Comparing two takes their product; names of tools have 64 signs at most,
or a few more."""


class Switch(NamedTuple):
    """A pattern over the names of tools (``*``: anything, ``?``: one sign), and whether it switches them on."""

    pattern: str
    on: bool


class Selection(NamedTuple):
    """What the switches leave of one server's tools, in dmcp's words.

    Attributes:
        include: globs of the tools that are on; empty means all.
        exclude: globs of the tools that are off in spite of that.
        none: no tool is on.
        lost: patterns that switch some tools on again, which the lists cannot say: those tools stay off.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    none: bool = False
    lost: tuple[str, ...] = ()


def selection(switches: Iterable[Switch], prefix: str) -> Selection:
    """Return what is left of the tools whose names begin with ``prefix``, as OpenCode writes them for one server."""
    usually, include, exclude, lost = True, list[str](), list[str](), list[str]()
    for switch in switches:
        rests = _rests(switch.pattern, prefix) if len(switch.pattern) <= _LONGEST else []
        if "*" in rests:
            usually, include, exclude, lost = switch.on, [], [], []
        elif switch.on:
            exclude = [rest for rest in exclude if rest not in rests]
            lost += [switch.pattern for rest in rests if _any_in_common(rest, exclude)]
            include += [] if usually else rests
        elif usually or any(_any_in_common(rest, include) for rest in rests):
            exclude += rests
    unique = [tuple(dict.fromkeys(globs)) for globs in (include, exclude, lost)]
    globs = [tuple(_as_glob(pattern) for pattern in patterns) for patterns in unique[:2]]
    return Selection(globs[0], globs[1], not usually and not include, unique[2])


def _rests(pattern: str, prefix: str) -> list[str]:
    """Return the patterns of which the rest of a name has to match one, when the name begins with ``prefix``."""
    rests = {pattern: None}
    for sign in prefix:
        rests = {after: None for rest in rests for after in _after(rest, sign)}
    found = ["*" + rest.lstrip("*") if rest.startswith("*") else rest for rest in rests]
    return ["*"] if "*" in found else [rest for rest in dict.fromkeys(found) if rest]


def _after(pattern: str, sign: str) -> list[str]:
    """Return the patterns that are left to match after one sign."""
    if pattern.startswith("*"):
        return [pattern, *_after(pattern.lstrip("*"), sign)]
    return [pattern[1:]] if pattern[:1] in {sign, "?"} else []


def _any_in_common(pattern: str, others: Iterable[str]) -> bool:
    return any(_in_common(pattern, other) for other in others)


def _in_common(one: str, other: str) -> bool:
    """Return whether there is a name that both patterns match."""
    reached = {(0, 0)}  # how much of each is matched by the beginning of such a name
    waiting = [(0, 0)]
    while waiting:
        at, there = waiting.pop()
        if (at, there) == (len(one), len(other)):
            return True
        mine, its = one[at : at + 1], other[there : there + 1]
        if "*" in {mine, its}:  # a star takes nothing more, or what stands opposite
            steps = [(at + 1, there)] * bool(mine) + [(at, there + 1)] * bool(its)
        elif mine and its and (mine == its or "?" in {mine, its}):
            steps = [(at + 1, there + 1)]
        else:
            steps = []
        waiting += [step for step in steps if step not in reached]
        reached.update(steps)
    return False


def _as_glob(pattern: str) -> str:
    """Return a pattern as dmcp's configuration spells it: brackets, which mean themselves in OpenCode, are escaped."""
    return pattern.replace("[", "[[]")
