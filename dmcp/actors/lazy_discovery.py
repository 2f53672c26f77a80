"""Starts lazy servers, one after another, only to learn what they offer. Part of the catalog.

Of a lazy server that has never run nothing is in the lists of resources and prompts, and what is in no list is not
asked for: a server of prompts alone would never start. So the first such list the client asks for has these servers
started, one at a time: all at once would cost what lazy start-up saves. So has the first search in the tools of all
groups. Each is asked once; what it offers is kept on disk, so this happens once for a configuration.
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

    __slots__ = ("_current", "_for_tools", "_started")

    def __init__(self) -> None:
        self._started = self._for_tools = False
        self._current = ""

    def __repr__(self) -> str:
        return f"<LazyDiscovery started={self._started} with {self._current or 'none'}>"

    def start(self, groups: Mapping[str, GroupListings], *, tools: bool = False) -> None:
        """Begin: a client has asked for a list, or has searched the ``tools`` of all."""
        self._started, self._for_tools = True, tools or self._for_tools
        self.advance(groups)

    def is_pending(self, cached: GroupListings) -> bool:
        """Return whether a group is being asked, or is going to be."""
        return self._current == cached.group.config.name or self._is_worth_it(cached)

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
            if cached.group.upstream is not None and self._is_worth_it(cached):
                self._current, cached.probed = name, True
                post(cached.group.upstream, upstream.Wake(only_to_learn=True))
                return

    def _is_worth_it(self, cached: GroupListings) -> bool:
        config = cached.group.config
        listed = config.features.resources or config.features.prompts or self._for_tools
        worth_it = bool(config.direct) or (listed and isinstance(config.target, StdioServer))
        return cached.is_undiscovered and not cached.probed and worth_it
