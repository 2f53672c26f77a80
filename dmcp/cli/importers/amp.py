"""Amp: one key with a dot in its name, among its other settings. Source: the tool itself."""

from __future__ import annotations

from dmcp.cli.importers.references import PLAIN_BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

_KEY = ("amp.mcpServers",)

TOOL = CodingTool(
    name="amp",
    title="Amp",
    syntax=PLAIN_BRACES,
    project=(
        Location("{cwd}/.amp/settings.json", _KEY, reach="nearest"),
        Location("{cwd}/.amp/settings.jsonc", _KEY, reach="nearest"),
    ),
    user=(
        Location("{xdg}/amp/settings.json", _KEY),
        Location("{xdg}/amp/settings.jsonc", _KEY),
        Location("$AMP_SETTINGS_FILE", _KEY),
    ),
    shape=EntryShape(include="includeTools"),
)
