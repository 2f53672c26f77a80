"""One TCP connection of an HTTP client, and the outputs on it (RFC 9112; spec 2025-11-25, Transports).

``Wire`` is HTTP/1.1 requests in and responses out (by h11), cut wherever a fault wants it. The outputs are
the answer to one POST, the standalone stream of a session, and a bare connection. With ``server.resumable`` events have
ids and are kept, so that a client can resume a stream (spec: Resumability and Redelivery). Not here: which request gets
which output (``http``). A client that has gone is no error: writing does nothing then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import h11

from dmcp.fault.steps import paced

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Mapping, Sequence

    from dmcp.fault.steps import Respond, Send

SSE_HEAD: Final = (("content-type", "text/event-stream"), ("cache-control", "no-cache, no-transform"))
_CHUNK: Final = 65_536
_MAX_BODY: Final = 256 * 1024 * 1024
_MAX_WAITING: Final = 10_000
_MAX_STREAMS: Final = 1000
_RETRY_MS: Final = 50


class Request(NamedTuple):
    """One HTTP request. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection. Used by one task at a time."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_CHUNK)
        self.gone = False

    def __repr__(self) -> str:
        return f"<Wire {self._http.states} gone={self.gone}>"

    @property
    def begun(self) -> bool:
        """Whether the head of the response to the current request has been sent."""
        return self._http.our_state is not h11.IDLE and self._http.our_state is not h11.SEND_RESPONSE

    async def next_request(self) -> Request | None:
        """Return the next request, whole; nothing when the client leaves or is no HTTP client."""
        head: h11.Request | None = None
        body: list[bytes] = []
        try:
            while not self.gone:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(_CHUNK))
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                    if sum(map(len, body)) > _MAX_BODY:
                        return None
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    return _request(head, b"".join(body))
                else:
                    return None
        except (h11.RemoteProtocolError, OSError):
            self.gone = True
        return None

    def renew(self) -> bool:
        """Get ready for the next request; whether the connection can be used for one."""
        if self.gone or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Begin the response; its body is chunked unless a length is among the headers."""
        await self._put(self._http.send(h11.Response(status_code=status, headers=list(headers))))

    async def body(self, piece: bytes) -> None:
        """Send a piece of the response's body."""
        if piece:
            await self._put(self._http.send(h11.Data(data=piece)))

    async def end(self) -> None:
        """End the response. Idempotent."""
        if not self.gone and self._http.our_state is h11.SEND_BODY:
            await self._put(self._http.send(h11.EndOfMessage()))

    async def whole(self, status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Send a whole response, unless one has begun."""
        if self.begun or self.gone:
            return
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        # 204 and 304 have neither body nor length (RFC 9110, 8.6).
        bare = status in {204, 304}
        length = () if has_length or bare else (("content-length", str(len(body))),)
        await self.head(status, (*headers, *length))
        await self.body(b"" if bare else body)
        await self.end()

    async def raw(self, text: bytes) -> None:
        """Send bytes past all rules of HTTP."""
        await self._put(text)

    def cut(self, *, abort: bool) -> None:
        """End the connection here and now: by a reset, or in order at whatever point it is. Idempotent."""
        if self.gone:
            return
        self.gone = True
        raw = self._writer.get_extra_info("socket")
        if abort and raw is not None:
            # Zero linger makes the close a reset (RST) on all platforms; transport.abort() alone sends a FIN.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def close(self) -> None:
        """Close in order. Idempotent."""
        self.gone = True
        self._writer.close()

    async def _put(self, text: bytes | None) -> None:
        if self.gone or not text:
            return
        try:
            self._writer.write(text)
            await self._writer.drain()
        except OSError:
            self.gone = True


def _request(head: h11.Request, body: bytes) -> Request:
    headers = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in head.headers}
    path = bytes(head.target).decode("latin-1").partition("?")[0]
    return Request(bytes(head.method).decode("ascii"), path, headers, body)


class Stream:
    """One stream: the answer to a POST, or a GET."""

    def __init__(self, number: int, *, keeps: bool) -> None:
        self._number = number
        self._keeps = keeps
        self._events: list[bytes] = []
        self._changed = asyncio.Event()
        self._ended = False

    def opening(self) -> bytes:
        """Return the first bytes: an event without content that has an id to resume after, and how soon to do so."""
        return f"id: {self._number}-0\nretry: {_RETRY_MS}\ndata:\n\n".encode() if self._keeps else b""

    def add(self, frame: bytes) -> bytes:
        """Keep one message; return what its event begins with, before the data."""
        if not self._keeps:
            return b"event: message\n"
        head = f"event: message\nid: {self._number}-{len(self._events) + 1}\n".encode()
        self._events.append(head + b"data: " + frame + b"\n\n")
        self._changed.set()
        return head

    def end(self) -> None:
        """End the stream. Idempotent."""
        self._ended = True
        self._changed.set()

    async def after(self, place: int) -> AsyncIterator[bytes]:
        """Yield the events after the one of this number, and those to come until the stream ends."""
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
        """Return a new stream; the oldest is forgotten beyond a thousand."""
        self._count += 1
        stream = Stream(self._count, keeps=self._keeps)
        if self._keeps:
            self._streams[self._count] = stream
            self._streams.pop(self._count - _MAX_STREAMS, None)
        return stream

    def find(self, event_id: str) -> tuple[Stream, int] | None:
        """Return the stream a Last-Event-ID belongs to, and the place in it."""
        number, _, place = event_id.partition("-")
        if not number.isdecimal() or not place.isdecimal() or int(number) not in self._streams:
            return None
        return self._streams[int(number)], int(place)


class RawOutput:
    """A connection with no request on it, or one whose answer has no body: DELETE, a notification."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, message: Send) -> None:
        """See ``Output``. There is nobody to send it to."""

    async def noise(self, line: bytes) -> None:
        """See ``Output``. In the place of HTTP."""
        await self._wire.raw(line + b"\r\n")

    async def cut(self, *, abort: bool) -> None:
        self._wire.cut(abort=abort)

    async def respond(self, step: Respond) -> None:
        await self._wire.whole(step.status, step.headers, step.body)


class Events(RawOutput):
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

    async def send(self, message: Send) -> None:
        pieces = message.pieces(b"\n\n")
        pieces[0] = self._stream.add(message.frame) + b"data: " + pieces[0]
        await self._write(pieces, message.pause)

    async def noise(self, line: bytes) -> None:
        """See ``Output``. In the place of the data of an event."""
        await self._write([b"data: " + line.replace(b"\r", b" ") + b"\n\n"])

    async def finish(self) -> None:
        """End the stream, with or without an answer on it."""
        self._stream.end()
        if not self._wire.gone:
            await self.begin()
            await self._wire.end()

    async def _write(self, pieces: list[bytes], pause: float = 0.0) -> None:
        # Shielded: a request that is cancelled must not leave its event unfinished.
        await asyncio.shield(asyncio.ensure_future(self._write_all(pieces, pause)))

    async def _write_all(self, pieces: list[bytes], pause: float) -> None:
        async with self._turn:
            if not self._wire.gone:
                await self.begin()
            async for piece in paced(pieces, pause):
                if not self._wire.gone:
                    await self._wire.body(piece)


class Json(RawOutput):
    """An answer as one JSON body. A second message of the exchange goes to the standalone stream."""

    def __init__(
        self, wire: Wire, standalone: StandaloneStream, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(wire)
        self._standalone = standalone
        self._headers = (("content-type", "application/json"), *headers)
        self._before = b""

    async def send(self, message: Send) -> None:
        if self._wire.begun or (not message.cuts and b'"method"' in message.frame[:200]):
            await self._standalone.send(message)
        else:
            await self._body(message.pieces(), message.pause)

    async def noise(self, line: bytes) -> None:
        """See ``Output``. At the beginning of the body."""
        if self._wire.begun:
            await self._wire.body(line + b"\n")
        else:
            self._before += line + b"\n"

    async def finish(self) -> None:
        """End the body, or send an empty one."""
        if not self._wire.gone:
            await self._body([])
            await self._wire.end()

    async def _body(self, pieces: list[bytes], pause: float = 0.0) -> None:
        if self._wire.begun or self._wire.gone:
            return
        await self._wire.head(200, self._headers)
        await self._wire.body(self._before)
        async for piece in paced(pieces, pause):
            await self._wire.body(piece)


class StandaloneStream:
    """The stream of what belongs to no request. Without a GET it keeps what is to be said, up to a bound."""

    def __init__(self) -> None:
        self._events: Events | None = None
        self._wire: Wire | None = None
        self._waiting: deque[Send] = deque(maxlen=_MAX_WAITING)  # the oldest go first

    async def attach(self, wire: Wire, stream: Stream) -> Events:
        """Let the stream of a GET take over. The one before it ends."""
        if self._events is not None:
            await self._events.finish()
        self._wire, self._events = wire, Events(wire, stream)
        await self._events.begin()
        while self._waiting:
            await self._events.send(self._waiting.popleft())
        return self._events

    def detach(self, events: Events) -> None:
        """Forget that stream: its connection has ended."""
        if self._events is events:
            self._events = self._wire = None

    async def send(self, message: Send) -> None:
        if self._events is not None:
            await self._events.send(message)
        elif not message.cuts:
            self._waiting.append(message)

    async def noise(self, line: bytes) -> None:
        if self._events is not None:
            await self._events.noise(line)

    async def cut(self, *, abort: bool) -> None:
        if self._wire is not None:
            self._wire.cut(abort=abort)

    async def respond(self, step: Respond) -> None:
        """See ``Output``. The stream's response has begun long ago."""
