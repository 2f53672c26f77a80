"""One HTTP/1.1 connection as the event loop sees it: bytes in, a head and chunks of a body out.

Not here: whether and when a connection is used again (``direct``). Framing and its rules are llhttp's, by httptools.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httptools
import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    Heard = Callable[["Head | httpx.HTTPError"], None]
    """Is told the head of an answer, or why there is none; once."""

_HIGH: Final = 1024 * 1024
"""Bytes of a body that wait to be read before the connection is paused."""
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Linux only, and forgotten by the system again and again. Without it a server that writes head and body apart, on
a socket with Nagle's algorithm (uvicorn with several workers, for one), makes each answer wait 40 ms for our ACK."""
_SHORT: Final = 64 * 1024
"""Bytes. The head of an answer with a body no longer than this is told of when the body is there too."""
_MAX_HEAD: Final = 256 * 1024
_FIRST_FINAL: Final = 200
_NO_BODY: Final = frozenset({204, 304})


@dataclass(slots=True)
class Head:
    """Status and headers of an answer."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0


class Connection(asyncio.Protocol):
    """Called by the event loop (the ``asyncio.Protocol`` methods), by httptools (``on_*``) and by its pool."""

    def __init__(self, gone: Callable[[Connection], None]) -> None:
        """Wait for a transport; ``gone`` is told when it has been lost."""
        self.since = 0.0
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head = Head()
        self._arrived: Head | None = None
        self._heard: Heard | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._wanted: asyncio.Future[None] | None = None
        self._complete = True
        self._keep = True
        self._is_short = False
        self._until_close = False
        self._lost: httpx.HTTPError | None = None

    @property
    def idle(self) -> bool:
        """Whether the last answer has come to its end and the connection can carry another request."""
        return self._complete and self._keep and self._lost is None and not self._paused

    @property
    def is_over(self) -> bool:
        """Whether the server has closed the connection and the event loop has not said so yet.

        What it says on an idle connection, unasked, comes to the same. A request sent now would be lost, and nobody
        could say that it has not run (RFC 9110, 9.2.2).
        """
        return self._socket is not None and _has_input(self._socket)

    async def ask(self, request: bytes) -> Head:
        """Send an encoded request and wait for the head of its answer.

        Raises:
            httpx.ReadError: the connection ended first.
            httpx.RemoteProtocolError: what came is not HTTP.
        """
        answer: asyncio.Future[Head] = asyncio.get_running_loop().create_future()

        def heard(head: Head | httpx.HTTPError) -> None:
            if answer.done():
                return
            if isinstance(head, Head):
                answer.set_result(head)
            else:
                answer.set_exception(head)

        self.start(request, heard)
        return await answer

    def start(self, request: bytes, heard: Heard) -> None:
        """Send an encoded request. ``heard`` is called by the loop, or by ``close``.

        Raises:
            httpx.ReadError, httpx.RemoteProtocolError: the connection has ended.
        """
        if self._lost is not None or self._transport is None:
            raise self._lost or httpx.ReadError("not connected")
        self._complete = self._until_close = self._is_short = False
        self._arrived, self._heard = None, heard
        self._chunks.clear()  # of the last answer, if nobody wanted to read it
        self._held = 0
        self._transport.write(request)

    def _acknowledge_at_once(self) -> None:
        if self._socket is None or _QUICKACK is None:
            return
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except OSError:  # just lost; the event loop is about to say so
            self._socket = None

    async def chunk(self) -> bytes:
        """The next part of the body; empty at its end.

        Raises:
            httpx.ReadError, httpx.RemoteProtocolError: it ends too early.
        """
        while not self._chunks:
            if self._complete:
                return b""
            if self._lost is not None:
                raise self._lost
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        part = self._chunks.popleft()
        self._held -= len(part)
        if self._paused and self._held < _HIGH and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return part

    def whole(self) -> bytes | None:
        """The whole rest of the body if it has come already and was never paused, else ``None``. Takes nothing."""
        return None if not self._complete or self._paused else b"".join(self._chunks)

    def close(self) -> None:
        """Close at once. Whoever waits on it gets an error."""
        self._end(httpx.ReadError("closed"))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._socket = transport.get_extra_info("socket")
        self._transport = transport  # type: ignore[assignment]  # create_connection makes nothing else

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._complete:
            self.close()  # nothing was asked: no answer to come could be trusted
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(httpx.RemoteProtocolError(f"not HTTP: {error}"))
            self.close()
            return
        if self._held > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()
        self._tell_if_worth_it()

    def _tell_if_worth_it(self) -> None:
        """Tell the head, but where little is missing wait for the body as well: most answers need no second look."""
        if not self._complete:
            self._acknowledge_at_once()
        if self._complete or not self._is_short:
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is over."""
        if self._until_close and exc is None:
            self._complete = True
        self._end(httpx.ReadError(str(exc or "the server closed the connection")))
        self._gone(self)

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        if self._complete:
            self._lost = httpx.ReadError("the server answers what was not asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header of the answer."""
        self._head.size += len(name) + len(value)
        if self._head.size > _MAX_HEAD:
            self.close()
        self._head.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: the head is whole. Interim answers (1xx) are passed over."""
        head, self._head = self._head, Head()
        head.status = self._parser.get_status_code()
        if head.status < _FIRST_FINAL or self._complete:
            return
        names = {name.lower() for name, _ in head.headers}
        self._keep = self._parser.should_keep_alive()
        self._until_close = head.status not in _NO_BODY and names.isdisjoint(
            {b"content-length", b"transfer-encoding"}
        )
        self._is_short = 0 <= _length(head) <= _SHORT
        self._arrived = head

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body, without its framing."""
        if self._complete:
            return  # of an answer nobody asked for
        self._chunks.append(body)
        self._held += len(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        if self._parser.get_status_code() >= _FIRST_FINAL:
            self._complete = True

    def _end(self, error: httpx.HTTPError) -> None:
        if self._lost is None:
            self._lost = error
        self._wake()
        self._tell()

    def _tell(self) -> None:
        """Tell whoever asked, last of all: they may ask again."""
        outcome, heard = self._lost if self._arrived is None else self._arrived, self._heard
        if heard is not None and outcome is not None:
            self._arrived = self._heard = None
            heard(outcome)

    def _wake(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)


def _has_input(connected: socket.socket) -> bool:
    """Whether there is something to read, an end or an error included. Takes nothing, does not wait."""
    if sys.platform == "win32":
        return bool(select.select([connected], [], [], 0)[0])
    poll = select.poll()  # select.select has no room for large descriptors
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


def _length(head: Head) -> int:
    """Bytes the body will have; -1 if the head does not say."""
    for name, value in head.headers:
        if name.lower() == b"content-length":
            return int(value)  # llhttp has seen that it is a number
    return -1
