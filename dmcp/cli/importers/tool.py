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
    from dmcp.cli.importers.model import ImportedServer, Kind, NotCarried

Scope = Literal["project", "user"]
Reach = Literal["here", "nearest", "repository", "worktree", "worktree outwards", "above"]
"""Where a tool looks for a file of the project.

"here": in the directory it is started in. "nearest": in that one and upwards to the root of the repository, until
there is one; that is the folder an editor will have been opened in, too. "repository": in all of these; the inner ones
win. "worktree": as "repository", and without a repository in all above. "worktree outwards": there, but the outer ones
win. "above": in all above, repository or not; the inner ones win.
"""

STDIO_TYPES: Mapping[str, str] = MappingProxyType({"stdio": "stdio", "local": "stdio"})
"""Spellings of a local server."""
REMOTE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "http": "http",
        "streamable-http": "http",
        "streamableHttp": "http",
        "streamable_http": "http",
        "streamable": "http",
        "streamablehttp": "http",
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
        reach: which directories may be meant by ``{cwd}``.
        unless: a file beside it, as a template; where that is, the tool does not read this one.
    """

    path: str
    servers: tuple[str, ...] = ("mcpServers",)
    platforms: tuple[str, ...] = ()
    note: str = ""
    reach: Reach = "here"
    unless: str = ""

    @property
    def scope(self) -> Scope:
        """Whose file it is, by where it lies."""
        return "project" if "{cwd}" in self.path else "user"


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
        literal: whether the names in the tool's lists are names only, and no globs.
        empty_is_none: whether an empty list of what is switched on means nothing; otherwise it means everything.
        ignored: keys that mean something to that tool only (approval, appearance); dropped in silence.
        cannot: keys that matter and have no equivalent, each with what to do about it.
    """

    command: str = "command"
    args: str | None = "args"
    env: tuple[str, ...] = ("env",)
    cwd: str | None = "cwd"
    urls: Mapping[str, Kind] = field(default_factory=lambda: {"url": "auto"})
    type: tuple[str, ...] = ("type", "transport", "transportType")
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
    literal: bool = False
    empty_is_none: bool = False
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


def _selected_already(
    server: ImportedServer, _files: tuple[Found, ...]
) -> tuple[ImportedServer, tuple[NotCarried, ...]]:
    return server, ()


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
        settings: files that say which servers or tools are switched off, with servers in them or not.
        overlays: whether an entry is merged key by key with one of the same name in an earlier file.
        unwrap: brings a nested entry into the flat form ``shape`` describes.
        finish: carries what the shape alone cannot say.
        switched_off: whether something other than the entry itself disables it.
        select: applies what is said of a server's tools elsewhere than in its entry.
        remark: what ``unwrap``, ``finish``, ``switched_off`` and ``select`` do, for the documentation.
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
    select: Callable[[ImportedServer, tuple[Found, ...]], tuple[ImportedServer, tuple[NotCarried, ...]]] = (
        _selected_already
    )
    remark: str = ""
