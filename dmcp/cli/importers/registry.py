"""The coding tools dmcp can import from, by name, in the order of the help text and the documentation."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

from dmcp.cli.importers import (
    amp,
    antigravity,
    claude,
    claude_desktop,
    cline,
    codex,
    continue_,
    copilot,
    cursor,
    gemini,
    goose,
    junie,
    kilocode,
    kiro,
    lmstudio,
    opencode,
    qwen,
    roo,
    vscode,
    windsurf,
    zed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.tool import CodingTool

_MODULES = (
    *(cursor, opencode, claude_desktop, claude, vscode, cline, kilocode, codex, gemini, antigravity),
    *(copilot, qwen, amp, windsurf, zed, roo, kiro, lmstudio, junie, goose, continue_),
)

TOOLS: Mapping[str, CodingTool] = MappingProxyType({module.TOOL.name: module.TOOL for module in _MODULES})


def nearest(name: str) -> str | None:
    """The tool a person probably meant."""
    close = difflib.get_close_matches(name.lower(), TOOLS, n=1, cutoff=0.5)
    return close[0] if close else None
