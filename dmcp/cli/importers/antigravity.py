"""Google Antigravity: ``serverUrl`` is the address. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.gemini import GOOGLE
from dmcp.cli.importers.references import PLAIN_BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

TOOL = CodingTool(
    name="antigravity",
    title="Google Antigravity",
    syntax=PLAIN_BRACES,
    project=(Location("{cwd}/.agents/mcp_config.json", reach="nearest"),),
    user=(
        Location("{home}/.gemini/antigravity/mcp_config.json"),
        Location("{home}/.gemini/config/mcp_config.json", note="newer"),
    ),
    shape=EntryShape(
        urls={"serverUrl": "auto", "url": "auto"},
        exclude="disabledTools",
        sign_in=SignInKeys(),
        ignored=("$typeName",),
        cannot={"authProviderType": GOOGLE},
    ),
)
