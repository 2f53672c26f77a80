"""Kiro: a project's and a person's file. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import PLAIN_BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="kiro",
    title="Kiro",
    syntax=PLAIN_BRACES,
    project=(Location("{cwd}/.kiro/settings/mcp.json", reach="nearest"),),
    user=(Location("{home}/.kiro/settings/mcp.json"),),
    shape=EntryShape(exclude="disabledTools", timeout=("timeout", 0.001), ignored=("autoApprove",)),
)
