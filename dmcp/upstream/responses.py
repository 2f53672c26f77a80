"""The response to one HTTP request: status, headers, and a body that is read whole or event by event.

As much of an ``httpx.Response`` as the links look at: making the whole of one, and of an ``httpx.Request``, costs more
than all the rest of a call (docs/performance.md). Nothing here goes on for long without giving the loop a turn,
however a body is cut and whatever is in it. Not here: what the frames mean, and what happens when a stream ends (the
links).
"""

from __future__ import annotations

import asyncio
import re
import time
from codecs import getincrementaldecoder
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

import httpx
from httpx_sse import EventSource

from dmcp.protocol import encodings, jsonrpc
from dmcp.protocol.limits import MAX_FRAME, MAX_REFUSAL
from dmcp.upstream import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence

    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkFault
    from dmcp.upstream.connection import Connection
    from dmcp.upstream.pool import DirectTransport

Header = tuple[bytes, bytes]
ResponseCallback: TypeAlias = "Callable[[Response | httpx.HTTPError], None]"
"""Is told the answer to a request, or why there is none; once."""

_STEPS_A_TURN: Final = 16
"""Steps of decompression (a megabyte) between two turns of the loop."""


class Response:
    """Whoever gets it closes it.

    Attributes:
        status_code: of HTTP.
        headers: by name in lower case; what came several times is joined with commas (RFC 9110, 5.3).
        raw_headers: as they came.
        stream: the body as it came, perhaps compressed.
        proxy: the address of the proxy it came through; empty where there is none.
    """

    __slots__ = ("headers", "proxy", "raw_headers", "status_code", "stream")

    def __init__(
        self,
        status_code: int,
        raw_headers: Sequence[Header],
        stream: httpx.AsyncByteStream,
        proxy: str = "",
    ) -> None:
        self.proxy = proxy
        self.status_code = status_code
        self.raw_headers = raw_headers
        self.stream = stream
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "surrogateescape")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def __repr__(self) -> str:
        return f"<Answer {self.status_code}>"

    @property
    def is_success(self) -> bool:
        """Return whether the status says that all went well."""
        return 200 <= self.status_code < 300  # noqa: PLR2004 - as RFC 9110, 15.3, has it

    @property
    def is_plain(self) -> bool:
        """Return whether the body is not compressed."""
        return "content-encoding" not in self.headers

    def chunks(self) -> AsyncIterable[bytes]:
        """Return the body as it arrives, not compressed any more, in parts of at most ``encodings.STEP`` if it was.

        Raises:
            httpx.HTTPError: the connection broke.
            httpx.DecodingError: the compression is damaged, or one dmcp does not ask for.
        """
        return self.stream if self.is_plain else self._decompressed()

    async def _decompressed(self) -> AsyncIterator[bytes]:
        try:
            undo = encodings.decoder(self.headers["content-encoding"])
            steps = 0
            async for chunk in self.stream:
                for part in (chunk,) if undo is None else undo.steps(chunk):
                    yield part
                    steps += 1
                    if steps % _STEPS_A_TURN == 0:
                        await asyncio.sleep(
                            0
                        )  # a megabyte may stand for a gigabyte: the loop goes on meanwhile
        except (encodings.UnsupportedEncodingError, encodings.DamagedEncodingError) as error:
            raise httpx.DecodingError(str(error)) from error

    async def aclose(self) -> None:
        """Close it. A body that was not read to its end costs its connection."""
        await self.stream.aclose()


def release(answer: Response) -> None:
    """Close an answer as ``Response.aclose`` does, without waiting. Does nothing for one that came through a proxy."""
    if isinstance(answer.stream, Body):
        answer.stream.release()


