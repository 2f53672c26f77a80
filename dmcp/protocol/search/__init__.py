"""Ranked search over the tools of all groups: a query in words, and the tools that fit it best. Pure, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dmcp.protocol.search.index import Hit, Index, Segment, segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.protocol.jsonrpc import JsonObject


class Searched(NamedTuple):
    """What is searched of one group: its name, its description, its tools as the server gave them."""

    group: str
    about: str
    tools: tuple[JsonObject, ...]


class ToolSearch:
    """The index of the listings as they are. It is made when it is first asked for, and costs nothing before.

    Each search brings it up to date first: texts of groups that have not changed are not read again. One search at a
    time, in any thread.
    """

    def __init__(self) -> None:
        self._segments: dict[str, tuple[Searched, Segment]] = {}
        self._index = Index({})

    def __repr__(self) -> str:
        return f"<ToolSearch {self._index!r}>"

    def find(self, groups: Iterable[Searched], query: str, most: int, group: str | None = None) -> list[Hit]:
        """Return the tools that fit a query best, the best first; see ``Index.search``."""
        now: dict[str, tuple[Searched, Segment]] = {}
        for one in groups:
            known = self._segments.get(one.group)
            if known is None or known[0].tools is not one.tools or known[0].about != one.about:
                known = (one, segment(*one))
            now[one.group] = known
        if list(map(id, now.values())) != list(map(id, self._segments.values())):  # not by all that they hold
            self._segments = now
            self._index = Index({name: own for name, (_, own) in now.items()})
        return self._index.search(query, most, group)
