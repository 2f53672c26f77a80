"""The outlets over HTTP: the answer to one POST, the standing stream of a session, and a bare connection.

Not here: which request gets which (``http``), and the HTTP itself (``http_wire``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dmcp.fault.http_wire import Wire
    from dmcp.fault.replay import Stream
    from dmcp.fault.steps import Part, Respond

SSE_HEAD: Final = (("content-type", "text/event-stream"), ("cache-control", "no-cache, no-transform"))
_MAX_WAITING = 10_000


class Bare:
    """A connection with no request on it, or one whose answer has no body: DELETE, a notification."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, frame: bytes) -> None:
        """See ``Outlet``. There is nobody to send it to."""

    async def noise(self, line: bytes) -> None:
        """See ``Outlet``. In the place of HTTP."""
        await self._wire.raw(line + b"\r\n")

    async def part(self, step: Part) -> None:
        """See ``Outlet``. There is nobody to send it to."""

    async def cut(self, *, abort: bool) -> None:
        """See ``Outlet``."""
        self._wire.cut(abort=abort)

    async def respond(self, step: Respond) -> None:
        """See ``Outlet``."""
        await self._wire.whole(step.status, step.headers, step.body)


class Events(Bare):
    """An answer as a stream of server-sent events. It begins with the first message."""

    def __init__(self, wire: Wire, stream: Stream, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(wire)
        self._stream = stream
        self._headers = (*SSE_HEAD, *headers)
        self._turn = asyncio.Lock()

    async def begin(self) -> None:
        """Send the head of the response, and the event a client can resume after."""
        if not self._wire.begun:
            await self._wire.head(200, self._headers)
            await self._wire.body(self._stream.opening())

    async def send(self, frame: bytes) -> None:
        """See ``Outlet``."""
        head, body = self._stream.add(frame)
        await self._write([head + body], 0.0)

    async def noise(self, line: bytes) -> None:
        """See ``Outlet``. In the place of the data of an event."""
        await self._write([b"data: " + line.replace(b"\r", b" ") + b"\n\n"], 0.0)

    async def part(self, step: Part) -> None:
        """See ``Outlet``."""
        head, _ = self._stream.add(step.frame)
        edges = [0, *step.cuts]
        pieces = [step.frame[a:b] for a, b in pairwise(edges)] or [b""]
        pieces[0] = head + b"data: " + pieces[0]
        if step.whole:
            pieces.append(step.frame[edges[-1] :] + b"\n\n")
        await self._write(pieces, step.pause)

    async def finish(self) -> None:
        """The end of the stream, with or without an answer on it."""
        self._stream.end()
        if not self._wire.gone:
            await self.begin()
            await self._wire.end()

    async def _write(self, pieces: list[bytes], pause: float) -> None:
        # Shielded: a request that is cancelled must not leave its event unfinished.
        await asyncio.shield(asyncio.ensure_future(self._write_all(pieces, pause)))

    async def _write_all(self, pieces: list[bytes], pause: float) -> None:
        async with self._turn:
            if self._wire.gone:
                return
            await self.begin()
            for number, piece in enumerate(pieces):
                if number and pause:
                    await asyncio.sleep(pause)
                if not self._wire.gone:
                    await self._wire.body(piece)


class Json(Bare):
    """An answer as one JSON body. A second message of the exchange goes to the standing stream."""

    def __init__(self, wire: Wire, standing: Standing, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(wire)
        self._standing = standing
        self._headers = (("content-type", "application/json"), *headers)
        self._before = b""

    async def send(self, frame: bytes) -> None:
        """See ``Outlet``."""
        if b'"method"' in frame[:200] or self._wire.begun:
            await self._standing.send(frame)
        else:
            await self._body([frame], 0.0)

    async def noise(self, line: bytes) -> None:
        """See ``Outlet``. At the beginning of the body."""
        if self._wire.begun:
            await self._wire.body(line + b"\n")
        else:
            self._before += line + b"\n"

    async def part(self, step: Part) -> None:
        """See ``Outlet``."""
        edges = [0, *step.cuts]
        pieces = [step.frame[a:b] for a, b in pairwise(edges)]
        if step.whole:
            pieces.append(step.frame[edges[-1] :])
        await self._body(pieces, step.pause)

    async def finish(self) -> None:
        """The end of the body, or an empty one."""
        if not self._wire.gone:
            if not self._wire.begun:
                await self._body([], 0.0)
            await self._wire.end()

    async def _body(self, pieces: list[bytes], pause: float) -> None:
        if self._wire.begun or self._wire.gone:
            return
        await self._wire.head(200, self._headers)
        await self._wire.body(self._before)
        for number, piece in enumerate(pieces):
            if number and pause:
                await asyncio.sleep(pause)
            await self._wire.body(piece)


class Standing:
    """The stream of what belongs to no request. Without a GET it keeps what is to be said, up to a bound."""

    def __init__(self) -> None:
        self._events: Events | None = None
        self._wire: Wire | None = None
        self._waiting: deque[bytes] = deque(maxlen=_MAX_WAITING)  # the oldest go first

    async def attach(self, wire: Wire, stream: Stream) -> Events:
        """A GET came: its stream takes over. The one before it ends."""
        if self._events is not None:
            await self._events.finish()
        self._wire, self._events = wire, Events(wire, stream)
        await self._events.begin()
        while self._waiting:
            await self._events.send(self._waiting.popleft())
        return self._events

    def detach(self, events: Events) -> None:
        """That GET's connection has ended."""
        if self._events is events:
            self._events = self._wire = None

    async def send(self, frame: bytes) -> None:
        """See ``Outlet``."""
        if self._events is None:
            self._waiting.append(frame)
        else:
            await self._events.send(frame)

    async def noise(self, line: bytes) -> None:
        """See ``Outlet``."""
        if self._events is not None:
            await self._events.noise(line)

    async def part(self, step: Part) -> None:
        """See ``Outlet``."""
        if self._events is not None:
            await self._events.part(step)

    async def cut(self, *, abort: bool) -> None:
        """See ``Outlet``."""
        if self._wire is not None:
            self._wire.cut(abort=abort)

    async def respond(self, step: Respond) -> None:
        """See ``Outlet``. The stream's response has begun long ago."""
