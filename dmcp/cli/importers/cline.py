"""Cline: one file for a person, flat entries or nested ones. Source: the tool itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys


def _unwrapped(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with what its ``transport`` says beside the rest."""
    transport = raw.get("transport")
    if not isinstance(transport, Mapping):
        return raw
    return {**{key: value for key, value in raw.items() if key != "transport"}, **transport}


TOOL = CodingTool(
    name="cline",
    title="Cline",
    root=("CLINE_DIR", "{home}/.cline"),
    user=(
        Location(
            "{code}/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", note="older"
        ),
        Location("{root}/data/settings/cline_mcp_settings.json"),
        Location("$CLINE_MCP_SETTINGS_PATH"),
    ),
    unwrap=_unwrapped,
    remark="what a nested `transport` says is read as if it stood in the entry",
    shape=EntryShape(
        urls={"url": "sse"},
        timeout=("timeout", 1.0),
        sign_in=SignInKeys("oauthClient"),
        ignored=("alwaysAllow", "autoApprove", "metadata"),
    ),
)
