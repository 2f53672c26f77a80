"""Claude Code: three scopes over two files. Source: the tool itself, and its documentation.

The local scope, its default, lies in the person's own file under the project's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.references import BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.tool import Found

_FILE = "{root}/.claude.json"


def _switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], projects: tuple[str, ...]
) -> bool:
    """Whether the project's own lists, or its settings, switch the server off."""
    for file in files:
        entries = file.contents.get("projects")
        tables = [entries.get(project) for project in projects] if isinstance(entries, Mapping) else []
        for table in (file.contents, *tables):
            for key in ("disabledMcpServers", "disabledMcpjsonServers"):
                names = table.get(key) if isinstance(table, Mapping) else None
                if isinstance(names, list) and name in names:
                    return True
    return False


TOOL = CodingTool(
    name="claude",
    title="Claude Code",
    syntax=BRACES,
    root=("CLAUDE_CONFIG_DIR", "{home}"),
    project=(
        Location("{cwd}/.mcp.json"),
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
    remark="`disabledMcpServers` and `disabledMcpjsonServers` of project or settings become `enabled: false`",
    shape=EntryShape(
        sign_in=SignInKeys(redirect_port="callbackPort"),
        timeout=("timeout", 0.001),
        ignored=("alwaysLoad",),
        cannot={
            "headersHelper": "export what it prints as an environment variable and use ${VAR} in headers"
        },
    ),
)
