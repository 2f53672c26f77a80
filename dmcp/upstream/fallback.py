"""The choice between the two HTTP transports, made with the first message.

A server that knows only the transport of 2024-11-05 refuses the first POST with 400, 404 or 405; the same message then
goes over that transport. Source: the specification of 2025-11-25, basic/transports, "Backwards Compatibility".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.upstream.sse import SseLink
from dmcp.upstream.streamable_http import StreamableHttpLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.protocol.link import Link, LinkEvents
    from dmcp.upstream.endpoint import Endpoint

    Remember = Callable[[Literal["http", "sse"]], None]


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
        """See ``Link``."""
        return self._link.backlog

    @property
    def pid(self) -> int | None:
        """See ``Link``."""
        return self._link.pid

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """See ``Link``."""
        self._link.send(frame, request_id)

    def abandon(self, request_id: int) -> None:
        """See ``Link``."""
        self._first.abandon(request_id)  # which may be asking over the older transport just now
        self._link.abandon(request_id)

    def established(self, revision: str) -> None:
        """See ``Link``. A session stands, so the choice is made."""
        self._remember("http" if self._link is self._first else "sse")
        self._link.established(revision)

    def pause(self) -> None:
        """See ``Link``."""
        self._paused = True
        self._link.pause()

    def resume(self) -> None:
        """See ``Link``."""
        self._paused = False
        self._link.resume()

    async def aclose(self, grace: float) -> None:
        """See ``Link``. The older link shares the first one's endpoint, whose closing comes last."""
        if self._link is not self._first:
            await self._link.aclose(grace)
        await self._first.aclose(grace)

    def stderr_tail(self) -> Sequence[str]:
        """See ``Link``."""
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
