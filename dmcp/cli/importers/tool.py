"""What there is to say about a coding tool: where its files are, how it spells a server and a reference.

Data only; ``entries`` reads with it, ``gather`` finds with it, ``tables`` prints it for docs/import.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from dmcp.cli.importers.references import NOTHING, Syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dmcp.cli.importers.fields import Entry
    from dmcp.cli.importers.model import ImportedServer, Kind

Scope = Literal["project", "user"]

STDIO_TYPES: Mapping[str, str] = MappingProxyType({"stdio": "stdio", "local": "stdio"})
"""Spellings of a local server."""
REMOTE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "http": "http",
        "streamable-http": "http",
        "streamableHttp": "http",
        "streamable_http": "http",
        "sse": "sse",
        "remote": "auto",
    }
)
"""Spellings of a remote server, and the kind each means."""


@dataclass(frozen=True, slots=True)
class Location:
    """One file of a tool.

    Attributes:
        path: a template over ``Machine.places`` and ``{root}``; ``$NAME`` is the path in that variable, and
            ``/*`` at the end means each file of the directory.
        servers: the keys that lead to the servers; ``{cwd}`` in one is the project's directory, or its repository's.
        platforms: as ``sys.platform``; empty means all.
        note: how the place is called in the documentation.
    """

    path: str
    servers: tuple[str, ...] = ("mcpServers",)
    platforms: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SignInKeys:
    """Where a tool keeps what it knows about signing in: the table's key, and the keys in it."""

    table: str = "oauth"
    client_id: str = "clientId"
    client_secret: str | None = "clientSecret"  # noqa: S105 - the name of a key, not a secret
    scopes: str = "scopes"
    redirect_port: str | None = None


@dataclass(frozen=True, slots=True)
class EntryShape:
    """How one server is spelled. Each attribute names the tool's key for it; ``None`` or empty: it has none.

    Attributes:
        urls: keys of the address, each with the kind it means when no ``type`` says otherwise.
        types: the tool's names of transports that differ from the usual ones.
        env_file: the key of a file with more variables; its names are inlined only when a person says so.
        timeout: the key of the time a call may take, and its unit in seconds.
        startup: the key of the time a start may take, and its unit in seconds.
        ignored: keys that mean something to that tool only (approval, appearance); dropped in silence.
        cannot: keys that matter and have no equivalent, each with what to do about it.
    """

    command: str = "command"
    args: str | None = "args"
    env: tuple[str, ...] = ("env",)
    cwd: str | None = "cwd"
    urls: Mapping[str, Kind] = field(default_factory=lambda: {"url": "auto"})
    type: tuple[str, ...] = ("type",)
    types: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ("headers",)
    disabled: str | None = "disabled"
    enabled: str | None = None
    description: str | None = "description"
    timeout: tuple[str, float] | None = None
    startup: tuple[str, float] | None = None
    env_file: str | None = None
    include: str | None = None
    exclude: str | None = None
    sign_in: SignInKeys | None = None
    ignored: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """One file as read: its place, its scope and its contents."""

    path: Path
    scope: Scope
    contents: Mapping[str, Any] = field(repr=False)


def _as_it_is(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return raw


def _no_more(_entry: Entry, server: ImportedServer) -> ImportedServer:
    return server


def _none_off(
    _name: str, _raw: Mapping[str, Any], _files: tuple[Found, ...], _projects: tuple[str, ...]
) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class CodingTool:
    """A coding tool.

    Attributes:
        name: what a person types after ``dmcp import``.
        title: what the tool calls itself.
        shape: how it spells a server.
        syntax: how it refers to environment variables.
        project: files of a project, the later ones win.
        user: files of a person, the later ones win.
        root: a variable that moves the tool's directory, and where it is otherwise: ``{root}``.
        settings: files without servers that say which are switched off.
        overlays: whether an entry is merged key by key with one of the same name in an earlier file.
        unwrap: brings a nested entry into the flat form ``shape`` describes.
        finish: carries what the shape alone cannot say.
        switched_off: whether something other than the entry itself disables it.
        remark: what ``unwrap``, ``finish`` and ``switched_off`` do, for the documentation.
    """

    name: str
    title: str
    shape: EntryShape = EntryShape()
    syntax: Syntax = NOTHING
    project: tuple[Location, ...] = ()
    user: tuple[Location, ...] = ()
    root: tuple[str, str] | None = None
    settings: tuple[Location, ...] = ()
    overlays: bool = False
    unwrap: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = _as_it_is
    finish: Callable[[Entry, ImportedServer], ImportedServer] = _no_more
    switched_off: Callable[[str, Mapping[str, Any], tuple[Found, ...], tuple[str, ...]], bool] = _none_off
    remark: str = ""
