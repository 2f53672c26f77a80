"""Pages of a listing: opaque cursors that never lead into another listing or another generation of this one."""

from __future__ import annotations

import base64
import binascii
import os
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dmcp.errors import DownstreamError
from dmcp.protocol.jsonrpc import INVALID_PARAMS
from dmcp.protocol.limits import MAX_CURSOR, MAX_OLD_BYTES, MAX_OLD_ENTRIES, MAX_PAGE
from dmcp.protocol.wire import encode

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

PAGE_SIZE: Final = 1000
"""Entries on a page: so many that a client which ignores cursors misses nothing in practice."""

INCOMPLETE: Final = "dmcp/incomplete"
"""The key of a result's ``_meta`` that says why a group's listing is not all, or not the newest, of what it offers."""

_KEPT = 4  # generations a client may still be paging through
_generations = count(int.from_bytes(os.urandom(4), "big"))  # no two alike, nor those of another run of dmcp


class Entries(Protocol):
    """A listing: a tuple of entries, or what behaves as one in these respects."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, where: slice, /) -> tuple[JsonObject | None, ...]:
        """Some of them; ``None`` in the place of one that cannot be shown."""


class _Old(NamedTuple):
    """A listing as it was in a generation that is over; ``size`` in bytes."""

    generation: int
    entries: Entries
    size: int


class PagedListing:
    """One listing through its generations. A cursor of a generation that is gone is refused, never mixed.

    Attributes:
        generation: another number after each change.
        entries: what the listing is now.
    """

    __slots__ = ("_first", "_handed_out", "_member", "_old", "_scope", "entries", "generation")

    def __init__(self, member: str, scope: str = "") -> None:
        """Begin with an empty listing.

        Args:
            member: the member of a result that holds the entries.
            scope: what else tells this listing from others of this kind: the group whose it is.
        """
        self._member = member
        self._scope = scope
        self.entries: Entries = ()
        self.generation = next(_generations)
        self._first = (
            b""  # the first page, if it was asked for: of a merged listing it is asked for again and again
        )
        self._handed_out = False  # whether the client may be in the middle of this generation
        self._old: deque[_Old] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<PagedListing {self._member} generation {self.generation}, {len(self.entries)} entries>"

    def update(self, entries: Entries) -> bool:
        """Put the new listing in force; returns whether it differs from the one before."""
        if _same(entries, self.entries):
            return False
        size = _size(self.entries) if self._handed_out else 0
        keeps = 0 < size <= MAX_OLD_BYTES
        self._old.append(_Old(self.generation, self.entries if keeps else (), size if keeps else 0))
        while (
            sum(len(old.entries) for old in self._old) > MAX_OLD_ENTRIES
            or sum(old.size for old in self._old) > MAX_OLD_BYTES
        ):
            self._old.popleft()
        self.generation, self._handed_out, self._first = next(_generations), False, b""
        self.entries = entries
        return True

    def page(self, cursor: object = None, meta: JsonObject | None = None) -> bytes:
        """Return the result with the page a cursor stands for, the first one without.

        At most ``PAGE_SIZE`` entries and ``MAX_PAGE`` bytes, but one entry at least.

        Args:
            cursor: as the client gave it.
            meta: the result's ``_meta``.

        Raises:
            DownstreamError: the cursor is not one of ours, or its listing has changed since.
        """
        if cursor is None and self._first and not meta:
            return self._first
        generation, start = (self.generation, 0) if cursor is None else self._open(cursor)
        entries = self._entries_of(generation)
        if entries is None or start > len(entries):
            raise DownstreamError(
                INVALID_PARAMS, "Invalid params: cursor has expired, start again without one"
            )
        written, reached = _write(entries, start)
        result = b'{"%b":[%b]' % (self._member.encode(), b",".join(written))
        if reached < len(entries):
            self._handed_out = self._handed_out or generation == self.generation
            result += b',"nextCursor":"%b"' % self._cursor(generation, reached)
        result += b',"_meta":%b}' % encode(meta) if meta else b"}"
        if cursor is None and not meta and not self._scope:
            self._first = result
        return result

    def _entries_of(self, generation: int) -> Entries | None:
        if generation == self.generation:
            return self.entries
        return next((old.entries for old in self._old if old.generation == generation), None)

    def _cursor(self, generation: int, start: int) -> bytes:
        return base64.urlsafe_b64encode(f"{generation}:{start}:{self._name}".encode())

    @property
    def _name(self) -> str:
        """What a cursor says of the listing it is for. Of a long group's name a part is enough: generations differ."""
        return f"{self._member}:{self._scope[:64]}"

    def _open(self, cursor: object) -> tuple[int, int]:
        wrong = DownstreamError(
            INVALID_PARAMS, "Invalid params: cursor is not one that dmcp gave out for this list"
        )
        if not isinstance(cursor, str) or len(cursor) > MAX_CURSOR:
            raise wrong
        try:
            generation, start, name = base64.urlsafe_b64decode(cursor.encode()).decode().split(":", 2)
            place = int(generation), int(start)
        except (ValueError, binascii.Error):
            raise wrong from None
        if name != self._name or place[1] < 0:
            raise wrong
        return place


def _same(one: Entries, two: Entries) -> bool:
    try:
        return one is two or bool(one == two)
    except RecursionError:  # nested too deeply to be compared
        return False


def _size(entries: Entries) -> int:
    """Return the bytes of a listing; of one beyond the limits as many as are too many: it is looked at no further."""
    if len(entries) > MAX_OLD_ENTRIES:
        return MAX_OLD_BYTES + 1
    size = 0
    for start in range(0, len(entries), PAGE_SIZE):
        for entry in entries[start : start + PAGE_SIZE]:
            try:
                size += 0 if entry is None else len(encode(entry))
            except ValueError:  # nested too deeply to be written
                continue
            if size > MAX_OLD_BYTES:
                return size
    return size


def _write(entries: Entries, start: int) -> tuple[list[bytes], int]:
    """Write a page's entries. Returns them, and where the next page begins."""
    written: list[bytes] = []
    size = 0
    page = entries[start : start + PAGE_SIZE]
    for place, entry in enumerate(page, start):
        if entry is None:
            continue
        try:
            text = encode(entry)
        except ValueError:  # nested too deeply to be written
            continue
        if written and size + len(text) > MAX_PAGE:
            return written, place
        written.append(text)
        size += len(text)
    return written, start + len(page)
