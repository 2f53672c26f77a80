"""Which lazy server is started next only to learn what it offers. Part of the catalog.

Of a lazy server that has never run nothing is in the lists of resources and prompts, and what is in no list is not
asked for: a server of prompts alone would never start. So the first such list the client asks for has these servers
started, one at a time, because all at once they would be the crowd that being lazy avoids. Each is asked once; what it
offers is kept on disk, so this happens once for a configuration.
Not started: remote servers, because the connection may put a sign-in before the person that nobody has asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp.actors.runtime import post
from dmcp.config.model import StdioServer
from dmcp.messages import upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.actors.shelf import Shelf
    from dmcp.messages.catalog import State


class Acquaintance:
    """Who is being asked, and whether anybody is to be."""

    __slots__ = ("_begun", "_present")

    def __init__(self) -> None:
        self._begun = False
        self._present = ""

    def __repr__(self) -> str:
        return f"<Acquaintance begun={self._begun} with {self._present or 'nobody'}>"

    def begin(self, shelves: Mapping[str, Shelf]) -> None:
        """The client has asked for a list."""
        self._begun = True
        self.go_on(shelves)

    def heard(self, group: str, state: State) -> None:
        """A group has changed its state."""
        if group == self._present and state != "connecting":
            self._present = ""

    def go_on(self, shelves: Mapping[str, Shelf]) -> None:
        """Ask the next one, unless one is being asked."""
        present = shelves.get(self._present)
        # A reload may have made it one that cannot be started, or that runs for other reasons.
        asking = present is not None and present.is_lazy and present.group.upstream is not None
        if not self._begun or asking:
            return
        for name, shelf in shelves.items():
            if _is_worth_it(shelf) and shelf.group.upstream is not None:
                self._present, shelf.asked = name, True
                post(shelf.group.upstream, upstream.Wake(only_to_learn=True))
                return


def _is_worth_it(shelf: Shelf) -> bool:
    config = shelf.group.config
    listed = config.features.resources or config.features.prompts
    return shelf.is_stranger and not shelf.asked and listed and isinstance(config.target, StdioServer)
