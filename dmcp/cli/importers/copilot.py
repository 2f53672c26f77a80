"""Copilot CLI: ``tools`` is a list of what is switched on. Source: the tool itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.references import SHELL
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.tool import Found


def _switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], _projects: tuple[str, ...]
) -> bool:
    """Whether the person's settings switch the server off."""
    lists = (file.contents.get("disabledMcpServers") for file in files)
    return any(isinstance(names, list) and name in names for names in lists)


TOOL = CodingTool(
    name="copilot",
    title="Copilot CLI",
    syntax=SHELL,
    root=("COPILOT_HOME", "{home}/.copilot"),
    project=(
        Location("{cwd}/.github/mcp.json", reach="repository", unless="{cwd}/.mcp.json"),
        Location("{cwd}/.mcp.json", reach="repository"),
    ),
    user=(Location("{root}/mcp-config.json"),),
    settings=(Location("{root}/settings.json"),),
    switched_off=_switched_off,
    remark="`disabledMcpServers` of its settings become `enabled: false`; "
    "`tools` of `*` means all, an empty list none; `.github/mcp.json` is not read where there is a `.mcp.json`",
    shape=EntryShape(
        timeout=("timeout", 0.001), include="tools", empty_is_none=True, ignored=("isDefaultServer",)
    ),
)
