"""One HTTP/1.1 connection as the event loop sees it: bytes in, a head and chunks of a body out.

Not here: whether and when a connection is used again (``pool``). Framing and its rules are llhttp's, by httptools.
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

from dmcp.protocol.limits import CHUNK_OVERHEAD, KIB, MAX_HEADER_BYTES, MAX_HEADER_LINES

if TYPE_CHECKING:
    from collections.abc import Callable

    ResponseCallback = Callable[["ResponseHead | httpx.HTTPError"], None]
    """Is told the head of an answer, or why there is none; once."""

_HIGH: Final = 1024 * 1024
"""Bytes of a body that wait to be read before the connection is paused."""
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Linux only, and forgotten by the system again and again. Without it a server that writes head and body apart, on
a socket with Nagle's algorithm (uvicorn with several workers, for one), makes each answer wait 40 ms for our ACK."""
_SHORT: Final = 64 * 1024
"""Bytes. The head of an answer with a body no longer than this is told of when the body is there too."""
_SLICE: Final = 8 * 1024
"""Bytes that are parsed in one turn of the loop where they are dense."""
_DENSE: Final = 2000
"""Line ends in what one read brings from which on it is parsed in slices: so many small chunks cost milliseconds."""
_BODY_TIMEOUT: Final = 0.2
"""Seconds a short body gets to come with its head."""
_BETWEEN: Final = 8 * KIB
"""Bytes of what stands around header names and values: the status line, colons, line ends."""
_COST: Final = 64
"""Bytes that holding one chunk takes besides its content."""
_FIRST_FINAL: Final = 200
_NO_BODY: Final = frozenset({204, 304})


class BeyondLimitError(httpx.RemoteProtocolError):
    """The answer has more headers or framing than is read; ``str()`` is a phrase for a user."""


class NotHttpError(httpx.RemoteProtocolError):
    """The bytes of the answer break the rules of HTTP; ``str()`` is a phrase for a user."""


