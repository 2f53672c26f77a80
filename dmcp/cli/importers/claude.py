"""Claude Code: three scopes over two files. Source: the tool itself (2.1.197), and its documentation.

The local scope, its default, lies in the person's own file under the project's path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.references import BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.tool import Found

_FILE = "{root}/.claude.json"
_SHARED = ".mcp.json"
_REJECTED = "disabledMcpjsonServers"


def _switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], projects: tuple[str, ...]
) -> bool:
    """Whether a list switches the server off: the project's, one that denies it, or one about ``.mcp.json``."""
    own = [table for file in files for table in _of_projects(file, projects)]
    if any(name in _names(table, "disabledMcpServers") for table in own):
        return True
    if any({"serverName": name} in _list(file.contents, "deniedMcpServers") for file in files):
        return True
    if any(name in _table(table, "mcpServers") for table in own):
        return False  # a server of the local scope hides the one in .mcp.json, and what is said of that
    shared = any(file.path.name == _SHARED and name in _table(file.contents, "mcpServers") for file in files)
    rejected = [
        each for table in (*(file.contents for file in files), *own) for each in _names(table, _REJECTED)
    ]
    return shared and _plain(name) in map(_plain, rejected)


def _of_projects(file: Found, projects: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """What the person's file says of this project."""
    entries = _table(file.contents, "projects")
    return [entries[project] for project in projects if isinstance(entries.get(project), Mapping)]


def _table(contents: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = contents.get(key)
    return found if isinstance(found, Mapping) else {}


def _list(contents: Mapping[str, Any], key: str) -> list[Any]:
    found = contents.get(key)
    return found if isinstance(found, list) else []


def _names(contents: Mapping[str, Any], key: str) -> list[str]:
    return [name for name in _list(contents, key) if isinstance(name, str)]


def _plain(name: str) -> str:
    """A server's name as Claude Code compares it with the list of those that were rejected."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


TOOL = CodingTool(
    name="claude",
    title="Claude Code",
    syntax=BRACES,
    root=("CLAUDE_CONFIG_DIR", "{home}"),
    project=(
        Location("{cwd}/.mcp.json", reach="above"),
        Location(_FILE, ("projects", "{cwd}", "mcpServers"), note="its local scope"),
    ),
    user=(Location(_FILE),),
    settings=(
        Location(_FILE),
        Location("{home}/.claude/settings.json"),
        Location("{cwd}/.claude/settings.json"),
        Location("{cwd}/.claude/settings.local.json"),
    ),
    switched_off=_switched_off,
    remark="`disabledMcpServers` of the project, `deniedMcpServers` by name and, for servers in `.mcp.json`, "
    "`disabledMcpjsonServers` become `enabled: false`; a server that waits for your approval there is imported",
    shape=EntryShape(
        sign_in=SignInKeys(redirect_port="callbackPort"),
        timeout=("timeout", 0.001),
        ignored=("alwaysLoad",),
        cannot={
            "headersHelper": "export what it prints as an environment variable and use ${VAR} in headers"
        },
    ),
)
