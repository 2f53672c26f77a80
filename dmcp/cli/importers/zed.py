"""Zed: ``context_servers`` among its settings, with comments. Source: its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmcp.cli.importers.fields import BadEntry
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location

_KEY = ("context_servers",)
_OWN_COMMAND = "find out how to start the server without Zed, and add it by hand"


def _unwrapped(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with what an older ``command`` table says beside the rest.

    Raises:
        BadEntry: the server comes with an extension of Zed.
    """
    command = raw.get("command")
    if isinstance(command, Mapping):
        inner = {("command" if key == "path" else key): value for key, value in command.items()}
        return {**{key: value for key, value in raw.items() if key != "command"}, **inner}
    if command is None and "url" not in raw and (raw.get("source") == "extension" or "settings" in raw):
        raise BadEntry("it comes with an extension of Zed, which alone knows how to start it", _OWN_COMMAND)
    return raw


TOOL = CodingTool(
    name="zed",
    title="Zed",
    project=(Location("{cwd}/.zed/settings.json", _KEY, reach="nearest"),),
    user=(
        Location("{xdg}/zed/settings.json", _KEY, ("linux",)),
        Location("{home}/.config/zed/settings.json", _KEY, ("darwin",)),
        Location("{appdata}/Zed/settings.json", _KEY, ("win32",)),
    ),
    unwrap=_unwrapped,
    remark="an older nested `command` table is read too; servers that come with an extension are left out",
    shape=EntryShape(enabled="enabled", timeout=("timeout", 1.0), ignored=("source", "settings", "remote")),
)
