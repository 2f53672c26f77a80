"""The two sessions dmcp has: server towards the client, client towards each upstream. One class per role.

A session knows what was negotiated and builds the handshake's payloads. It sends nothing and waits for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dmcp import __version__
from dmcp.errors import DownstreamError, UpstreamError
from dmcp.protocol import revisions
from dmcp.protocol.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, JsonObject
from dmcp.protocol.wire import encode
from dmcp.text import printable

_INSTRUCTIONS = (
    "dmcp stands in front of several MCP servers, each one a group. Call get_dynamic_tools with a group to see "
    "its tools and their input schemas, then call_dynamic_tool with the group, the tool's name and its args. "
    "Resources and prompts of all groups are listed as usual."
)

_CAPABILITIES = (
    "completions",
    "logging",
    "prompts",
    "resources",
    "tools",
)  # of a server: what dmcp makes use of
_SERVER = ("name", "title", "version")  # of a server's own words: what a person may want to read
_INTRODUCTION = 1000  # characters of a server's instructions worth a line in the log

# Capabilities of the client that an upstream must not be told of: tasks are addressed by ids that are unique
# per server only, so a task of one upstream could not be told from a task of another.
_NOT_MIRRORED = frozenset({"tasks"})


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What the client said of itself in ``initialize``; upstreams are shown the same."""

    revision: str
    capabilities: JsonObject = field(default_factory=dict)
    info: JsonObject = field(default_factory=dict)

    def can(self, *path: str) -> bool:
        """Whether the client declared a capability, e.g. ``can("roots", "listChanged")``."""
        here: Any = self.capabilities
        for name in path:
            if not isinstance(here, dict) or here.get(name) in (None, False):
                return False
            here = here[name]
        return True


class ServerSession:
    """dmcp as the client's server: negotiates once, then remembers the client's profile."""

    __slots__ = ("operating", "profile")

    def __init__(self) -> None:
        self.profile: ClientProfile | None = None
        self.operating = False
        """Whether ``notifications/initialized`` has come, or a request instead: from then on dmcp asks and tells."""

    def __repr__(self) -> str:
        return (
            f"<ServerSession {self.profile.revision if self.profile else 'new'} operating={self.operating}>"
        )

    @property
    def takes_batches(self) -> bool:
        """Whether the negotiated revision allows the client to send batches."""
        return self.profile is not None and revisions.allows_batches(self.profile.revision)

    def initialize(self, params: JsonObject) -> JsonObject:
        """Handle ``initialize`` and return its result.

        Raises:
            DownstreamError: a parameter is missing or wrong, or the session is initialized already.
        """
        if self.profile is not None:
            raise DownstreamError(INVALID_REQUEST, "Invalid request: the session is already initialized")
        asked = params.get("protocolVersion")
        if not isinstance(asked, str):
            raise DownstreamError(INVALID_PARAMS, "Invalid params: protocolVersion must be a string")
        capabilities, info = params.get("capabilities", {}), params.get("clientInfo", {})
        if not isinstance(capabilities, dict):
            raise DownstreamError(INVALID_PARAMS, "Invalid params: capabilities must be an object")
        if not isinstance(info, dict):
            raise DownstreamError(INVALID_PARAMS, "Invalid params: clientInfo must be an object")
        revision = revisions.negotiate(asked)
        self.profile = ClientProfile(revision, capabilities, info)
        return {
            "protocolVersion": revision,
            "capabilities": _server_capabilities(revision),
            "serverInfo": {"name": "dmcp", "title": "dmcp", "version": __version__},
            "instructions": _INSTRUCTIONS,
        }


def _server_capabilities(revision: str) -> JsonObject:
    capabilities: JsonObject = {
        "logging": {},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "tools": {"listChanged": True},
    }
    if revisions.declares_completions(revision):
        capabilities["completions"] = {}
    return capabilities


def _short(text: Any, limit: int = 200) -> str | None:
    """Return a peer's text, if it is one, at a length that may be kept."""
    return printable(text, limit, lines=True) if isinstance(text, str) else None


class ClientSession:
    """dmcp as an upstream's client: offers the latest revision, takes what the server answers if known."""

    __slots__ = ("capabilities", "instructions", "revision", "server")

    def __init__(self) -> None:
        self.revision = ""
        self.capabilities: JsonObject = {}
        self.server: JsonObject = {}
        self.instructions = ""

    def __repr__(self) -> str:
        return f"<ClientSession {self.revision or 'new'} {sorted(self.capabilities)}>"

    def has(self, *path: str) -> bool:
        """Whether the server declared a capability, e.g. ``has("resources", "subscribe")``."""
        return ClientProfile(self.revision, self.capabilities).can(*path)

    def introduction(self) -> str:
        """What the server says of itself, as one line of JSON: names, description, beginning of its instructions."""
        said = {key: self.server.get(key) for key in ("name", "title", "description")}
        return encode({**said, "instructions": self.instructions}).decode()

    @staticmethod
    def hello(
        profile: ClientProfile, withheld: frozenset[str] = frozenset(), revision: str = revisions.LATEST
    ) -> JsonObject:
        """The params of ``initialize``: the client's own capabilities and name, so that nothing is promised for it.

        Args:
            profile: the client's.
            withheld: capabilities of the client that this server is not to use.
            revision: to ask for.
        """
        hidden = _NOT_MIRRORED | withheld
        mirrored = {name: value for name, value in profile.capabilities.items() if name not in hidden}
        info = profile.info if isinstance(profile.info.get("name"), str) else {}
        return {
            "protocolVersion": revision,
            "capabilities": mirrored,
            "clientInfo": info or {"name": "dmcp", "version": __version__},
        }

    def welcome(self, result: Any) -> None:
        """Take the result of ``initialize``.

        Raises:
            UpstreamError: it is no valid result, or its revision is unknown.
        """
        if not isinstance(result, dict):
            raise UpstreamError("answered initialize with something that is not an object")
        revision = result.get("protocolVersion")
        if not isinstance(revision, str) or not revisions.is_known(revision):
            known = ", ".join(revisions.KNOWN)
            raise UpstreamError(f"speaks protocol version {_short(revision)!r}, dmcp speaks {known}")
        capabilities, server = result.get("capabilities"), result.get("serverInfo")
        self.revision = revision
        given = capabilities if isinstance(capabilities, dict) else {}
        self.capabilities = {name: given[name] for name in _CAPABILITIES if isinstance(given.get(name), dict)}
        self.server = {key: _short(server.get(key)) for key in _SERVER} if isinstance(server, dict) else {}
        self.instructions = _short(result.get("instructions"), _INTRODUCTION) or ""
