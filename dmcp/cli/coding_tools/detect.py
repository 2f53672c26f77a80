"""Detect the tool a file belongs to, and dmcp itself among a tool's servers.

A tool is told by the file's path if that tells, else by its keys and how it spells references; the user is told which
one was detected. What ``dmcp install`` writes into a tool is not to be imported. Pure.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dmcp.__main__ import COMMANDS
from dmcp.cli.coding_tools.special import CONTINUE_OLD
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.errors import ConfigError
from dmcp.text import printable, word_set

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dmcp.cli.coding_tools.model import CodingTool, Location

_KEYS = {
    "mcp_servers": "codex",
    "mcp": "opencode",
    "amp.mcpServers": "amp",
    "context_servers": "zed",
    "servers": "vscode",
    "extensions": "goose",
}
"""Top-level keys that only one tool, or one family of tools, uses."""
_DEEPER = (
    ("mcp",),
    ("settings", "mcp"),
    ("customizations", "vscode", "mcp"),
    ("customizations", "vscode", "settings", "mcp"),
)
"""Where Visual Studio Code has ``servers``: in settings.json, a workspace file, a dev container."""
_OTHER_THINGS = word_set(
    "agent_servers language_servers lsp lspServers formatter formatters hooks tasks scripts statusLine"
    " extraKnownMarketplaces debuggers"
)
"""Tables of commands and addresses in the files of tools that are no MCP servers."""
_OF_SERVERS = re.compile(r"(?i)mcp|server")
_MOST_TABLES = 5000
_DEEPEST = 4
_REACHED_BY = ("command", "cmd", "url", "httpUrl", "serverUrl", "uri")
"""Keys of which a server has one."""
_TOO_COMMON = frozenset({"", ".mcp.json", "mcp.json", "settings.json"})


def tool_of(path: Path, contents: Mapping[str, Any], text: str) -> tuple[CodingTool, str]:
    """Return the tool whose format a file has, and the key its servers are under.

    Raises:
        ConfigError: it is no format dmcp knows.
    """
    by_path = _by_path(path, contents)
    if by_path is not None:
        return by_path
    servers = contents.get("mcpServers")
    if isinstance(servers, str):
        raise ConfigError(
            f"{path}: its servers are in another file, {printable(servers, 200)}: give that one"
        )
    if path.name == "gemini-extension.json" and isinstance(servers, Mapping):
        return TOOLS["gemini"], "mcpServers"
    if isinstance(servers, list):
        return TOOLS["continue"], "mcpServers"
    if isinstance(servers, Mapping):
        return TOOLS[_by_spelling(servers, text)], "mcpServers"
    for key, name in _KEYS.items():
        if isinstance(contents.get(key), Mapping):
            return TOOLS[name], key
    raise ConfigError(
        f"{path}: no servers found, since none of the keys mcpServers, {', '.join(_KEYS)} holds a table; "
        "give the file a coding tool keeps its MCP servers in"
    )


def servers_at_top(contents: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the contents with the servers at the top, where some files have them deeper, or without a key.

    Visual Studio Code has them in settings, workspace files and dev containers; a plugin of Claude Code may have
    nothing but servers in its file, and a page of instructions nothing but one server.
    """
    for keys in _DEEPER:
        inner: Any = contents
        for key in keys:
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        tables = [inner.get(key) for key in ("servers", "mcpServers")] if isinstance(inner, Mapping) else []
        if any(isinstance(table, Mapping) and _all_servers(table) for table in tables):
            return dict(inner)
    if isinstance(contents.get("mcp.servers"), Mapping):
        return {"servers": contents["mcp.servers"]}
    if any(isinstance(contents.get(key), Mapping | list) for key in ("mcpServers", *_KEYS)):
        return contents
    outer, key = CONTINUE_OLD
    if isinstance(contents.get(outer), Mapping) and isinstance(contents[outer].get(key), list):
        return {"mcpServers": contents[outer][key]}
    named = {
        key: value
        for key, value in contents.items()
        if not key.startswith(("$", "_")) and key not in _OTHER_THINGS
    }
    deeper = tables_of_servers(contents)
    if named and _all_servers(named):
        servers = named
    elif len(deeper) == 1:
        servers = dict(_at(contents, deeper[0]))
    elif _is_server(contents):
        name = contents.get("name")
        rest = {key: value for key, value in contents.items() if key != "name"}
        servers = {name if isinstance(name, str) and name else path.stem: rest}
    else:
        return contents
    return {"mcpServers": servers}


