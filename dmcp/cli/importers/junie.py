"""Junie: a project's and a person's file. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="junie",
    title="Junie",
    project=(Location("{cwd}/.junie/mcp/mcp.json", reach="nearest"),),
    user=(Location("{home}/.junie/mcp/mcp.json"),),
    shape=EntryShape(enabled="enabled"),
)
