"""Windsurf: a person's servers, ``serverUrl`` is the address. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="windsurf",
    title="Windsurf",
    syntax=EDITOR,
    user=(Location("{home}/.codeium/windsurf/mcp_config.json"),),
    shape=EntryShape(
        urls={"serverUrl": "auto", "url": "auto"},
        exclude="disabledTools",
        ignored=("alwaysAllow", "autoApprove"),
    ),
)