def tables_of_servers(contents: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the keys that lead to every table in which there is nothing but servers, the outermost ones.

    One of the keys has to speak of servers: many files have tables of commands, and of addresses.
    Looks at ``_MOST_TABLES`` tables and four levels deep: enough for a user's file, and no more for any other.
    """
    found: list[tuple[str, ...]] = []
    waiting: deque[tuple[tuple[str, ...], Mapping[str, Any]]] = deque([((), contents)])
    left = _MOST_TABLES
    while waiting and left:
        left -= 1
        keys, table = waiting.popleft()
        if table and any(map(_OF_SERVERS.search, keys)) and _all_servers(table):
            found.append(keys)
        elif len(keys) < _DEEPEST and not _is_server(table):
            waiting.extend(
                ((*keys, str(key)), inner)
                for key, inner in table.items()
                if isinstance(inner, Mapping) and key not in _OTHER_THINGS
            )
    return found


def _at(contents: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    for key in keys:
        contents = contents[key]
    return contents


def _all_servers(entries: Mapping[str, Any]) -> bool:
    return all(map(_is_server, entries.values()))


def _is_server(entry: Any) -> bool:
    return isinstance(entry, Mapping) and any(isinstance(entry.get(key), str | list) for key in _REACHED_BY)


def project_of(path: Path) -> Path:
    """Return the project a file belongs to, which its references to the workspace mean."""
    folder = path.absolute().parent
    while folder.name.startswith(".") and folder.parent != folder:
        folder = folder.parent
    return folder


def _by_path(path: Path, contents: Mapping[str, Any]) -> tuple[CodingTool, str] | None:
    """Return the tool that has a file of this folder and name, with its key in it. The longest match wins."""
    best: tuple[int, CodingTool, str] | None = None
    for tool in TOOLS.values():
        for place in (*tool.project, *tool.user):
            tail, key = _tail(place, tool), place.servers[0]
            fits = tail not in _TOO_COMMON and path.absolute().match(tail) and len(place.servers) == 1
            if fits and key in contents and len(tail) > (best or (0,))[0]:
                best = (len(tail), tool, key)
    return (best[1], best[2]) if best is not None else None


def _tail(place: Location, tool: CodingTool) -> str:
    """Return the end of a location that is the same on every machine."""
    text = place.path.replace("{root}", tool.root[1]) if tool.root is not None else place.path
    tail = text.rpartition("}")[2].lstrip("/")
    return "" if tail.startswith("$") else tail


def _by_spelling(servers: Mapping[str, Any], text: str) -> str:
    """Return one of the many tools with ``mcpServers`` that spells entries and references as these are."""
    keys = {key for entry in servers.values() if isinstance(entry, Mapping) for key in entry}
    if keys & {"httpUrl", "includeTools", "excludeTools"}:
        return "gemini"
    nested = any(
        isinstance(entry.get("transport"), Mapping)
        for entry in servers.values()
        if isinstance(entry, Mapping)
    )
    if nested or keys & {"transportType", "oauthClient"}:
        return "cline"
    if re.search(r"\$\{(?:env|input):|\$\{(?:workspaceFolder|userHome)\}", text):
        return "windsurf" if "serverUrl" in keys else "cursor"
    return "antigravity" if "serverUrl" in keys else "claude"


_RUNNERS = frozenset({"uvx", "uv", "pipx"})
_VERBS = frozenset({"tool", "run", "x"})
_WITH_VALUE = word_set(
    "--from --with --with-editable --with-requirements --python -p --spec --index --index-url"
    " --extra-index-url --directory --project --cache-dir --config-file --env-file --pip-args -i"
)
"""Options of the runners that take the next word."""
_PACKAGE = re.compile(r"dmcp(\[[\w,-]*\])?([=@~<>!].*)?")


def serves_dmcp(words: Sequence[str]) -> bool:
    """Return whether these words start a dmcp that serves; ``dmcp fault`` and its other commands do not.

    A path with the name in it is something a server works on, unless it is the program.
    """
    words = _without_wrapper(words)
    if not words:
        return False
    program = _stem(words[0])
    rest: Sequence[str]
    if program == "dmcp":
        rest = words[1:]
    elif program in _RUNNERS:
        found = _run_by(words[1:])
        if found is None:
            return False
        rest = found
    elif program.startswith(("python", "pypy", "py")) and ("-m", "dmcp") in pairwise(words):
        rest = words[list(pairwise(words)).index(("-m", "dmcp")) + 2 :]
    else:
        return False
    rest = [word for word in rest if not word.startswith("-")]
    return not (rest and rest[0] in COMMANDS)


def _run_by(words: Sequence[str]) -> Sequence[str] | None:
    """Return what follows dmcp in the words of a runner; ``None`` if it runs something else."""
    at = 0
    while at < len(words):
        word = words[at]
        if word in _WITH_VALUE:
            at += 2
        elif word == "-m" and words[at + 1 : at + 2] == ["dmcp"]:
            return words[at + 2 :]
        elif word.startswith("-") or word in _VERBS:
            at += 1
        elif _stem(word).startswith("python"):
            return words[at + 3 :] if list(words[at + 1 : at + 3]) == ["-m", "dmcp"] else None
        else:
            return words[at + 1 :] if _PACKAGE.fullmatch(word) else None
    return None


def _without_wrapper(words: Sequence[str]) -> list[str]:
    """Return the words without ``env A=1`` and ``cmd /c`` before them."""
    rest = list(words)
    while rest:
        stem = _stem(rest[0])
        if stem == "env" or (len(rest) > 1 and stem == "cmd" and rest[1].lower() == "/c"):
            rest = rest[2 if stem == "cmd" else 1 :]
            while stem == "env" and rest and "=" in rest[0]:
                rest = rest[1:]
        else:
            break
    return rest


def _stem(word: str) -> str:
    return PurePath(word.replace("\\", "/")).name.lower().removesuffix(".exe")


def is_dmcp(entry: Any) -> bool:
    """Return whether a tool's entry, however the tool spells a command, starts a dmcp that serves."""
    if not isinstance(entry, Mapping):
        return False
    command, args = entry.get("command") or entry.get("cmd"), entry.get("args")
    words = [
        *(command if isinstance(command, list) else [command]),
        *(args if isinstance(args, list) else []),
    ]
    return serves_dmcp([word for word in words if isinstance(word, str)])
