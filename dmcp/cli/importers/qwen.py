"""Qwen Code: Gemini's format under another name. Source: the tool itself (0.15.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.gemini import SHAPE, excluded_by, lists, without_arguments
from dmcp.cli.importers.references import PLAIN_SHELL
from dmcp.cli.importers.tool import CodingTool, Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.model import ImportedServer, NotCarried
    from dmcp.cli.importers.tool import Found


def _switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], _projects: tuple[str, ...]
) -> bool:
    """Whether a list switches the server off. Other than in Gemini, the lists of several files are one list."""
    allowed = list(lists(files, "mcp", "allowed"))
    excluded = lists(files, "mcp", "excluded")
    return (bool(allowed) and not any(name in names for names in allowed)) or any(
        name in names for names in excluded
    )


def _select(
    server: ImportedServer, files: tuple[Found, ...]
) -> tuple[ImportedServer, tuple[NotCarried, ...]]:
    return excluded_by(server, files, f"mcp__{server.name}__"), ()


TOOL = CodingTool(
    name="qwen",
    title="Qwen Code",
    syntax=PLAIN_SHELL,
    root=("QWEN_HOME", "{home}/.qwen"),
    project=(Location("{cwd}/.qwen/settings.json"),),
    user=(Location("{root}/settings.json"),),
    settings=(Location("{root}/settings.json"),),
    finish=without_arguments,
    switched_off=_switched_off,
    select=_select,
    remark="`mcp.allowed` and `mcp.excluded` become `enabled: false`; `mcp__SERVER__TOOL` in `tools.exclude` becomes "
    "`tools.exclude` of that server; an empty `includeTools` becomes `features.tools: false`",
    shape=SHAPE,
)
