"""LM Studio: one file, in Cursor's format. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="lmstudio",
    title="LM Studio",
    syntax=EDITOR,
    user=(Location("{home}/.lmstudio/mcp.json"),),
    shape=EntryShape(env_file="envFile", timeout=("timeout", 0.001)),
)
