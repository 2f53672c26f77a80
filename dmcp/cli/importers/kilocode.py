"""Kilo Code: OpenCode's format now, and the older one of its editor extension. Source: the tool itself."""

from __future__ import annotations

from dmcp.cli.importers.opencode import SIGN_IN, refuse_a_switch
from dmcp.cli.importers.references import CURLY, EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

TOOL = CodingTool(
    name="kilocode",
    title="Kilo Code",
    syntax=EDITOR + CURLY,
    project=(
        Location("{cwd}/.kilocode/mcp.json", note="older"),
        Location("{cwd}/.kilo/kilo.json", ("mcp",)),
        Location("{cwd}/.kilo/kilo.jsonc", ("mcp",)),
    ),
    user=(
        Location("{code}/globalStorage/kilocode.kilo-code/settings/mcp_settings.json", note="older"),
        Location("{xdg}/kilo/kilo.json", ("mcp",)),
        Location("{xdg}/kilo/kilo.jsonc", ("mcp",)),
    ),
    overlays=True,
    unwrap=refuse_a_switch,
    remark="as OpenCode; the older format of the editor extension is read too",
    shape=EntryShape(
        env=("env", "environment"),
        enabled="enabled",
        timeout=("timeout", 0.001),
        sign_in=SIGN_IN,
        ignored=("alwaysAllow", "autoApprove", "watchPaths"),
    ),
)
