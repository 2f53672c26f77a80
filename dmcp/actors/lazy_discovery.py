"""Starts lazy servers, one after another, only to learn what they offer. Part of the catalog.

Of a lazy server that has never run nothing is in the lists of resources and prompts, and what is in no list is not
asked for: a server of prompts alone would never start. So the first such list the client asks for has these servers
started, one at a time: all at once would cost what lazy start-up saves. Each is asked once; what it offers is kept on
disk, so this happens once for a configuration.
Not started: remote servers, because connecting may ask the user for a sign-in that nobody wants yet. Those whose tools
are to be shown under their own names are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp.actors.runtime import post
from dmcp.config.model import StdioServer
from dmcp.messages import upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.actors.group_listings import GroupListings
    from dmcp.messages.catalog import State


class LazyDiscovery:
    """The server that is being asked, and whether any is to be."""

    __slots__ = ("_current", "_started")

    def __init__(self) -> None:
        self._started = False
        self._current = ""

    def __repr__(self) -> str:
        return f"<LazyDiscovery started={self._started} with {self._current or 'none'}>"

    def start(self, groups: Mapping[str, GroupListings]) -> None:
        """Begin: a client has asked for a list."""
        self._started = True
        self.advance(groups)

    def on_state(self, group: str, state: State) -> None:
        """Take note that a group has changed its state."""
        if group == self._current and state != "connecting":
            self._current = ""

    def advance(self, groups: Mapping[str, GroupListings]) -> None:
        """Ask the next one, unless one is being asked."""
        current = groups.get(self._current)
        # A reload may have made it one that cannot be started, or that runs for other reasons.
        asking = current is not None and current.is_lazy and current.group.upstream is not None
        if not self._started or asking:
            return
        for name, cached in groups.items():
            if _is_worth_it(cached) and cached.group.upstream is not None:
                self._current, cached.probed = name, True
                post(cached.group.upstream, upstream.Wake(only_to_learn=True))
                return


def _is_worth_it(cached: GroupListings) -> bool:
    config = cached.group.config
    listed = config.features.resources or config.features.prompts
    worth_it = bool(config.direct) or (listed and isinstance(config.target, StdioServer))
    return cached.is_undiscovered and not cached.probed and worth_it
