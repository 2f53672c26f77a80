"""OpenCode: several files, merged key by key. Source: the tool itself (1.18.33), and its published schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.documents import overlaid
from dmcp.cli.importers.fields import BadEntry
from dmcp.cli.importers.model import NotCarried
from dmcp.cli.importers.references import CURLY
from dmcp.cli.importers.switches import Switch, selection
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.model import ImportedServer
    from dmcp.cli.importers.tool import Found

_KEY = ("mcp",)
_SWITCHING = ("tools", "permission", "agent", "mode")
SIGN_IN = SignInKeys(scopes="scope", redirect_port="callbackPort")


def refuse_a_switch(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry as it is, unless it only switches a server of another file on or off.

    Raises:
        BadEntry: it does.
    """
    if set(raw) == {"enabled"}:
        raise BadEntry("it only switches a server of another file on or off", "import that file, or --all")
    return raw


def with_switches(
    server: ImportedServer, files: tuple[Found, ...]
) -> tuple[ImportedServer, tuple[NotCarried, ...]]:
    """The server with what ``tools`` and ``permission`` at the top of the files leave of its tools."""
    merged = _merged(files)
    prefix = re.sub(r"[^a-zA-Z0-9_-]", "_", server.name) + "_"
    switches = _switches(merged)
    chosen = selection(switches, prefix)
    notes = [
        NotCarried(
            server.name,
            f'"{pattern}" among "tools", which switches on again what an earlier pattern switches off',
            "list the tools you want in tools.include of dmcp's configuration",
        )
        for pattern in chosen.lost
    ]
    notes += [
        NotCarried(
            server.name,
            f'other "tools" for the agent {name}',
            "dmcp shows every agent the same tools; change tools or features.tools in its configuration",
        )
        for name, agent in _agents(merged)
        if selection([*switches, *_switches(agent)], prefix) != chosen
    ]
    switched = replace(
        server,
        include=chosen.include,
        exclude=(*server.exclude, *chosen.exclude),
        features_off=("tools",) if chosen.none else (),
    )
    return switched, tuple(notes)


def _merged(files: tuple[Found, ...]) -> Mapping[str, Any]:
    """What the files say together. One that has servers too comes twice; its place is that among the settings."""
    merged: Any = {}
    last = {file.path: file.contents for file in reversed(files)}
    for contents in reversed(last.values()):
        merged = overlaid(merged, {key: contents[key] for key in _SWITCHING if key in contents})
    found: Mapping[str, Any] = merged
    return found


def _switches(table: Mapping[str, Any]) -> list[Switch]:
    """The switches of a file or an agent: those of the older ``tools`` first, then those of ``permission``."""
    tools, permission = table.get("tools"), table.get("permission")
    older = {
        name: "allow" if on else "deny"
        for name, on in (tools.items() if isinstance(tools, Mapping) else ())
        if isinstance(on, bool)
    }
    newer = {"*": permission} if isinstance(permission, str) else permission
    rules = overlaid(older, newer) if isinstance(newer, Mapping) else older
    return [Switch(name, not _denied(action)) for name, action in rules.items()]


def _denied(action: Any) -> bool:
    """Whether a tool is hidden: when the last that is said of it is a denial whatever it is called with."""
    if isinstance(action, Mapping):
        return bool(action) and [*action.items()][-1] == ("*", "deny")
    return bool(action == "deny")


def _agents(merged: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    tables = (merged.get(key) for key in ("agent", "mode"))
    return [
        (str(name), agent)
        for table in tables
        if isinstance(table, Mapping)
        for name, agent in table.items()
        if isinstance(agent, Mapping)
    ]


def _files(folder: str, *names: str, **more: Any) -> tuple[Location, ...]:
    return tuple(Location(f"{folder}/{name}", _KEY, **more) for name in names)


_NAMES = ("opencode.json", "opencode.jsonc")
_PROJECT = (
    *_files("{cwd}", *_NAMES, reach="worktree"),
    *_files("{cwd}/.opencode", *_NAMES, reach="worktree outwards"),
)
_USER = (
    *_files("{xdg}/opencode", "config.json", *_NAMES),
    Location("$OPENCODE_CONFIG", _KEY),
    *_files("{home}/.opencode", *_NAMES),
)

TOOL = CodingTool(
    name="opencode",
    title="OpenCode",
    syntax=CURLY,
    project=_PROJECT,
    user=_USER,
    settings=(*_USER, *_PROJECT),
    overlays=True,
    unwrap=refuse_a_switch,
    select=with_switches,
    remark="files are merged key by key; an entry of only `enabled` is for a server of another file; `tools` and "
    "`permission` at the top become `tools.include` and `tools.exclude` of each server they are about (a tool's name "
    "is taken to hold only letters, digits, `_` and `-`), or `features.tools: false` where none is left",
    shape=EntryShape(env=("environment",), enabled="enabled", timeout=("timeout", 0.001), sign_in=SIGN_IN),
)
