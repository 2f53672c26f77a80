"""What there is to say of a coding tool as a place for dmcp: which file, how it spells the entry, its own command.

Data, by the names of ``dmcp.cli.importers.registry``; where a tool's files are is said there too. Source: the tools
themselves and their documentation, as for the importers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from dmcp.cli.importers.registry import TOOLS
from dmcp.cli.importers.tool import CodingTool, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dmcp.cli.importers.tool import Scope

NAME: Final = "dmcp"
"""How dmcp's entry is called in every tool."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a tool starts dmcp.

    Attributes:
        command: the program, an absolute path.
        args: its arguments; the last one is the configuration, an absolute path.
        variables: names of the environment variables the configuration refers to.
    """

    command: str
    args: tuple[str, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnCommand:
    """A tool's own way to add and remove a server: the words of each command."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def _plain(start: Start) -> dict[str, Any]:
    return {"command": start.command, "args": list(start.args)}


def _typed(start: Start) -> dict[str, Any]:
    return {"type": "stdio", **_plain(start)}


def _opencode(start: Start) -> dict[str, Any]:
    return {"type": "local", "command": [start.command, *start.args], "enabled": True}


def _copilot(start: Start) -> dict[str, Any]:
    return {"type": "local", **_plain(start), "tools": ["*"]}


def _zed(start: Start) -> dict[str, Any]:
    return {"source": "custom", **_plain(start)}


def _goose(start: Start) -> dict[str, Any]:
    about = {"type": "stdio", "name": NAME, "enabled": True}
    return {**about, "cmd": start.command, "args": list(start.args), "timeout": 300}


def _codex(start: Start) -> dict[str, Any]:
    """Codex passes on no variables but a few, and those that are named."""
    return {**_plain(start), **({"env_vars": list(start.variables)} if start.variables else {})}


def _gemini(start: Start) -> dict[str, Any]:
    """Gemini keeps variables back whose names look like secrets, unless the entry names them."""
    env = {name: f"${{{name}:-}}" for name in start.variables}
    return {**_plain(start), **({"env": env} if env else {})}


def _claude_command(scope: Scope, start: Start) -> OwnCommand:
    where = ("--scope", "user" if scope == "user" else "local")
    entry = to_json(_typed(start)).decode()
    return OwnCommand(
        ("claude", "mcp", "add-json", *where, NAME, entry), ("claude", "mcp", "remove", *where, NAME)
    )


def _codex_command(scope: Scope, start: Start) -> OwnCommand | None:
    if scope == "project":
        return None  # its command knows the user's file only
    words = (start.command, *start.args)
    return OwnCommand(("codex", "mcp", "add", NAME, "--", *words), ("codex", "mcp", "remove", NAME))


def _gemini_command(program: str) -> Callable[[Scope, Start], OwnCommand | None]:
    def command(scope: Scope, start: Start) -> OwnCommand | None:
        words = (start.command, *start.args)
        if any(word.startswith("-") for word in words):
            return None  # it would take them for its own options
        where = ("--scope", scope)
        return OwnCommand(
            (program, "mcp", "add", *where, NAME, *words), (program, "mcp", "remove", *where, NAME)
        )

    return command


def _no_command(_scope: Scope, _start: Start) -> OwnCommand | None:
    return None


@dataclass(frozen=True, slots=True)
class Host:
    """A tool as a place for dmcp.

    Attributes:
        tool: where its files are: those dmcp may be put into, the ones of older versions left out.
        spell: dmcp's entry as the tool spells it.
        off: the key of an entry that switches it off, and the value that does; ``None`` where there is none, and an
            entry has to be taken out.
        command: the tool's own command, if it has one for a scope.
        shared: a file of the project that the tool reads too and that dmcp leaves alone, the person's own file beside
            it, and that file's key for the list of names that are switched off.
        remark: what a person has to know when dmcp is put into a project.
        project_prefix: what stands before a path of the project in its file, where the tool finds it whoever has cloned
            the project wherever; ``None`` where it does not.
    """

    tool: CodingTool
    spell: Callable[[Start], dict[str, Any]] = _plain
    off: tuple[str, bool] | None = None
    command: Callable[[Scope, Start], OwnCommand | None] = _no_command
    shared: tuple[str, str, str] | None = None
    remark: str = ""
    project_prefix: str | None = None


_WORKSPACE = "${workspaceFolder}/"
_DISABLED = ("disabled", True)
_NOT_ENABLED = ("enabled", False)
_CLAUDE_SHARED = (".mcp.json", ".claude/settings.local.json", "disabledMcpjsonServers")
_CODEX_REMARK = "Codex CLI reads a project's file only when you have told it to trust the project."
_GEMINI_REMARK = "Gemini CLI starts servers only in folders you have told it to trust."

_HOSTS: Mapping[str, Host] = MappingProxyType(
    {
        "claude": Host(TOOLS["claude"], _typed, None, _claude_command, _CLAUDE_SHARED),
        "vscode": Host(TOOLS["vscode"], _typed, project_prefix=_WORKSPACE),
        "cursor": Host(TOOLS["cursor"], project_prefix=_WORKSPACE),
        "opencode": Host(TOOLS["opencode"], _opencode, _NOT_ENABLED),
        "kilocode": Host(TOOLS["kilocode"], _opencode, _NOT_ENABLED),
        "cline": Host(TOOLS["cline"], off=_DISABLED),
        "codex": Host(TOOLS["codex"], _codex, _NOT_ENABLED, _codex_command, remark=_CODEX_REMARK),
        "gemini": Host(
            TOOLS["gemini"],
            _gemini,
            None,
            _gemini_command("gemini"),
            remark=_GEMINI_REMARK,
            project_prefix="",
        ),
        "qwen": Host(TOOLS["qwen"], _plain, None, _gemini_command("qwen"), project_prefix=""),
        "antigravity": Host(TOOLS["antigravity"], off=_DISABLED),
        "copilot": Host(TOOLS["copilot"], _copilot),
        "windsurf": Host(TOOLS["windsurf"], off=_DISABLED),
        "zed": Host(TOOLS["zed"], _zed, _NOT_ENABLED),
        "roo": Host(TOOLS["roo"], off=_DISABLED),
        "kiro": Host(TOOLS["kiro"], off=_DISABLED),
        "junie": Host(TOOLS["junie"], off=_NOT_ENABLED),
        "goose": Host(TOOLS["goose"], _goose, _NOT_ENABLED),
    }
)
_FILE_OF_ITS_OWN: Final = "/mcpServers/dmcp.json"


def host(name: str) -> Host:
    """The tool of this name as a place for dmcp; the name is one of ``TOOLS``."""
    found = _HOSTS.get(name) or Host(TOOLS[name])
    tool = found.tool
    project, user = _current(tool.project), _current(tool.user)
    if found.shared is not None or name == "copilot":
        # .mcp.json belongs to everybody who works on the project, and other tools read it too.
        project = tuple(place for place in project if not place.path.endswith("/.mcp.json"))
    if name == "continue":
        project = (Location("{cwd}/.continue" + _FILE_OF_ITS_OWN),)
        user = (Location("{home}/.continue" + _FILE_OF_ITS_OWN),)
    return replace(found, tool=replace(tool, project=project, user=user))


def _current(places: tuple[Location, ...]) -> tuple[Location, ...]:
    return tuple(place for place in places if place.note not in {"older", "dev container"})
