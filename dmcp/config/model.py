"""The configuration as the rest of dmcp sees it: checked, resolved, frozen, comparable.

Durations are seconds. Environment references are already resolved. No I/O here: the file's own shape, with its spelling
and its mistakes, is the business of ``dmcp.config.schema``, which takes what is alike from here. Structs, because a
dataclass takes half a millisecond to be made.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Text = Annotated[str, Meta(min_length=1)]


LISTING_BUDGET: Final = 7500
"""Characters of one answer of ``get_dynamic_tools``. Some coding tools cut longer ones (``docs/tools.md``)."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the configuration that the file has as it is."""

    def fault(self) -> str | None:
        """Return what is wrong with these values together, as a predicate; ``None`` if nothing is."""
        return None


class Secretive(Struct, frozen=True):
    """What is shown without those of its values that may be secrets."""

    hidden: ClassVar[frozenset[str]]

    def __repr__(self) -> str:
        shown = (
            f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.hidden
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class Features(Part, frozen=True):
    """Which parts of a server the client may see, and what the server may ask of the client."""

    tools: Annotated[bool, Meta(description="Show the server's tools.")] = True
    resources: Annotated[bool, Meta(description="Show the server's resources and resource templates.")] = True
    prompts: Annotated[bool, Meta(description="Show the server's prompts.")] = True
    sampling: Annotated[bool, Meta(description="Let the server ask the client's model (sampling).")] = True
    elicitation: Annotated[bool, Meta(description="Let the server ask you something (elicitation).")] = True
    roots: Annotated[bool, Meta(description="Let the server ask which folders the client works in.")] = True


class Timeouts(Struct, frozen=True):
    """Seconds until a request of each kind fails, and until a server must have answered ``initialize``."""

    tools: float = 30.0
    resources: float = 10.0
    prompts: float = 10.0
    connect: float = 30.0


class RestartPolicy(Struct, frozen=True):
    """When a failed server is started again: see ``dmcp.actors.restart``.

    Attributes:
        intensity: failures within ``period`` seconds before the server is parked.
        period: the window, in seconds.
        backoff_min: the first delay, in seconds; it doubles with each failure.
        backoff_max: the longest delay, in seconds.
    """

    intensity: int = 10
    period: float = 300.0
    backoff_min: float = 0.5
    backoff_max: float = 30.0


class Limits(Struct, frozen=True):
    """What one server may make grow; beyond a limit its own call or listing fails. See ``dmcp.protocol.limits``.

    Attributes:
        frame: bytes of one message of the server, uncompressed.
        listing_entries: entries of one listing.
        listing_bytes: bytes of one listing, all pages together.
        server_requests: requests of the server that wait for the client at the same time.
        notifications: notifications a second that are passed on to the client; bursts of five times as many pass.
        call_time: seconds one call may take whatever progress it reports; ``None``: ten times its timeout.
    """

    frame: int = 64 * 1024 * 1024
    listing_entries: int = 5000
    listing_bytes: int = 8 * 1024 * 1024
    server_requests: int = 64
    notifications: float = 200.0
    call_time: float | None = None


class ToolSelection(Struct, frozen=True):
    """Which tools are switched on: names or globs. An empty ``include`` means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class OAuthSettings(Secretive, frozen=True):
    """How to sign in to a remote server. Everything is optional: discovery and registration fill the gaps.

    Attributes:
        issuer: the authorization server; no other one is signed in at, and none but it is shown the client.
        redirect_host: the host of the address the browser returns to, as it was registered.
        redirect_path: its path.
        resource: the ``resource`` parameter (RFC 8707): sent or not, or this value; ``None`` sends it until the
            authorization server refuses it.
        assume_pkce: whether an authorization server that says nothing of PKCE is taken to do it.
    """

    hidden = frozenset({"client_secret"})

    client_id: str | None = None
    client_secret: str | None = None
    scopes: tuple[str, ...] = ()
    client_metadata_url: str | None = None
    redirect_port: int | None = None
    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    token_endpoint_auth_method: (
        Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] | None
    ) = None
    private_key_file: str | None = None
    issuer: str | None = None
    redirect_host: Literal["127.0.0.1", "localhost"] = "127.0.0.1"
    redirect_path: str = "/callback"
    resource: bool | str | None = None
    assume_pkce: bool = False


class StdioServer(Secretive, frozen=True):
    """How to start a local server."""

    hidden = frozenset({"args", "env"})

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=_nothing)
    cwd: str | None = None
    inherit_env: bool | tuple[str, ...] = True
    """What of dmcp's own environment it gets: see ``dmcp.protocol.environment``."""


class RemoteServer(Secretive, frozen=True):
    """How to reach a remote server. ``kind`` "auto" is Streamable HTTP first, then HTTP+SSE."""

    hidden = frozenset({"url", "headers"})

    url: str
    kind: Literal["http", "sse", "auto"] = "auto"
    headers: Mapping[str, str] = field(default_factory=_nothing)
    oauth: OAuthSettings = OAuthSettings()


class Unresolved(Struct, frozen=True):
    """A server that cannot be started as configured, e.g. because an environment variable is not set.

    ``kind`` is the transport it would have: "stdio", or a ``RemoteServer``'s.
    """

    reason: str
    kind: str = "stdio"


class ServerConfig(Struct, frozen=True):
    """One entry of ``mcpServers``. ``name`` is the group the client sees."""

    name: str
    description: str
    target: StdioServer | RemoteServer | Unresolved
    features: Features = Features()
    timeout: Timeouts = Timeouts()
    restart: RestartPolicy = RestartPolicy()
    tools: ToolSelection = ToolSelection()
    direct: tuple[str, ...] = ()
    """Names or globs: the tools that are shown to the client under their own names."""
    limits: Limits = Limits()
    startup: Literal["eager", "lazy"] = "eager"
    idle_stop: float | None = None
    enabled: bool = True
    listing_budget: int = LISTING_BUDGET


class Configuration(Secretive, frozen=True):
    """A whole configuration file. Disabled servers are kept out of ``servers``."""

    hidden = frozenset({"secrets"})

    servers: Mapping[str, ServerConfig] = field(default_factory=dict)
    oauth_store: Literal["file", "keyring"] = "file"
    secrets: frozenset[str] = frozenset()
    """Values that must never appear in a log: env, headers, resolved references, client secrets."""
    references: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of the variables each server's entry refers to, those of disabled servers too; without ``command`` and
    ``cwd``, which name places and no secrets."""

    def only(self, groups: Collection[str]) -> Configuration:
        """Return the configuration without the other servers; what is withheld from these stays withheld."""
        return replace(self, servers={name: s for name, s in self.servers.items() if name in groups})

    def withheld_from(self, name: str) -> Mapping[str, str]:
        """Return the variables only other servers refer to, each with the first of those servers."""
        own = self.references.get(name, frozenset())
        withheld: dict[str, str] = {}
        for server, names in self.references.items():
            for variable in names - own:
                withheld.setdefault(variable, server)
        return withheld
