"""Gemini CLI: ``httpUrl`` is Streamable HTTP, a bare ``url`` is SSE. Source: the tool itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.references import SHELL
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.tool import Found

GOOGLE = "dmcp signs in with OAuth only; a token in an environment variable can go into headers"

SHAPE = EntryShape(
    urls={"httpUrl": "http", "url": "sse"},
    timeout=("timeout", 0.001),
    include="includeTools",
    exclude="excludeTools",
    sign_in=SignInKeys(),
    ignored=("trust", "extension", "extensionName", "discoveryTimeoutMs"),
    cannot={
        "tcp": "dmcp has no WebSocket transport",
        "authProviderType": GOOGLE,
        "targetAudience": GOOGLE,
        "targetServiceAccount": GOOGLE,
    },
)


def switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], _projects: tuple[str, ...]
) -> bool:
    """Whether the allowed and excluded lists, or the file of ``mcp disable``, switch the server off."""
    for file in files:
        lists = file.contents.get("mcp")
        allowed = lists.get("allowed") if isinstance(lists, Mapping) else None
        excluded = lists.get("excluded") if isinstance(lists, Mapping) else None
        if isinstance(excluded, list) and name in excluded:
            return True
        if isinstance(allowed, list) and allowed and name not in allowed:
            return True
        switch = file.contents.get(name) if file.path.name == "mcp-server-enablement.json" else None
        if isinstance(switch, Mapping) and switch.get("enabled") is False:
            return True
    return False


TOOL = CodingTool(
    name="gemini",
    title="Gemini CLI",
    syntax=SHELL,
    root=("GEMINI_CLI_HOME", "{home}"),
    project=(Location("{cwd}/.gemini/settings.json"),),
    user=(Location("{root}/.gemini/settings.json"),),
    settings=(
        Location("{root}/.gemini/settings.json"),
        Location("{root}/.gemini/mcp-server-enablement.json"),
    ),
    switched_off=switched_off,
    remark="`mcp.allowed`, `mcp.excluded` and what `gemini mcp disable` writes become `enabled: false`",
    shape=SHAPE,
)
