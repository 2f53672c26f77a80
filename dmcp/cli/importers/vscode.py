"""Visual Studio Code: its own file of servers. Source: its documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dmcp.cli.importers.model import Command
from dmcp.cli.importers.references import EDITOR
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.fields import Entry
    from dmcp.cli.importers.model import ImportedServer

_CONTAINER = ("customizations", "vscode", "mcp", "servers")


def _with_home(entry: Entry, server: ImportedServer) -> ImportedServer:
    """The server with the home directory for ``~``, which that editor writes out itself."""
    target = server.target
    if not isinstance(target, Command):
        return server
    args = tuple(entry.at_home(arg) for arg in target.args)
    cwd = None if target.cwd is None else entry.at_home(target.cwd)
    return replace(server, target=replace(target, command=entry.at_home(target.command), args=args, cwd=cwd))


TOOL = CodingTool(
    name="vscode",
    title="Visual Studio Code",
    syntax=EDITOR,
    project=(
        Location("{cwd}/.devcontainer/devcontainer.json", _CONTAINER, note="dev container"),
        Location("{cwd}/.devcontainer.json", _CONTAINER, note="dev container"),
        Location("{cwd}/.vscode/settings.json", ("mcp", "servers"), note="older"),
        Location("{cwd}/.vscode/mcp.json", ("servers",), reach="nearest"),
    ),
    user=(
        Location("{code}/settings.json", ("mcp", "servers"), note="older"),
        Location("{code}/mcp.json", ("servers",)),
    ),
    finish=_with_home,
    remark="`~/` at the beginning of command, arguments and `cwd` becomes the home directory",
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