@dataclass(slots=True)
class ResponseHead:
    """Status and headers of an answer."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Called by the event loop (the ``asyncio.Protocol`` methods), by httptools (``on_*``) and by its pool."""

    def __init__(self, gone: Callable[[Connection], None]) -> None:
        """Wait for a transport; ``gone`` is told when it has been lost."""
        self.since = 0.0
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head = ResponseHead()
        self._parts: list[bytes] = []
        self._received = self._body = self._header_bytes = self._header_lines = 0  # of this answer
        self._arrived: ResponseHead | None = None
        self._on_response: ResponseCallback | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._rest: deque[memoryview] = deque()  # read, and not parsed yet
        self._postponed = False
        self._ended: Exception | None = None
        self._was_in_order = False
        self._wanted: asyncio.Future[None] | None = None
        self._complete = True
        self._keep = True
        self._is_short = False
        self._until_close = False
        self._lost: httpx.HTTPError | None = None

    @property
    def idle(self) -> bool:
        """Return whether the last answer has come to its end and the connection can carry another request."""
        return (
            self._complete
            and self._keep
            and self._lost is None
            and not self._paused
            and not self._postponed
            # A server may answer before it has read the request. What it has not read would hold up the next one.
            and self._transport is not None
            and not self._transport.get_write_buffer_size()
        )

    @property
    def is_over(self) -> bool:
        """Return whether the server has closed the connection and the event loop has not said so yet.

        What it says on an idle connection, unasked, comes to the same. A request sent now would be lost, and nobody
        could say that it has not run (RFC 9110, 9.2.2).
        """
        return self._socket is not None and _has_input(self._socket)

    async def ask(self, request: bytes) -> ResponseHead:
        """Send an encoded request and wait for the head of its answer.

        Raises:
            httpx.ReadError: the connection ended first.
            httpx.RemoteProtocolError: what came is not HTTP.
        """
        answer: asyncio.Future[ResponseHead] = asyncio.get_running_loop().create_future()

        def on_response(head: ResponseHead | httpx.HTTPError) -> None:
            if answer.done():
                return
            if isinstance(head, ResponseHead):
                answer.set_result(head)
            else:
                answer.set_exception(head)

        self.start(request, on_response)
        return await answer

    def start(self, request: bytes, on_response: ResponseCallback) -> None:
        """Send an encoded request. ``on_response`` is called by the loop, or by ``close``.

        Raises:
            httpx.ReadError, httpx.RemoteProtocolError: the connection has ended.
        """
        if self._lost is not None or self._transport is None:
            raise self._lost or httpx.ReadError("not connected")
        self._complete = self._until_close = self._is_short = False
        self._arrived, self._on_response = None, on_response
        if self._head.headers:
            self._head = ResponseHead()  # trailers of the last answer are not headers of the next
        self._received = self._body = self._header_bytes = self._header_lines = 0
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
        """Return the next part of the body; empty at its end.

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
        self._held -= len(part) + _COST
        if self._paused and self._held < _HIGH:
            self._paused = False
            if self._rest:
                self._postpone()
            elif not self._postponed:
                self._read(on=True)
        return part

    def whole(self) -> bytes | None:
        """Return the whole rest of the body if it has come already and was never paused, else ``None``."""
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
        if self._lost is not None:
            return  # it is being closed
        # Where no line ends behind the first few kilobytes there is nothing to count, which is slow.
        if self._rest or (
            len(data) > _SLICE and data.find(b"\n", _DENSE) >= 0 and data.count(b"\r\n") > _DENSE
        ):
            view = memoryview(data)
            self._rest.extend(view[start : start + _SLICE] for start in range(0, len(view), _SLICE))
            self._postpone()
        else:
            self._feed(data)

    def _postpone(self) -> None:
        """Read on in the next turn of the loop: so many small chunks keep the parser busy for longer than is good."""
        if not self._postponed:
            self._postponed = True
            asyncio.get_running_loop().call_soon(self._go_on)
            if not self._paused:
                self._read(on=False)

    def _read(self, *, on: bool) -> None:
        if self._transport is None or self._lost is not None or self._ended is not None:
            return  # a transport that is closed takes no orders
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        self._postponed = False
        if self._rest and not self._paused:
            if self._complete:
                self.close()
            if self._lost is None:
                self._feed(self._rest.popleft())
            else:
                self._rest.clear()
        if self._rest:
            if not self._paused:  # else who reads the body sees to it
                self._postpone()
        elif self._ended is not None:
            self._end_with(self._ended)
        elif not self._paused:
            self._read(on=True)

    def _feed(self, data: bytes | memoryview) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._collect()
            upgrade = isinstance(error, httptools.HttpParserUpgrade) or "Upgrade" in str(error)
            what = "a switch to another protocol, which was not asked for" if upgrade else str(error)
            self._end(NotHttpError(f"sent what is not HTTP ({what})"))
            self.close()
            return
        self._collect()
        # Chunk extensions, a status line or header without end: the parser keeps silent about them.
        if self._received - self._body > MAX_HEADER_BYTES + _BETWEEN + CHUNK_OVERHEAD * self._body:
            self._end(_beyond(f"more than {MAX_HEADER_BYTES // KIB} KiB of headers or framing"))
            self.close()
            return
        if self._held > _HIGH and not self._paused:
            self._paused = True
            if not self._postponed:
                self._read(on=False)
        self._wake()
        self._maybe_notify()

    def _collect(self) -> None:
        """Make one chunk of all that has come at once: thousands of small ones would cost more than they hold."""
        if self._parts:
            chunk = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._chunks.append(chunk)
            self._held += len(chunk) + _COST

    def _maybe_notify(self) -> None:
        """Tell the head, but where little is missing wait for the body as well: most answers need no second look."""
        if not self._complete:
            self._acknowledge_at_once()
        if self._complete or not self._is_short:
            self._notify()
        elif self._arrived is not None:
            asyncio.get_running_loop().call_later(_BODY_TIMEOUT, self._notify_late, self._arrived)

    def _notify_late(self, head: ResponseHead) -> None:
        """Tell a head whose short body is late: it may never come, and not everybody waits for it."""
        if self._arrived is head:
            self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is over."""
        self._ended = exc or ConnectionResetError()
        self._was_in_order = exc is None
        self._gone(self)
        if not self._rest:
            self._end_with(self._ended)

    def _end_with(self, error: Exception) -> None:
        if self._until_close and self._was_in_order:
            self._complete = True
        self._end(httpx.ReadError(str(error) or "the server closed the connection"))

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        if self._complete:
            self._lost = httpx.ReadError("the server answers what was not asked")
            raise self._lost  # stops the parser: an answer nobody asked for is not looked at

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header of the answer."""
        self._header_lines += 1
        self._header_bytes += len(name) + len(value)
        if self._header_lines > MAX_HEADER_LINES or self._header_bytes > MAX_HEADER_BYTES:
            self._refuse_headers()
        self._head.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: the head is whole. Interim answers (1xx) are passed over."""
        head, self._head = self._head, ResponseHead()
        head.status = self._parser.get_status_code()
        if head.status < _FIRST_FINAL:
            self._header_lines += 1
            if self._header_lines > MAX_HEADER_LINES:
                self._refuse_headers()
            return
        length, ends_itself = -1, head.status in _NO_BODY
        for name, value in head.headers:
            match name.lower():
                case b"content-length":
                    length = int(value) if length < 0 else length  # llhttp has seen that it is a number
                    ends_itself = True
                case b"transfer-encoding":
                    ends_itself = True
        self._keep = self._parser.should_keep_alive()
        self._until_close = not ends_itself
        self._is_short = 0 <= length <= _SHORT
        self._arrived = head

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body, without its framing."""
        self._parts.append(body)
        self._body += len(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        if self._parser.get_status_code() >= _FIRST_FINAL:
            self._complete = True

    def _refuse_headers(self) -> None:
        if self._header_lines > MAX_HEADER_LINES:
            self._refuse(f"more than {MAX_HEADER_LINES} header lines")
        self._refuse(f"more than {MAX_HEADER_BYTES // KIB} KiB of headers")

    def _refuse(self, what: str) -> None:
        """Stop the parser where it is: what follows of these bytes is not looked at."""
        self._lost = self._lost or _beyond(what)
        raise self._lost

    def _end(self, error: httpx.HTTPError) -> None:
        if self._lost is None:
            self._lost = error
        self._wake()
        self._notify()

    def _notify(self) -> None:
        """Tell whoever asked, last of all: they may ask again."""
        outcome, on_response = self._lost if self._arrived is None else self._arrived, self._on_response
        if on_response is not None and outcome is not None:
            self._arrived = self._on_response = None
            on_response(outcome)

    def _wake(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(None)


def _beyond(what: str) -> BeyondLimitError:
    return BeyondLimitError(f"sent {what} with one answer, which is more than dmcp reads")


def _has_input(connected: socket.socket) -> bool:
    """Return whether there is something to read, an end or an error included. Takes nothing, does not wait."""
    if sys.platform == "win32":
        return bool(select.select([connected], [], [], 0)[0])
    poll = select.poll()  # select.select has no room for large descriptors
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
