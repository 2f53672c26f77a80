"""What a reload has to do: compares two configurations, server by server. Pure; not here: doing it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from dmcp.config.model import RemoteServer, ServerConfig, Unresolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.model import Configuration

IN_PLACE: Final = frozenset(
    {
        "description",
        "features",
        "timeout",
        "restart",
        "tools",
        "direct",
        "idle_stop",
        "limits",
        "listing_budget",
    }
)
"""Fields of a ``ServerConfig`` that a running upstream takes over without a new connection.

Not among them is what a connection has begun with: ``limits.frame``, and what was declared to the server.
"""

_DECLARED: Final = ("sampling", "elicitation", "roots")  # features that are said in ``initialize``

_NO_REASONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class ReloadPlan(NamedTuple):
    """What happens to each server; every name of either configuration is in exactly one of the five.

    Attributes:
        start: new servers, in the order of the new configuration, as in the next three.
        restart: servers that need a new connection.
        update: servers that take over the new settings and stay connected.
        keep: servers that nothing is said to: nothing of theirs changed.
        stop: servers that are gone, in the order of the old configuration.
        changed: for each restarted or updated server, which keys changed. Never values: they may be secrets.
    """

    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = _NO_REASONS

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.start or self.restart or self.update or self.stop)


def plan(old: Configuration, new: Configuration) -> ReloadPlan:
    """Return what leads from ``old`` to ``new`` with the least disturbance.

    ``startup`` is not among the fields taken over in place: a server that waits for its first use and is now
    to run at once has to be started, and the plan does not know which servers run.
    """
    start: list[str] = []
    restart: list[str] = []
    update: list[str] = []
    keep: list[str] = []
    changed: dict[str, tuple[str, ...]] = {}
    for name, server in new.servers.items():
        before = old.servers.get(name)
        if before is None:
            start.append(name)
            continue
        differing = _differing(before, server)
        if old.oauth_store != new.oauth_store and isinstance(server.target, RemoteServer):
            differing = (*differing, "oauth_store")
        if not differing:
            keep.append(name)
            continue
        changed[name] = differing
        (update if IN_PLACE.issuperset(differing) else restart).append(name)
    stop = tuple(name for name in old.servers if name not in new.servers)
    return ReloadPlan(
        tuple(start), tuple(restart), tuple(update), tuple(keep), stop, MappingProxyType(changed)
    )


def _differing(old: ServerConfig, new: ServerConfig) -> tuple[str, ...]:
    """Return the names of the fields that differ; those of the target under the names the file has for them."""
    found: list[str] = []
    for name in ServerConfig.__struct_fields__:
        if getattr(old, name) == getattr(new, name):
            continue
        if name == "target":
            found += _differing_target(old, new)
        else:
            found += _fixed_at_start(old, new, name) or [name]
    return tuple(found)


def _fixed_at_start(old: ServerConfig, new: ServerConfig, name: str) -> list[str]:
    """Return the keys within ``limits`` or ``features`` that differ and need a new connection."""
    if name == "limits":
        return ["limits.frame"] if old.limits.frame != new.limits.frame else []
    if name != "features":
        return []
    return [
        f"features.{key}" for key in _DECLARED if getattr(old.features, key) != getattr(new.features, key)
    ]


def _differing_target(old: ServerConfig, new: ServerConfig) -> list[str]:
    if isinstance(old.target, Unresolved) or isinstance(new.target, Unresolved):
        return ["environment"]
    if type(old.target) is not type(new.target):
        return ["type"]
    names = new.target.__struct_fields__
    changed = [name for name in names if getattr(old.target, name) != getattr(new.target, name)]
    return ["type" if name == "kind" else name for name in changed]
