"""What was said on each event stream of a session, so that a client can resume one (spec: Resumability and Redelivery).

Only with ``server.resumable``; otherwise events have no ids and nothing is kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MAX_STREAMS: Final = 1000
_RETRY_MS: Final = 50


class Stream:
    """One stream: the answer to a POST, or a GET."""

    def __init__(self, number: int, *, keeps: bool) -> None:
        self._number = number
        self._keeps = keeps
        self._events: list[bytes] = []
        self._changed = asyncio.Event()
        self._ended = False

    def opening(self) -> bytes:
        """The first bytes: an event without content that has an id to resume after, and how soon to do so."""
        return f"id: {self._number}-0\nretry: {_RETRY_MS}\ndata:\n\n".encode() if self._keeps else b""

    def add(self, frame: bytes) -> tuple[bytes, bytes]:
        """Keep one message; returns its event in two parts, the second being the data."""
        body = b"data: " + frame + b"\n\n"
        if not self._keeps:
            return b"event: message\n", body
        head = f"event: message\nid: {self._number}-{len(self._events) + 1}\n".encode()
        self._events.append(head + body)
        self._changed.set()
        return head, body

    def end(self) -> None:
        """Nothing more will be said. Idempotent."""
        self._ended = True
        self._changed.set()

    async def after(self, place: int) -> AsyncIterator[bytes]:
        """The events after the one of this number, and those to come until the stream ends."""
        while True:
            while place < len(self._events):
                yield self._events[place]
                place += 1
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()


class Replay:
    """The streams of one session."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._streams: dict[int, Stream] = {}
        self._count = 0

    def open(self) -> Stream:
        """A new stream; the oldest is forgotten beyond a thousand."""
        self._count += 1
        stream = Stream(self._count, keeps=self._keeps)
        if self._keeps:
            self._streams[self._count] = stream
            self._streams.pop(self._count - _MAX_STREAMS, None)
        return stream

    def find(self, event_id: str) -> tuple[Stream, int] | None:
        """The stream a Last-Event-ID belongs to, and the place in it."""
        number, _, place = event_id.partition("-")
        if not number.isdecimal() or not place.isdecimal() or int(number) not in self._streams:
            return None
        return self._streams[int(number)], int(place)
