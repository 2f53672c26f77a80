"""The HTTP+SSE transport of 2024-11-05, and the choice between it and Streamable HTTP, made with the first message.

One event stream for all the server says, in which it names the address for messages; a POST for each message. No stream
is taken up again: there is no replay here. A server that knows only this transport refuses the first POST with 400, 404
or 405; the same message then goes over it. Source: MCP 2025-11-25, basic/transports, "Backwards Compatibility".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.upstream import faults, responses
from dmcp.upstream.http import HttpLink
from dmcp.upstream.streamable_http import StreamableHttpLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from dmcp.protocol.link import Link, LinkEvents
    from dmcp.upstream.endpoint import Endpoint
    from dmcp.upstream.responses import Response

    Remember = Callable[[Literal["http", "sse"]], None]

_OK: Final = 200


class SseLink(HttpLink):
    """One session over HTTP+SSE. Made by ``connect``."""

    def __init__(self, endpoint: Endpoint, events: LinkEvents) -> None:
        super().__init__(endpoint, events)
        self._address: asyncio.Future[httpx.URL] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, endpoint: Endpoint, events: LinkEvents) -> SseLink:
        """Open the stream and wait for the address to post to. The caller sets the deadline by cancelling.

        Raises:
            LinkRefused: no such stream there, or no connection.
            AuthError: the server wants credentials that cannot be had.
        """
        link = cls(endpoint, events)
        link._spawn_task(link._listen())
        try:
            await asyncio.shield(link._address)
        except faults.LinkFailure as error:
            if error.fault.kind is FaultKind.UNAUTHORIZED:
                raise AuthError(error.fault.reason, error.fault.category) from error
            raise LinkRefused(error.fault.reason) from error
        except asyncio.CancelledError:
            await link._stop()
            raise
        return link

    def established(self, revision: str) -> None:
        """See ``Link``. The older transport has neither a header for it nor a stream to open."""

    async def _ask(self, frame: bytes, request_id: int) -> None:
        try:
            await self._post(frame)
        except faults.LinkFailure as error:
            self._fail(request_id, error.fault)
            if error.fault.kind is FaultKind.SESSION_LOST:
                self._fail_link(faults.SESSION_LOST)

    async def _post(self, frame: bytes) -> None:
        response = await self._endpoint.open("POST", body=frame, url=self._address.result())
        if response.is_success:
            self._finish_body(response)
            return
        body, fault = await responses.refusal(response, self._reading)
        raise faults.LinkFailure(
            faults.NOT_RUN if faults.is_session_expired(response.status_code, body) else fault
        )

    async def _close_session(self, grace: float) -> None:  # noqa: ARG002 - the interface's; there is no goodbye here
        await self._endpoint.aclose()

    async def _listen(self) -> None:
        fault = LinkFault(FaultKind.UNREACHABLE, "ended its event stream", may_have_run=True)
        try:
            response = await self._stream()
            async for event in responses.events(response, self._reading, self._endpoint.frame):
                if self._address.done():
                    self._deliver(event)
                    if not self._reading.is_set():
                        await self._reading.wait()  # one chunk may hold thousands of events
                elif event.event == "endpoint":
                    self._address.set_result(self._endpoint.resolve(event.data.strip()))
        except faults.LinkFailure as error:
            fault = error.fault
        if self._address.done():
            self._fail_link(fault)
        else:
            self._address.set_exception(faults.LinkFailure(fault))

    async def _stream(self) -> Response:
        response = await self._endpoint.open("GET")
        if response.status_code != _OK:
            raise faults.LinkFailure((await responses.refusal(response, self._reading))[1])
        if (kind := responses.content_type(response)) != "text/event-stream":
            await response.aclose()
            raise faults.LinkFailure(faults.not_mcp(kind))
        return response


async def open_over(
    kind: Literal["http", "sse", "auto"], endpoint: Endpoint, events: LinkEvents, remember: Remember
) -> Link:
    """Open a link over the given transport; the link owns the endpoint from here on.

    Raises:
        LinkRefused: HTTP+SSE only: there is no such stream.
        AuthError: HTTP+SSE only: the server wants credentials that cannot be had.
    """
    if kind == "sse":
        try:
            return await SseLink.connect(endpoint, events)
        except BaseException:  # cancelled included: nothing may be left behind
            await endpoint.aclose()
            raise
    if kind == "http":
        return StreamableHttpLink(endpoint, events)
    return FallbackLink(endpoint, events, remember)


class FallbackLink:
    """A Streamable HTTP link that becomes an HTTP+SSE one if the server refuses its first request."""

    def __init__(self, endpoint: Endpoint, events: LinkEvents, remember: Remember) -> None:
        self._endpoint = endpoint
        self._events = events
        self._remember = remember
        self._first = StreamableHttpLink(endpoint, events, self._try_sse)
        self._link: Link = self._first
        self._paused = False

    def __repr__(self) -> str:
        return f"<FallbackLink {self._link!r}>"

    @property
    def backlog(self) -> int:
        return self._link.backlog

    @property
    def pid(self) -> int | None:
        return self._link.pid

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        self._link.send(frame, request_id)

    def abandon(self, request_id: int) -> None:
        self._first.abandon(request_id)  # which may be asking over the older transport just now
        self._link.abandon(request_id)

    def established(self, revision: str) -> None:
        """See ``Link``. A session stands, so the choice is made."""
        self._remember("http" if self._link is self._first else "sse")
        self._link.established(revision)

    def pause(self) -> None:
        self._paused = True
        self._link.pause()

    def resume(self) -> None:
        self._paused = False
        self._link.resume()

    async def aclose(self, grace: float) -> None:
        """See ``Link``. The older link shares the first one's endpoint, whose closing comes last."""
        if self._link is not self._first:
            await self._link.aclose(grace)
        await self._first.aclose(grace)

    def stderr_tail(self) -> Sequence[str]:
        return self._link.stderr_tail()

    async def _try_sse(self, frame: bytes, request_id: int, refused: LinkFault) -> None:
        """Ask over HTTP+SSE; both reasons are told if that fails too. Runs in the first link's task."""
        try:
            link = await SseLink.connect(self._endpoint, self._events)
        except (LinkRefused, AuthError) as error:
            kind = FaultKind.UNAUTHORIZED if isinstance(error, AuthError) else refused.kind
            reason = f"{refused.reason}; over the older HTTP+SSE transport: {error}"
            self._events.on_failed(request_id, LinkFault(kind, reason, may_have_run=False))
            return
        self._link = link
        if self._paused:
            link.pause()
        link.send(frame, request_id)
