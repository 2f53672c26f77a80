"""Cursor: where it keeps its servers and how it spells them. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

TOOL = CodingTool(
    name="cursor",
    title="Cursor",
    syntax=EDITOR,
    project=(Location("{cwd}/.cursor/mcp.json", reach="nearest"),),
    user=(Location("{home}/.cursor/mcp.json"),),
    shape=EntryShape(
        sign_in=SignInKeys("auth", "CLIENT_ID", "CLIENT_SECRET"),
        env_file="envFile",
    ),
)
