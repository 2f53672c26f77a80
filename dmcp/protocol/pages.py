"""Pages of a merged listing: opaque cursors that never lead into another generation of it."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from typing import TYPE_CHECKING, Final

from dmcp.errors import DownstreamError
from dmcp.protocol.jsonrpc import INVALID_PARAMS
from dmcp.protocol.wire import encode

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

PAGE_SIZE: Final = 1000
"""Entries on a page: so many that a client which ignores cursors misses nothing in practice."""

_KEPT = 4  # generations a client may still be paging through


class PagedListing:
    """One listing through its generations. A cursor of a generation that is gone is refused, never mixed.

    Attributes:
        generation: counts the changes.
        entries: what the listing is now.
    """

    __slots__ = ("_member", "_old", "entries", "generation")

    def __init__(self, member: str) -> None:
        self._member = member
        self.entries: tuple[JsonObject, ...] = ()
        self.generation = 0
        self._old: deque[tuple[int, tuple[JsonObject, ...]]] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<PagedListing {self._member} generation {self.generation}, {len(self.entries)} entries>"

    def update(self, entries: tuple[JsonObject, ...]) -> bool:
        """Put the new listing in force; returns whether it differs from the one before."""
        if entries == self.entries:
            return False
        self._old.append((self.generation, self.entries))
        self.generation += 1
        self.entries = entries
        return True

    def page(self, cursor: object = None) -> bytes:
        """The result with the page a cursor stands for, the first one without.

        Raises:
            DownstreamError: the cursor is not one of ours, or its listing has changed since.
        """
        generation, start = (self.generation, 0) if cursor is None else self._open(cursor)
        entries = self._entries_of(generation)
        if entries is None or start > len(entries):
            raise DownstreamError(
                INVALID_PARAMS, "Invalid params: cursor has expired, start again without one"
            )
        result: JsonObject = {self._member: list(entries[start : start + PAGE_SIZE])}
        if start + PAGE_SIZE < len(entries):
            result["nextCursor"] = self._cursor(generation, start + PAGE_SIZE)
        return encode(result)

    def _entries_of(self, generation: int) -> tuple[JsonObject, ...] | None:
        if generation == self.generation:
            return self.entries
        return next((entries for number, entries in self._old if number == generation), None)

    def _cursor(self, generation: int, start: int) -> str:
        return base64.urlsafe_b64encode(f"{self._member}:{generation}:{start}".encode()).decode()

    def _open(self, cursor: object) -> tuple[int, int]:
        wrong = DownstreamError(
            INVALID_PARAMS, "Invalid params: cursor is not one that dmcp gave out for this list"
        )
        if not isinstance(cursor, str):
            raise wrong
        try:
            member, generation, start = base64.urlsafe_b64decode(cursor.encode()).decode().split(":")
            place = int(generation), int(start)
        except (ValueError, binascii.Error):
            raise wrong from None
        if member != self._member or place[1] < 0:
            raise wrong
        return place
