"""Reading the body of an HTTP answer: whole, or event by event, bounded and paused with the link.

Not here: what the frames mean, and what happens when a stream ends (the links).
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import httpx
from httpx_sse import EventSource

from dmcp.protocol.limits import MAX_FRAME
from dmcp.transports import faults
from dmcp.transports.direct import Body

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkFault
    from dmcp.transports.answer import Answer

_MAX_REFUSAL: Final = 64 * 1024
"""Bytes of an error body that are read: it is quoted, not passed on."""


def content_type(response: Answer) -> str:
    """The media type, lower case, without parameters; empty where there is none."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


async def whole(response: Answer, reading: asyncio.Event, limit: int | None = None) -> bytes:
    """The body, once it is complete. Closes the answer however it ends.

    Args:
        response: an answer whose body is unread.
        reading: cleared while the link is paused.
        limit: bytes; ``MAX_FRAME`` unless given.

    Raises:
        LinkFailure: the body is longer than ``limit``, or the connection broke within it.
    """
    limit = MAX_FRAME if limit is None else limit
    try:
        if int(response.headers.get("content-length", "0")) > limit:
            raise faults.oversized()
        if reading.is_set() and (here := ready(response)) is not None:
            if len(here) > limit:
                raise faults.oversized()
            return here
        size = 0
        parts = []
        async for chunk in response.chunks():
            size += len(chunk)
            if size > limit:
                raise faults.oversized()
            parts.append(chunk)
            if not reading.is_set():
                await reading.wait()
    except httpx.HTTPError as error:
        raise faults.LinkFailure(faults.from_exception(error)) from error
    finally:
        await response.aclose()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def ready(response: Answer) -> bytes | None:
    """The whole body if it has come already, is short and not compressed: that is twice as fast."""
    stream = response.stream
    return stream.ready() if response.is_plain and isinstance(stream, Body) else None


async def refusal(response: Answer, reading: asyncio.Event) -> tuple[bytes, LinkFault]:
    """The body of an answer that is no success (empty if unreadable), and the fault it stands for."""
    try:
        body = await whole(response, reading, _MAX_REFUSAL)
    except faults.LinkFailure:
        body = b""
    return body, faults.from_status(response.status_code, body)


async def events(response: Answer, reading: asyncio.Event) -> AsyncIterator[ServerSentEvent]:
    """The events of a stream until it ends. Closes the answer however it ends.

    Args:
        response: an answer of type ``text/event-stream`` whose body is unread.
        reading: cleared while the link is paused.

    Raises:
        LinkFailure: an event is longer than ``MAX_FRAME``, or the connection broke.
    """
    text = _Text(response, reading)
    source = EventSource(cast("httpx.Response", text))
    try:
        if not reading.is_set():
            await reading.wait()
        if (here := ready(response)) is not None:
            text.take(here)
            for event in source.iter_sse():
                yield event
            return
        async with aclosing(source.aiter_sse()) as arriving:
            async for event in arriving:
                text.size = 0
                yield event
    except httpx.HTTPError as error:
        raise faults.LinkFailure(faults.from_exception(error)) from error
    finally:
        await response.aclose()


class _Text:
    """As much of an ``httpx.Response`` as ``EventSource`` reads.

    An event stream is UTF-8 whatever its headers say, is measured event by event, and stops while the link is
    paused. A body that has come whole, as short answers do, is not waited for piece by piece: that is twice as fast.
    """

    def __init__(self, response: Answer, reading: asyncio.Event) -> None:
        self.headers = response.headers
        self.size = 0
        self._response = response
        self._reading = reading
        self._decoder = getincrementaldecoder("utf-8-sig")("replace")
        self._ready = b""

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
            self.size += len(chunk)
            if self.size > MAX_FRAME:
                raise faults.oversized()
            if not self._reading.is_set():
                await self._reading.wait()
            if text := self._decoder.decode(chunk):
                yield text
