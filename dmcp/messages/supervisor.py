"""What the supervisor accepts, and the directory it publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.model import Configuration, ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Submit
    from dmcp.protocol.link import FaultKind
    from dmcp.protocol.subscriptions import Subscription


class Configure(NamedTuple):
    """Apply this configuration: the first one, or a changed one."""

    configuration: Configuration


class ConfigurationRejected(NamedTuple):
    """The changed configuration file is invalid; everything stays as it is."""

    problem: str


class UpstreamReady(NamedTuple):
    """An upstream is connected and its listings are known."""

    group: str
    generation: int


class UpstreamLost(NamedTuple):
    """An upstream's connection failed or ended; its actor ends with this message.

    Attributes:
        kind: what happened, ``None`` when the server answered but could not be initialised.
        reason: in words.
        repeat: requests that may be sent again to the next generation.
        subscriptions: to make again.
        was_ready: whether it had been ready.
        unused: whether nobody waited for anything of it.
        category: of the failure, see ``dmcp.protocol.categories``.
        at_once: whether the next life has to begin without a delay.
    """

    group: str
    generation: int
    kind: FaultKind | None
    reason: str
    repeat: tuple[Submit, ...] = ()
    subscriptions: frozenset[Subscription] = frozenset()
    was_ready: bool = False
    unused: bool = False
    category: str = ""
    at_once: bool = False


class Undelivered(NamedTuple):
    """A request reached an upstream that has ended: give it to the present generation."""

    group: str
    request: Submit


class Bequeathed(NamedTuple):
    """An upstream that a reload stops, or that has ended, leaves these subscriptions to what takes its place."""

    group: str
    subscriptions: frozenset[Subscription]


class IdleLongEnough(NamedTuple):
    """A lazy upstream has had nothing to do for its ``idle_stop``; its actor ends with this message."""

    group: str
    generation: int


class Shutdown(NamedTuple):
    """Stop everything, in the reverse order of the start.

    Attributes:
        grace: seconds calls in flight get to finish.
        status: the exit status of the process.
        reason: what the client is told of requests that have not run; empty: that dmcp is shutting down.
    """

    grace: float
    status: int = 0
    reason: str = ""


class Group(NamedTuple):
    """One configured server as the catalog and the frontend see it.

    Attributes:
        config: its configuration.
        upstream: where requests go; ``None`` when it cannot be started as configured.
        reason: why not, then.
    """

    config: ServerConfig
    upstream: Address | None
    reason: str = ""


class Directory(NamedTuple):
    """All groups, in the order of the configuration. Published to the catalog and the frontend when it changes.

    Attributes:
        groups: by name.
        catalog: who knows their listings.
        auth: who knows of sign-ins.
        problem: why the newest configuration file is not in force, else empty.
    """

    groups: Mapping[str, Group]
    catalog: Address
    auth: Address
    problem: str = ""
