"""The types of the import and of the table of tools: a server in neutral form, and what a tool's files are like.

Frozen, no I/O. Strings in a server's target are in dmcp's own spelling already: references are ``${VAR}``, a literal
``${`` is escaped. Not here: the table (``table``), the functions it refers to (``special``), dmcp's file (``output``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from dmcp.cli.coding_tools.references import NOTHING, Syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dmcp.cli.coding_tools.entries import Entry

Kind = Literal["http", "sse", "auto"]
"""How a remote server speaks; "auto" leaves it to dmcp, which tries Streamable HTTP first."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server that is started on this machine."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Sign-in settings of a remote server. See ``dmcp.config.model.OAuthSettings``."""

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    redirect_port: int | None = None
    redirect_host: str | None = None
    redirect_path: str | None = None
    issuer: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A server that is reached over the network."""

    url: str = field(repr=False)
    kind: Kind = "auto"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sign_in: SignIn = SignIn()


@dataclass(frozen=True, slots=True)
class ImportedServer:
    """One server as found. Durations are seconds; an empty ``include`` means every tool.

    ``env_file`` is the path of a file with more variables, which dmcp's configuration has no key for. ``ran_in`` is the
    directory the tool started it in, where its file says so.
    """

    name: str
    target: Command | Address
    description: str | None = None
    enabled: bool = True
    tools_timeout: float | None = None
    connect_timeout: float | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    features_off: tuple[str, ...] = ()
    env_file: str | None = None
    ran_in: Path | None = None


@dataclass(frozen=True, slots=True)
class NotConverted:
    """Something of a server that dmcp's file does not have.

    Attributes:
        server: the server's name in the tool's file.
        what: what is missing, without any value that may be secret.
        advice: what the user can do about it.
    """

    server: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.server}: {self.what}: {self.advice}"


class FoundFile(NamedTuple):
    """A file that the user has not named: its text, and the names of the servers in it."""

    path: Path
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """All that was loaded: servers by name, what was not converted, and remarks on where things came from.

    ``untrusted`` are the files that came with a folder: the user has to trust them before their servers are started.
    """

    servers: tuple[ImportedServer, ...] = ()
    not_converted: tuple[NotConverted, ...] = ()
    remarks: tuple[str, ...] = ()
    untrusted: tuple[FoundFile, ...] = field(default=(), repr=False)


Scope = Literal["project", "user"]
Reach = Literal["here", "nearest", "repository", "worktree", "worktree outwards", "above"]
"""Where a tool looks for a file of the project.

"here": in the working directory. "nearest": in that one and upwards to the root of the repository, until one is found;
editors do so, or were opened there. "repository": in all of these; the inner ones win. "worktree": as "repository", and
in all directories above when there is no repository. "worktree outwards": as "worktree", but the outer ones win.
"above": in all directories above, repository or not; the inner ones win.
"""

TRANSPORTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("stdio", "local"), "stdio"),
        **dict.fromkeys(
            (
                *("http", "streamable-http", "streamableHttp"),
                *("streamable_http", "streamable", "streamablehttp"),
            ),
            "http",
        ),
        "sse": "sse",
        "remote": "auto",
    }
)
"""Every spelling of a transport, and what it means: "stdio" or a ``Kind``."""

SERVER_NAME: Final = "dmcp"
"""The name of dmcp's entry in every tool."""


@dataclass(frozen=True, slots=True)
class Location:
    """One file of a tool.

    Attributes:
        path: a template over ``Machine.variables`` and ``{root}``; ``$NAME`` is the path in that variable, and
            ``/*`` means each file of the directory, or each directory in it.
        servers: the keys that lead to the servers; ``{cwd}`` in one is the project's directory, or its repository's.
        platforms: as ``sys.platform``; empty means all.
        note: what the documentation says about the file.
        reach: which directories ``{cwd}`` stands for.
        unless: a file beside it, as a template; where that exists, the tool does not read this one.
        installable: whether ``dmcp install`` may write to it; not for files of older versions and for those that
            everybody who works on the project shares with other tools.
    """

    path: str
    servers: tuple[str, ...] = ("mcpServers",)
    platforms: tuple[str, ...] = ()
    note: str = ""
    reach: Reach = "here"
    unless: str = ""
    installable: bool = True

    @property
    def scope(self) -> Scope:
        """The scope of the file, by where it is."""
        return "project" if "{cwd}" in self.path else "user"


@dataclass(frozen=True, slots=True)
class SignInKeys:
    """Where a tool keeps its sign-in settings: the key of the table, and the keys in it."""

    table: str = "oauth"
    client_id: str = "clientId"
    client_secret: str | None = "clientSecret"  # noqa: S105 - the name of a key, not a secret
    scopes: str = "scopes"
    redirect_port: str | None = None


