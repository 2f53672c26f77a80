"""OpenCode: several files, merged key by key. Source: the tool itself, and its published schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.fields import BadEntry
from dmcp.cli.importers.references import CURLY
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGN_IN = SignInKeys(scopes="scope", redirect_port="callbackPort")


def refuse_a_switch(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry as it is, unless it only switches a server of another file on or off.

    Raises:
        BadEntry: it does.
    """
    if set(raw) == {"enabled"}:
        raise BadEntry("it only switches a server of another file on or off", "import that file, or --all")
    return raw


TOOL = CodingTool(
    name="opencode",
    title="OpenCode",
    syntax=CURLY,
    project=tuple(
        Location(f"{{cwd}}/{folder}opencode.{suffix}", ("mcp",))
        for folder in ("", ".opencode/")
        for suffix in ("json", "jsonc")
    ),
    user=(
        Location("{xdg}/opencode/config.json", ("mcp",)),
        Location("{xdg}/opencode/opencode.json", ("mcp",)),
        Location("{xdg}/opencode/opencode.jsonc", ("mcp",)),
        Location("$OPENCODE_CONFIG", ("mcp",)),
    ),
    overlays=True,
    unwrap=refuse_a_switch,
    remark="files are merged key by key; an entry of only `enabled` is for a server of another file",
    shape=EntryShape(env=("environment",), enabled="enabled", timeout=("timeout", 0.001), sign_in=SIGN_IN),
)
