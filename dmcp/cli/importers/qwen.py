"""Qwen Code: Gemini's format under another name. Source: the tool itself."""

from __future__ import annotations

from dmcp.cli.importers.gemini import SHAPE, switched_off
from dmcp.cli.importers.references import PLAIN_SHELL
from dmcp.cli.importers.tool import CodingTool, Location

TOOL = CodingTool(
    name="qwen",
    title="Qwen Code",
    syntax=PLAIN_SHELL,
    root=("QWEN_HOME", "{home}/.qwen"),
    project=(Location("{cwd}/.qwen/settings.json"),),
    user=(Location("{root}/settings.json"),),
    settings=(Location("{root}/settings.json"),),
    switched_off=switched_off,
    remark="`mcp.allowed` and `mcp.excluded` become `enabled: false`",
    shape=SHAPE,
)
