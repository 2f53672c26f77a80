"""Claude Desktop: a person's servers, stdio only. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.tool import CodingTool, Location

_STORE = "{localappdata}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"

TOOL = CodingTool(
    name="claude-desktop",
    title="Claude Desktop",
    user=(
        Location(_STORE, platforms=("win32",), note="installed from the store"),
        Location("{programs}/Claude/claude_desktop_config.json"),
    ),
)
