"""Goose: extensions in YAML, of which only some are MCP servers. Source: its documentation.

``env_keys`` names what Goose keeps in the system's keyring; each becomes a reference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.fields import BadEntry
from dmcp.cli.importers.model import Command
from dmcp.cli.importers.references import PLAIN_BRACES
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.fields import Entry
    from dmcp.cli.importers.model import ImportedServer

_OWN = frozenset({"builtin", "platform", "frontend", "inline_python"})
_KEY = ("extensions",)


def _refuse_own(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry as it is, unless it is a part of Goose.

    Raises:
        BadEntry: it is.
    """
    if raw.get("type") in _OWN:
        raise BadEntry("it is a part of Goose, not an MCP server of its own", "nothing to do")
    return raw


def _with_keys(entry: Entry, server: ImportedServer) -> ImportedServer:
    keys = entry.names("env_keys")
    if not keys or not isinstance(server.target, Command):
        return server
    entry.note(
        "secrets that Goose keeps in the keyring (" + ", ".join(keys) + ")",
        "export them as environment variables before dmcp starts; env refers to them",
    )
    env = {**{key: f"${{{key}}}" for key in keys}, **server.target.env}
    return replace(server, target=replace(server.target, env=env))


TOOL = CodingTool(
    name="goose",
    title="Goose",
    syntax=PLAIN_BRACES,
    user=(
        Location("{xdg}/goose/config.yaml", _KEY, ("linux", "darwin")),
        Location("{appdata}/Block/goose/config/config.yaml", _KEY, ("win32",)),
    ),
    unwrap=_refuse_own,
    finish=_with_keys,
    remark="`env_keys` become references to variables to be set; parts of Goose itself are left out",
    shape=EntryShape(
        command="cmd",
        env=("envs",),
        urls={"uri": "http"},
        enabled="enabled",
        timeout=("timeout", 1.0),
        include="available_tools",
        ignored=("name", "display_name", "bundled"),
        cannot={"socket": "dmcp does not connect over a local socket"},
    ),
)
