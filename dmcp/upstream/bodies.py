"""Reading the body of an HTTP answer: whole, or event by event, bounded and paused with the link.

Nothing here goes on for long without giving the loop a turn, however a body is cut and whatever is in it.
Not here: what the frames mean, and what happens when a stream ends (the links).
"""

from __future__ import annotations

import asyncio
from codecs import getincrementaldecoder
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import httpx
from httpx_sse import EventSource

from dmcp.protocol.limits import MAX_FRAME, MAX_REFUSAL
from dmcp.upstream import faults
from dmcp.upstream.direct import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkFault
    from dmcp.upstream.answer import Answer

_LINES_A_TURN: Final = 2000
"""Lines of an event stream that are read before the loop gets a turn: a few milliseconds."""
_PIECE: Final = 8 * 1024
"""Bytes of an event stream that are read at once where they may hold many lines."""
_HOLD: Final = 64 * 1024
"""Bytes of one line that are collected before they are passed on: small chunks would cost more than they hold."""
_JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_EVENTS: Final = {"content-type": _EVENT_STREAM}
_LONGEST_TYPE: Final = 300  # characters
_AROUND: Final = " \t\"'"


def content_type(response: Answer) -> str:
    """The media type, lower case, without parameters; empty where there is none.

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


async def whole(response: Answer, reading: asyncio.Event, limit: int = MAX_FRAME) -> bytes:
    """The body, once it is complete. Closes the answer however it ends.

    Args:
        response: an answer whose body is unread.
        reading: cleared while the link is paused.
        limit: bytes, uncompressed.

    Raises:
        LinkFailure: the body is longer than ``limit``, or the connection broke within it.
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


def _announced(response: Answer) -> int:
    """The length the head announces; 0 where it says nothing that can be understood."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0  # noqa: PLR2004 - 64 bits


def ready(response: Answer) -> bytes | None:
    """The whole body if it has come already, is short and not compressed: that is twice as fast."""
    stream = response.stream
    return stream.ready() if response.is_plain and isinstance(stream, Body) else None


async def refusal(response: Answer, reading: asyncio.Event) -> tuple[bytes, LinkFault]:
    """The body of an answer that is no success (empty if unreadable), and the fault it stands for."""
    try:
        body = await whole(response, reading, MAX_REFUSAL)
    except faults.LinkFailure:
        body = b""
    return body, faults.from_status(response.status_code, body, response.proxy)


async def events(
    response: Answer, reading: asyncio.Event, limit: int = MAX_FRAME
) -> AsyncIterator[ServerSentEvent]:
    """The events of a stream until it ends. Closes the answer however it ends.

    Args:
        response: an answer of type ``text/event-stream`` whose body is unread.
        reading: cleared while the link is paused.
        limit: bytes of one event, uncompressed.

    Raises:
        LinkFailure: an event is longer than ``limit``, or the connection broke.
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

    def __init__(self, response: Answer, reading: asyncio.Event, limit: int) -> None:
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
        """The body taken."""
        if text := self._decoder.decode(self._ready, final=True):
            yield text

    async def aiter_text(self) -> AsyncIterator[str]:
        """The body as it arrives."""
        async for chunk in self._response.chunks():
            for piece in self._pieces(chunk):
                self._lines += piece.count(b"\n") + piece.count(b"\r")
                if self._lines > _LINES_A_TURN:
                    self._lines = 0
                    await asyncio.sleep(0)
                if not self._reading.is_set():
                    await self._reading.wait()
                self.size += len(piece)
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
