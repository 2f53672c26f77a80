"""Roo Code: a project's file, and one of its editor extension. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="roo",
    title="Roo Code",
    syntax=EDITOR,
    project=(Location("{cwd}/.roo/mcp.json", reach="nearest"),),
    user=(Location("{code}/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),),
    shape=EntryShape(
        timeout=("timeout", 1.0), exclude="disabledTools", ignored=("alwaysAllow", "watchPaths")
    ),
)
