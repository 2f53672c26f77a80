"""The supervisor's children as data, and how they are made. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct, field

from dmcp.actors.restart import History
from dmcp.config.model import Unresolved
from dmcp.messages.supervisor import Group

if TYPE_CHECKING:
    from dmcp.actors.runtime import Watch
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Crash, Peers


class Factories(Protocol):
    """How the children are made; given by the composition root, so that no actor imports another."""

    def auth(self, watch: Watch) -> Address:
        """Start the auth actor."""

    def catalog(self, watch: Watch) -> Address:
        """Start the catalog."""

    def upstream(self, config: ServerConfig, peers: Peers, watch: Watch, crash: Crash | None) -> Address:
        """Start an upstream, perhaps in the place of one that failed; the watch has its generation."""


class Core(NamedTuple):
    """What upstreams need; started with the first configuration."""

    auth: Address
    catalog: Address


class Child(Struct):
    """One configured server.

    Attributes:
        config: its configuration.
        generation: of its upstream: how often one was started.
        address: its upstream, ``None`` if it cannot be started.
        history: of the failures of its upstreams, by bugs of dmcp.
    """

    config: ServerConfig
    generation: int = 0
    address: Address | None = None
    history: History = field(default_factory=History)


def why_not(child: Child) -> str:
    """Return why a server cannot be started as configured; empty if it can."""
    target = child.config.target
    return target.reason if isinstance(target, Unresolved) else ""


def group_of(child: Child) -> Group:
    """Return what the catalog and the frontends are told of a child."""
    return Group(child.config, child.address, why_not(child))
