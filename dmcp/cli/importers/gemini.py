"""Gemini CLI: ``httpUrl`` is Streamable HTTP, a bare ``url`` is SSE. Source: the tool itself (0.61.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from glob import escape
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.references import SHELL
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmcp.cli.importers.fields import Entry
    from dmcp.cli.importers.model import ImportedServer, NotCarried
    from dmcp.cli.importers.tool import Found

GOOGLE = "dmcp signs in with OAuth only; a token in an environment variable can go into headers"

SHAPE = EntryShape(
    urls={"httpUrl": "http", "url": "sse"},
    timeout=("timeout", 0.001),
    startup=("discoveryTimeoutMs", 0.001),
    include="includeTools",
    exclude="excludeTools",
    literal=True,
    empty_is_none=True,
    sign_in=SignInKeys(),
    ignored=("trust", "extension", "extensionName"),
    cannot={
        "tcp": "dmcp has no WebSocket transport",
        "authProviderType": GOOGLE,
        "targetAudience": GOOGLE,
        "targetServiceAccount": GOOGLE,
    },
)


def lists(files: tuple[Found, ...], table: str, key: str) -> Iterator[list[str]]:
    """The lists of names under ``table.key``, one for each file that has one."""
    for contents in {file.path: file.contents for file in files}.values():
        found = contents.get(table)
        names = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(names, list):
            yield [name for name in names if isinstance(name, str)]


def without_arguments(_entry: Entry, server: ImportedServer) -> ImportedServer:
    """The server with ``name(arguments)`` among its included tools as ``name``, which is what it does there."""
    return replace(server, include=tuple(name.partition("(")[0] for name in server.include))


def excluded_by(server: ImportedServer, files: tuple[Found, ...], prefix: str) -> ImportedServer:
    """The server without the tools that ``tools.exclude`` names with the server before them."""
    names = [name for each in lists(files, "tools", "exclude") for name in each]
    off = [escape(name.removeprefix(prefix)) for name in names if name.startswith(prefix) and name != prefix]
    return replace(server, exclude=tuple(dict.fromkeys((*server.exclude, *off))))


def _select(
    server: ImportedServer, files: tuple[Found, ...]
) -> tuple[ImportedServer, tuple[NotCarried, ...]]:
    return excluded_by(server, files, f"mcp_{server.name}_"), ()


def _switched_off(
    name: str, _raw: Mapping[str, Any], files: tuple[Found, ...], _projects: tuple[str, ...]
) -> bool:
    """Whether a list, or the file of ``mcp disable``, switches the server off: each allowed list has to name it."""
    plain = _plain(name)
    if any(plain not in map(_plain, names) for names in lists(files, "mcp", "allowed")):
        return True
    if any(plain in map(_plain, names) for names in lists(files, "mcp", "excluded")):
        return True
    tables = [file.contents for file in files if file.path.name == "mcp-server-enablement.json"]
    switches = [switch for table in tables for key, switch in table.items() if _plain(key) == plain]
    return any(isinstance(switch, Mapping) and switch.get("enabled") is False for switch in switches)


def _plain(name: str) -> str:
    """A server's name as Gemini compares it."""
    return name.strip().lower()


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
    finish=without_arguments,
    switched_off=_switched_off,
    select=_select,
    remark="`mcp.allowed`, `mcp.excluded` and what `gemini mcp disable` writes become `enabled: false`; "
    "`mcp_SERVER_TOOL` in `tools.exclude` becomes `tools.exclude` of that server; "
    "an empty `includeTools` becomes `features.tools: false`",
    shape=SHAPE,
)
