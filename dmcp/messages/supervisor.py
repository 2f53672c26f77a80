"""What the supervisor accepts, and the directory it publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.model import Configuration, ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Request
    from dmcp.protocol.link import FaultKind
    from dmcp.protocol.session import ClientProfile


@dataclass(frozen=True, slots=True, eq=False)
class Configure:
    """Apply this configuration: the first one, or a changed one."""

    configuration: Configuration


@dataclass(frozen=True, slots=True, eq=False)
class ConfigurationRejected:
    """The changed configuration file is invalid; everything stays as it is."""

    problem: str


@dataclass(frozen=True, slots=True, eq=False)
class ClientKnown:
    """The client has introduced itself: upstreams may be initialised."""

    profile: ClientProfile


@dataclass(frozen=True, slots=True, eq=False)
class ClientSaid:
    """A notification of the client that is for every upstream."""

    method: str


@dataclass(frozen=True, slots=True, eq=False)
class LogLevelSet:
    """The client wants log messages from this level up."""

    level: str


@dataclass(frozen=True, slots=True, eq=False)
class Congestion:
    """The client does not keep up reading (or does again): hold the upstreams back."""

    congested: bool


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamReady:
    """An upstream is connected and its listings are known."""

    group: str
    generation: int


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamLost:
    """An upstream's connection failed or ended; its actor ends with this message.

    Attributes:
        kind: what happened, ``None`` when the server answered but could not be initialised.
        reason: in words.
        repeat: requests that may be sent again to the next generation.
        subscriptions: resource URIs to subscribe to again.
        was_ready: whether it had been ready.
    """

    group: str
    generation: int
    kind: FaultKind | None
    reason: str
    repeat: tuple[Request, ...] = ()
    subscriptions: frozenset[str] = frozenset()
    was_ready: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Undelivered:
    """A request reached an upstream that has ended: give it to the present generation."""

    group: str
    request: Request


@dataclass(frozen=True, slots=True, eq=False)
class IdleLongEnough:
    """A lazy upstream has had nothing to do for its ``idle_stop``; its actor ends with this message."""

    group: str
    generation: int


@dataclass(frozen=True, slots=True, eq=False)
class Shutdown:
    """Stop everything, in the reverse order of the start.

    Attributes:
        grace: seconds calls in flight get to finish.
        status: the exit status of the process.
    """

    grace: float
    status: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One configured server as the catalog and the frontend see it.

    Attributes:
        config: its configuration.
        upstream: where requests go; ``None`` when it cannot be started as configured.
        reason: why not, then.
    """

    config: ServerConfig
    upstream: Address | None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """All groups, in the order of the configuration. Published to the catalog and the frontend when it changes.

    Attributes:
        groups: by name.
        problem: why the newest configuration file is not in force, else empty.
    """

    groups: Mapping[str, Group]
    problem: str = ""
