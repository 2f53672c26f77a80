"""Kilo Code: OpenCode's format now, and the older one of its editor extension. Source: the tool itself (7.8.1)."""

from __future__ import annotations

from dmcp.cli.importers.opencode import SIGN_IN, refuse_a_switch, with_switches
from dmcp.cli.importers.references import CURLY, EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

_KEY = ("mcp",)
_PROJECT = (
    Location("{cwd}/.kilocode/mcp.json", note="older"),
    Location("{cwd}/kilo.json", _KEY, reach="worktree"),
    Location("{cwd}/kilo.jsonc", _KEY, reach="worktree"),
    Location("{cwd}/.kilo/kilo.jsonc", _KEY, reach="worktree outwards"),
    Location("{cwd}/.kilo/kilo.json", _KEY, reach="worktree outwards"),
)
_USER = (
    Location("{code}/globalStorage/kilocode.kilo-code/settings/mcp_settings.json", note="older"),
    Location("{xdg}/kilo/kilo.json", _KEY),
    Location("{xdg}/kilo/kilo.jsonc", _KEY),
    Location("{home}/.kilo/kilo.jsonc", _KEY),
    Location("{home}/.kilo/kilo.json", _KEY),
)

TOOL = CodingTool(
    name="kilocode",
    title="Kilo Code",
    syntax=EDITOR + CURLY,
    project=_PROJECT,
    user=_USER,
    settings=(*_USER, *_PROJECT),
    overlays=True,
    unwrap=refuse_a_switch,
    select=with_switches,
    remark="as OpenCode; the older format of the editor extension is read too",
    shape=EntryShape(
        env=("env", "environment"),
        enabled="enabled",
        timeout=("timeout", 0.001),
        exclude="disabledTools",
        sign_in=SIGN_IN,
        ignored=("alwaysAllow", "autoApprove", "watchPaths"),
    ),
)