@dataclass(frozen=True, slots=True)
class EntryFormat:
    """How one server is spelled. Each attribute is the tool's key for it; ``None`` or empty: it has none.

    Attributes:
        urls: keys of the address, each with the transport it means when no ``type`` is given.
        types: the tool's names of transports that differ from ``TRANSPORTS``.
        env_file: the key of a file with more variables; its names are inlined only with the user's consent.
        timeout: the key of the time limit of a call, and its unit in seconds.
        startup: the key of the time limit of the start, and its unit in seconds.
        literal: whether the tool's lists hold plain names instead of globs.
        empty_is_none: whether an empty include list means no tool; otherwise it means every tool.
        expands_home: whether the tool replaces ``~/`` at the beginning of command, arguments and cwd.
        ignored: keys with a meaning for that tool only (approval, appearance); dropped silently.
        unsupported: keys that matter and have no equivalent, each with what to do about it.
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
    expands_home: bool = False
    sign_in: SignInKeys | None = None
    ignored: tuple[str, ...] = ()
    unsupported: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolFile:
    """One file of a tool as read: path, scope and contents."""

    path: Path
    scope: Scope
    contents: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """How a tool starts dmcp.

    Attributes:
        command: the program, an absolute path.
        args: its arguments; the last one is the configuration, an absolute path.
        variables: names of the environment variables the configuration refers to.
    """

    command: str
    args: tuple[str, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCommand:
    """A tool's own commands to add and to remove a server, as words."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def plain_entry(launch: LaunchCommand) -> dict[str, Any]:
    """Return dmcp's entry as most tools spell it."""
    return {"command": launch.command, "args": list(launch.args)}


@dataclass(frozen=True, slots=True)
class Installation:
    """How dmcp is installed in a tool.

    Attributes:
        entry: dmcp's entry as the tool spells it.
        off: the key of an entry that switches it off, and the value that does; ``None`` where there is none, and an
            entry has to be removed.
        command: the tool's own commands for a scope, if it has them.
        shared: a file of the project that the tool reads too and dmcp leaves alone, the user's own file beside it, and
            the key in that one of the list of names that are switched off.
        remark: what the user has to know when dmcp is installed in a project.
        project_prefix: what precedes a path of the project in its file, where the tool resolves that in every clone
            of the project; ``None`` where it does not.
        own_file: dmcp's own file below the tool's directory, for a tool that has a directory of such files.
    """

    entry: Callable[[LaunchCommand], dict[str, Any]] = plain_entry
    off: tuple[str, bool] | None = None
    command: Callable[[Scope, LaunchCommand], ToolCommand | None] | None = None
    shared: tuple[str, str, str] | None = None
    remark: str = ""
    project_prefix: str | None = None
    own_file: str = ""


@dataclass(frozen=True, slots=True)
class CodingTool:
    """A coding tool.

    Attributes:
        name: what the user types after ``dmcp import`` and ``dmcp install``.
        title: what the tool calls itself.
        format: how it spells a server.
        syntax: how it refers to environment variables.
        project: files of a project, the later ones win.
        user: files of the user, the later ones win.
        root: a variable that moves the tool's directory, and the default: ``{root}``.
        settings: files that say which servers or tools are switched off, with servers in them or not.
        overlays: whether an entry is merged key by key with one of the same name in an earlier file.
        install: how dmcp is installed in it.
        flatten: brings an entry into the flat form that ``format`` describes. Raises ``BadEntry``.
        finish: converts what ``format`` cannot describe.
        is_off: returns whether something else than its entry switches off the server of this name, given the files
            and the directories that the tool may take for the project.
        select: applies what is said of a server's tools elsewhere than in its entry.
        variables: returns variables for references out of the files, beside those that editors define.
        remark: what ``flatten``, ``finish``, ``is_off`` and ``select`` do, for the documentation.
    """

    name: str
    title: str
    format: EntryFormat = EntryFormat()
    syntax: Syntax = NOTHING
    project: tuple[Location, ...] = ()
    user: tuple[Location, ...] = ()
    root: tuple[str, str] | None = None
    settings: tuple[Location, ...] = ()
    overlays: bool = False
    install: Installation = Installation()
    flatten: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    finish: Callable[[Entry, ImportedServer], ImportedServer] | None = None
    is_off: Callable[[str, tuple[ToolFile, ...], tuple[str, ...]], bool] | None = None
    select: (
        Callable[[ImportedServer, tuple[ToolFile, ...]], tuple[ImportedServer, tuple[NotConverted, ...]]]
        | None
    ) = None
    variables: Callable[[tuple[ToolFile, ...]], Mapping[str, str]] | None = None
    remark: str = ""

    def for_install(self) -> CodingTool:
        """Return the tool with only those files that ``dmcp install`` may write to."""
        own = self.install.own_file
        if own:
            return replace(self, project=(Location("{cwd}/" + own),), user=(Location("{home}/" + own),))
        project, user = ((each for each in of if each.installable) for of in (self.project, self.user))
        return replace(self, project=tuple(project), user=tuple(user))