class Body(httpx.AsyncByteStream):
    """The rest of an answer. Closed before all of it has come, it costs its connection."""

    def __init__(self, connection: Connection, pool: DirectTransport) -> None:
        self._connection: Connection | None = connection
        self._pool = pool

    def ready(self) -> bytes | None:
        """Return the whole body if it has come already and is short, else ``None``. It can be had again."""
        return None if self._connection is None else self._connection.whole()

    def release(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._connection
        while connection is not None and (chunk := await connection.chunk()):
            yield chunk

    async def aclose(self) -> None:
        self.release()


class Transport(Protocol):
    """A way to one origin: straight, or through a proxy (both in ``pool``).

    Attributes:
        proxy: the proxy's address for an error to name, without credentials; empty where there is none.
    """

    proxy: str

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Response:
        """Send one request and wait for the head of its answer. The headers are complete.

        A new connection, where one is needed, must stand within ``connect_timeout`` seconds, TLS included.

        Raises:
            httpx.HTTPError: there is none.
        """

    def start(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, on_response: ResponseCallback
    ) -> Connection | None:
        """Do the same without waiting, if there is a free connection: it is returned, and closed by who gives up."""

    async def aclose(self) -> None:
        """Close every connection; requests in flight break."""


_LINES_A_TURN: Final = 2000
"""Lines of an event stream that are read before the loop gets a turn: a few milliseconds."""
_PIECE: Final = 8 * 1024
"""Bytes of an event stream that are read at once where they may hold many lines."""
_HOLD: Final = 64 * 1024
"""Bytes of one line that are collected before they are passed on: small chunks would cost more than they hold."""
_BLANK_LINES: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_EVENTS: Final = {"content-type": _EVENT_STREAM}
_LONGEST_TYPE: Final = 300  # characters
_AROUND: Final = " \t\"'"


def content_type(response: Response) -> str:
    """Return the media type, lower case, without parameters; empty where there is none.

    Servers and what stands between have been seen to double the header, to leave the space or semicolon before
    parameters out, and to name JSON as something more special: what MCP knows is recognised in all that.
    """
    header = response.headers.get("content-type", "")[:_LONGEST_TYPE].lower()
    if header in (_JSON, _EVENT_STREAM):
        return header
    kinds = [each.partition(";")[0].strip(_AROUND) for each in header.split(",")]
    for kind in kinds:
        name = kind.partition(" ")[0]
        if name in {_JSON, "text/json", "application/json-rpc"} or name.endswith("+json"):
            return _JSON
        if name == _EVENT_STREAM:
            return _EVENT_STREAM
    return kinds[0]


async def whole(response: Response, reading: asyncio.Event, limit: int = MAX_FRAME) -> bytes:
    """Return the body, once it is complete; ``reading`` is cleared while the link is paused. Closes the answer.

    Raises:
        LinkFailure: the body is longer than ``limit`` bytes, uncompressed, or the connection broke within it.
    """
    try:
        if _announced(response) > limit:
            raise faults.oversized(limit)
        if reading.is_set() and (here := ready(response)) is not None:
            if len(here) > limit:
                raise faults.oversized(limit)
            return here
        body = bytearray()  # not a list: of small chunks it would take many times what they hold
        async for chunk in response.chunks():
            if len(body) + len(chunk) > limit:
                raise faults.oversized(limit)
            body += chunk
            if not reading.is_set():
                await reading.wait()
    except httpx.HTTPError as error:
        raise faults.LinkFailure(faults.from_exception(error, response.proxy)) from error
    finally:
        await response.aclose()
    return bytes(body)


def _announced(response: Response) -> int:
    """Return the length the head announces; 0 where it says nothing that can be understood."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0  # noqa: PLR2004 - 64 bits


def ready(response: Response) -> bytes | None:
    """Return the whole body if it has come already, is short and not compressed: that is twice as fast."""
    stream = response.stream
    return stream.ready() if response.is_plain and isinstance(stream, Body) else None


async def refusal(response: Response, reading: asyncio.Event) -> tuple[bytes, LinkFault]:
    """Return the body of an answer that is no success (empty if unreadable), and the fault it stands for."""
    try:
        body = await whole(response, reading, MAX_REFUSAL)
    except faults.LinkFailure:
        body = b""
    return body, faults.from_status(response.status_code, body, response.proxy)


async def events(
    response: Response, reading: asyncio.Event, limit: int = MAX_FRAME
) -> AsyncIterator[ServerSentEvent]:
    """Return the events of a stream until it ends; ``reading`` is cleared while the link is paused. Closes the answer.

    Raises:
        LinkFailure: an event is longer than ``limit`` bytes, uncompressed, or the connection broke.
    """
    text = _Text(response, reading, limit)
    source = EventSource(cast("httpx.Response", text))
    try:
        if not reading.is_set():
            await reading.wait()
        if (here := ready(response)) is not None and len(here) <= _PIECE:
            text.take(here)
            for event in source.iter_sse():
                yield event
                if not reading.is_set():
                    await reading.wait()
            return
        async with aclosing(source.aiter_sse()) as arriving:
            async for event in arriving:
                text.size = 0
                if len(event.data) > limit:
                    raise faults.oversized(limit)
                yield event
                if not reading.is_set():
                    await reading.wait()
    except httpx.HTTPError as error:
        raise faults.LinkFailure(faults.from_exception(error, response.proxy)) from error
    finally:
        await response.aclose()


class _Text:
    """As much of an ``httpx.Response`` as ``EventSource`` reads.

    An event stream is UTF-8 whatever its headers say, is measured event by event, and stops while the link is
    paused. A body that has come whole, as short answers do, is not waited for piece by piece: that is twice as fast.
    """

    headers = _EVENTS

    def __init__(self, response: Response, reading: asyncio.Event, limit: int) -> None:
        self.size = 0
        self._response = response
        self._reading = reading
        self._limit = limit
        self._decoder = getincrementaldecoder("utf-8-sig")("replace")
        self._ready = b""
        self._line = bytearray()
        self._lines = 0

    def take(self, ready: bytes) -> None:
        """Use this body, which is complete."""
        self._ready = ready

    def iter_text(self) -> Iterator[str]:
        """Return the body taken."""
        if text := self._decoder.decode(self._ready, final=True):
            yield text

    async def aiter_text(self) -> AsyncIterator[str]:
        """Return the body as it arrives."""
        async for chunk in self._response.chunks():
            for piece in self._pieces(chunk):
                self._lines += piece.count(b"\n") + piece.count(b"\r")
                if self._lines > _LINES_A_TURN:
                    self._lines = 0
                    await asyncio.sleep(0)
                if not self._reading.is_set():
                    await self._reading.wait()
                # A blank line ends an event, one of comments alone too: heartbeats of days are no large message.
                end = max(map(piece.rfind, _BLANK_LINES)) if len(piece) <= _PIECE else -1
                self.size = len(piece) - end if end >= 0 else self.size + len(piece)
                if text := self._decoder.decode(piece):
                    yield text
            if self.size + len(self._line) > self._limit + _PIECE:  # the field names are not the message's
                raise faults.oversized(self._limit)
        if text := self._decoder.decode(bytes(self._line), final=True):
            yield text

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Cut a chunk so that no piece holds many lines, and hold a line's beginning back until there is more of it."""
        if b"\n" not in chunk and b"\r" not in chunk:
            self._line += chunk
            if len(self._line) < _HOLD:
                return
            chunk = b""
        if self._line:
            chunk = bytes(self._line + chunk)
            self._line.clear()
        if chunk.count(b"\n") + chunk.count(b"\r") < _LINES_A_TURN:
            yield chunk
            return
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


_ANSWER_HEAD: Final = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?(\d{1,18}), ?"(?:result|error)":')
_NO_ANSWER: Final = (b'{"jsonrpc":"2.0","method":', b'{"method":', b'{"jsonrpc": "2.0", "method":')
"""How the notifications and requests of most servers begin: they need not be parsed to see that they answer nothing."""
_RESULT_FIRST: Final = re.compile(rb'\{"(?:result|error)":')
_ID_LAST: Final = re.compile(rb'"id":(\d{1,18})\}$')
_TAIL: Final = 40
_TURN: Final = 0.005  # seconds of reading before the loop has its turn
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
_BOM: Final = b"\xef\xbb\xbf"


def as_frame(body: bytes) -> bytes:
    """Return the body as a frame: raw line ends stand only between JSON tokens, so a space does as well."""
    if b"\n" in body or b"\r" in body:
        body = body.translate(_LINE_ENDS)
    return body.removeprefix(_BOM).strip()


def is_response_to(frame: bytes, request_id: int) -> bool:
    """Return whether the frame holds the answer to this request; ``False`` where finding out would take too long."""
    return request_id in (response_ids(frame) or ())


async def is_response_to_in_slices(frame: bytes, request_id: int) -> bool:
    """Return the same for a frame of any size, over several turns of the loop where that is needed."""
    found = response_ids(frame)
    if found is None:
        reading = jsonrpc.read_in_slices(frame)
        until = time.perf_counter() + _TURN
        while True:
            try:
                next(reading)
            except StopIteration as done:
                found = _ids_of(done.value)
                break
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + _TURN
    return request_id in found


def response_ids(frame: bytes) -> tuple[int, ...] | None:
    """Return the ids of ours that the messages of a frame answer; ``None`` where finding out would take too long.

    The two spellings that the official SDKs write are told by their first and last bytes, which is exact for
    valid JSON: nothing but the envelope can stand there. Everything else, batches included, is read.
    """
    if (head := _ANSWER_HEAD.match(frame)) is not None:
        return (int(head[1]),)
    if _RESULT_FIRST.match(frame) and (tail := _ID_LAST.search(frame[-_TAIL:])) is not None:
        return (int(tail[1]),)
    if frame.startswith(_NO_ANSWER):
        return ()
    message = jsonrpc.read_at_once(frame)
    return None if message is None else _ids_of(message)


def _ids_of(message: jsonrpc.Message) -> tuple[int, ...]:
    messages = message.messages if isinstance(message, jsonrpc.Batch) else (message,)
    found = (_answered_id(each) for each in messages)
    return tuple(number for number in found if number is not None)


def _answered_id(message: jsonrpc.Single) -> int | None:
    """Return the id of the request whose answer its owner takes a message for, be it a bad one."""
    if isinstance(message, jsonrpc.Response):
        return jsonrpc.own_number(message.id)
    if isinstance(message, jsonrpc.Malformed) and not (
        message.is_request or message.is_notification or message.is_foreign
    ):
        return jsonrpc.own_number(message.id)
    return None
