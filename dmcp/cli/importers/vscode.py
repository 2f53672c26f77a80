"""Visual Studio Code: its own file of servers. Source: its documentation."""

from __future__ import annotations

from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

TOOL = CodingTool(
    name="vscode",
    title="Visual Studio Code",
    syntax=EDITOR,
    project=(Location("{cwd}/.vscode/mcp.json", ("servers",), reach="nearest"),),
    user=(Location("{code}/mcp.json", ("servers",)),),
    shape=EntryShape(
        sign_in=SignInKeys(client_secret=None),
        env_file="envFile",
        ignored=("gallery", "version", "dev"),
        cannot={
            "sandboxEnabled": "dmcp starts servers without a sandbox",
            "sandbox": "dmcp starts servers without a sandbox",
        },
    ),
)
