"""The HTTP+SSE transport of 2024-11-05: one event stream for all the server says, a POST for each message.

Owns the stream and the address the server names in it. No stream is taken up again: there is no replay here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.upstream import faults, responses
from dmcp.upstream.http import HttpLink

if TYPE_CHECKING:
    import httpx

    from dmcp.protocol.link import LinkEvents
    from dmcp.upstream.endpoint import Endpoint
    from dmcp.upstream.responses import Response

_OK: Final = 200
_SUCCESS: Final = range(200, 300)
_SESSION_LOST: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=True)
_NOT_RUN: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=False)


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
                self._fail_link(_SESSION_LOST)

    async def _post(self, frame: bytes) -> None:
        response = await self._endpoint.open("POST", body=frame, url=self._address.result())
        if response.status_code in _SUCCESS:
            self._finish_body(response)
            return
        body, fault = await responses.refusal(response, self._reading)
        raise faults.LinkFailure(_NOT_RUN if faults.is_session_expired(response.status_code, body) else fault)

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
