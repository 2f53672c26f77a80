"""The Streamable HTTP transport (2025-03-26 and later): a POST for each message, an answer as JSON or events.

Owns the session id, the order of the opening, what the end of a response stream means, and when a broken stream is
asked for again. Not here: redirects and credentials (``endpoint``).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from dmcp import log
from dmcp.protocol.limits import KIB, MAX_HEADER_VALUE
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.wire import encode
from dmcp.upstream import faults, responses
from dmcp.upstream.endpoint import Request
from dmcp.upstream.http import HttpLink
from dmcp.upstream.responses import (
    Body,
    as_frame,
    is_response_to,
    is_response_to_in_slices,
    release,
    response_ids,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkEvents
    from dmcp.upstream.connection import Connection
    from dmcp.upstream.endpoint import Endpoint
    from dmcp.upstream.responses import Header, Response

_OK: Final = 200
_NOT_FOUND: Final = 404
_NO_REVISION: Final = frozenset({400, 406, 422, 426, 501, 505})
"""Statuses of servers that do not know the revision ``initialize`` asks for."""
_SERVER_ERROR: Final = -32000
_BODY_TIMEOUT: Final = 0.5
"""Seconds for the body of an answer that should have none."""
_LATE_RESPONSE_TIMEOUT: Final = 10.0
"""Seconds in which the answer may come on the standalone stream after its own stream has ended without it."""
_NOT_THIS_TRANSPORT: Final = frozenset({400, 404, 405})
_STREAM_CLOSE_TIMEOUT: Final = 5.0
"""Seconds a stream may stay open after its answer, so that its end is seen and the connection used again."""
_SESSION_LOST_GRACE: Final = 1.0
"""Seconds in which other requests of a lost session may hear from the server that they did not run."""
_DELETE_TIMEOUT: Final = 2.0
"""Seconds the DELETE of a session may take at most."""


class StreamableHttpLink(HttpLink):
    """One session over Streamable HTTP. Sends nothing before the first ``send``."""

    def __init__(
        self,
        endpoint: Endpoint,
        events: LinkEvents,
        on_wrong_transport: Callable[[bytes, int, LinkFault], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare a link, which closes the endpoint.

        ``on_wrong_transport`` is given the first request if the server refuses it as one that knows only the older
        transport would; it then owes the owner the answer.
        """
        super().__init__(endpoint, events)
        self._on_wrong_transport = on_wrong_transport
        self._session: bytes | None = None
        self._revision: bytes | None = None
        self._opening: asyncio.Task[None] | None = None
        self._lost = False
        self._session_closed = False
        self._no_stream = asyncio.Event()
        self._stream_broke = asyncio.Event()
        self._fast_path = FastPath(endpoint, self._on_response)

    def established(self, revision: str) -> None:
        """See ``Link``. Opens the stream for messages the server sends of its own accord."""
        self._revision = revision.encode()
        if self._is_posting:
            self._opening = self._queue_task
        self._spawn_task(self._listen())

    async def _ask(self, frame: bytes, request_id: int) -> None:
        try:
            await self._wait_until_open()
            response = await self._endpoint.open("POST", self._headers(), frame)
            self._mark_sent(request_id)
            await self._answered(response, frame, request_id)
        except faults.LinkFailure as error:
            self._fail_request(request_id, error.fault)

    def _start_request(self, frame: bytes, request_id: int) -> None:
        opened = self._revision is not None and not self._lost and self._opening is None
        if opened and not self._is_posting:  # else it would overtake a notification whose task has yet to run
            request = Request("POST", self._endpoint.url, tuple(self._headers()), frame)
            if self._fast_path.take(request, request_id):
                return
        super()._start_request(frame, request_id)

    def _on_response(self, answer: Response | httpx.HTTPError, request: Request, request_id: int) -> None:
        """Take the answer to what took the fast path: mostly it is here whole and needs no task."""
        self._mark_sent(request_id)
        if isinstance(answer, httpx.HTTPError):
            self._fail(request_id, self._endpoint.fault(answer))
        elif self._reading.is_set() and (message := single_message(answer, request_id)):
            self._pass_on(message, request_id)
        else:
            task = self._track(request_id, self._ask_on(answer, request, request_id))
            # One that is cancelled before its first step closes nothing.
            task.add_done_callback(lambda _: release(answer))

    async def _ask_on(self, answer: Response, request: Request, request_id: int) -> None:
        try:
            response = await self._endpoint.settle(answer, request)
            await self._answered(response, request.body, request_id)
        except faults.LinkFailure as error:
            self._fail_request(request_id, error.fault)

    def abandon(self, request_id: int) -> None:
        self._fast_path.abandon(request_id)
        self._mark_sent(request_id)
        super().abandon(request_id)

    def _fail_link(self, fault: LinkFault) -> None:
        self._fast_path.close()
        super()._fail_link(fault)

    async def _stop(self) -> None:
        self._fast_path.close()
        await super()._stop()

    async def _post(self, frame: bytes) -> None:
        response = await self._endpoint.open("POST", self._headers(), frame)
        if response.is_success:
            body = responses.ready(response) or b""
            self._finish_body(response)
            if self._session is not None and faults.response_expires_session(as_frame(body)):
                self._lose_session()
            return
        body, fault = await responses.refusal(response, self._reading)
        # A 404 alone may be about notifications, which not every server knows: the next request tells.
        spoken = response.status_code != _NOT_FOUND or faults.says_session_is_lost(body)
        if spoken and self._session_expired(response, body):
            self._lose_session()
        else:
            raise faults.LinkFailure(fault)

    async def _close_session(self, grace: float) -> None:
        if self._session_closed:
            return
        self._session_closed = True
        try:
            if self._session is not None and not self._lost:
                async with asyncio.timeout(min(grace, _DELETE_TIMEOUT)):
                    response = await self._endpoint.open("DELETE", self._headers(), sign_in=False)
                    await response.aclose()
        except (faults.LinkFailure, TimeoutError) as error:
            log.debug(f"the session could not be ended: {error}", self._endpoint.label)
        finally:
            await self._endpoint.aclose()

    async def _wait_until_open(self) -> None:
        """Wait until what was sent before ``established`` has been accepted: no request may overtake it."""
        if self._lost:
            raise faults.LinkFailure(faults.NOT_RUN)
        if self._opening is not None:
            await asyncio.wait({self._opening})
            self._opening = None

    def _headers(self, last_id: str = "") -> list[Header]:
        headers = []
        if self._session is not None:
            headers.append((b"mcp-session-id", self._session))
        if self._revision is not None:
            headers.append((b"mcp-protocol-version", self._revision))
        if last_id:
            headers.append((b"last-event-id", last_id.encode()))
        return headers

    async def _answered(self, response: Response, frame: bytes, request_id: int) -> None:
        if not response.is_success:
            await self._refused(response, frame, request_id)
            return
        if self._revision is None and self._session is None and "mcp-session-id" in response.headers:
            self._session = _session_id(response)
        self._on_wrong_transport = None
        kind = responses.content_type(response)
        if kind == "text/event-stream":
            await self._follow(response, request_id)
        elif response.status_code != _OK or not kind:
            body = await self._short_body(response)
            if not (body.startswith(b"{") and await is_response_to_in_slices(body, request_id)):
                await self._await_on_standalone_stream(response.status_code, kind)
            self._pass_on(body, request_id)
        elif kind == "application/json":
            body = await responses.whole(response, self._reading, self._endpoint.frame)
            answer = self._pass_on(body, request_id)
            if answer is None or not await is_response_to_in_slices(answer, request_id):
                reason = "answered with a message that is no answer to the request"
                raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)
        else:
            await response.aclose()
            raise faults.LinkFailure(faults.not_mcp(kind))

    async def _short_body(self, response: Response) -> bytes:
        """Return the body of an answer that should have none, if it comes at once."""
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                return as_frame(await responses.whole(response, self._reading, self._endpoint.frame))
        except TimeoutError:
            return b""

    async def _await_on_standalone_stream(self, status: int, kind: str) -> None:
        """Wait for an answer on the standalone stream: who reads it there ends this task."""
        if self._offers_stream:
            await self._no_stream.wait()
        if status == _OK:
            raise faults.LinkFailure(faults.not_mcp(kind))
        reason = f"took the request but will not answer it (HTTP {status})"
        raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)

    @property
    def _offers_stream(self) -> bool:
        """Return whether the server has a stream of its own, or has not said yet that it has none."""
        return self._revision is not None and not self._no_stream.is_set()

    def _pass_on(self, body: bytes, during: int | None = None) -> bytes | None:
        """See ``HttpLink``. An error that says that the session is lost ends it, like a 404."""
        if during is not None and self._session is not None and faults.response_expires_session(body):
            self._fail(during, faults.NOT_RUN)
            self._lose_session()
            return as_frame(body)
        frame = super()._pass_on(body, during)
        if during is None and frame is not None:
            for number in response_ids(frame) or ():
                self.abandon(number)  # the answer came on the standalone stream: it counts
        return frame

    async def _refused(self, response: Response, frame: bytes, request_id: int) -> None:
        body, fault = await responses.refusal(response, self._reading)
        if self._session_expired(response, body):
            reason = f"{faults.NOT_RUN.reason} ({fault.reason})"
            self._fail_request(request_id, LinkFault(FaultKind.SESSION_LOST, reason, fault.may_have_run))
        elif (
            self._revision is None and response.status_code in _NO_REVISION and faults.refuses_revision(body)
        ):
            # As the error it is: whoever asked may offer another revision.
            error = faults.error_of(body) or {"code": _SERVER_ERROR, "message": fault.reason}
            answer = encode({"jsonrpc": "2.0", "id": request_id, "error": error})
            self._events.on_frame(answer, request_id)
        elif body and is_response_to(answer := as_frame(body), request_id):
            self._events.on_frame(answer)
        elif self._on_wrong_transport is not None and response.status_code in _NOT_THIS_TRANSPORT:
            await self._on_wrong_transport(frame, request_id, fault)
        else:
            self._fail(request_id, fault)

    async def _follow(self, response: Response, request_id: int) -> None:
        """Read a response stream up to the answer; where it breaks, and the server can replay, again."""
        position = StreamPosition()
        while not await self._read(response, position, request_id):
            if not position.last_id:
                if self._offers_stream and not position.broken:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LATE_RESPONSE_TIMEOUT):
                            await self._stream_broke.wait()
                # Servers end their streams in good order when they are stopped, or end a session.
                reason = f"its event stream {'broke' if position.broken else 'ended'} without the answer"
                raise faults.failure(FaultKind.UNREACHABLE, reason, may_have_run=True)
            response = await self._again(position)

    async def _again(self, position: StreamPosition) -> Response:
        """Return the rest of a broken stream. Retried while the server is away, within the owner's deadline."""
        while True:
            await asyncio.sleep(position.next_delay())
            try:
                response = await self._endpoint.open("GET", self._headers(position.last_id))
            except faults.LinkFailure as error:
                fault = error.fault
            else:
                if response.status_code == _OK and responses.content_type(response) == "text/event-stream":
                    return response
                body, fault = await responses.refusal(response, self._reading)
                if self._session_expired(response, body):
                    self._lose_session()
                    raise faults.LinkFailure(faults.SESSION_LOST)
            if not may_resume(fault, position):
                reason = (
                    f"its event stream broke before the answer and cannot be taken up again: {fault.reason}"
                )
                raise faults.failure(FaultKind.UNREACHABLE, reason, may_have_run=True)

    async def _read(self, response: Response, position: StreamPosition, request_id: int | None) -> bool:
        """Pass a stream's messages on until it ends. Whether the answer to ``request_id`` was among them."""
        answered = False
        position.broken = False
        try:
            async with asyncio.timeout(None) as deadline:
                async for event in responses.events(response, self._reading, self._endpoint.frame):
                    position.record(event)
                    frame = self._deliver(event, request_id)
                    if not self._reading.is_set():
                        await self._reading.wait()  # one chunk may hold thousands of events
                    if (
                        frame
                        and not answered
                        and request_id is not None
                        and await is_response_to_in_slices(frame, request_id)
                    ):
                        answered = True
                        self._requests.pop(request_id, None)
                        deadline.reschedule(asyncio.get_running_loop().time() + _STREAM_CLOSE_TIMEOUT)
        except TimeoutError:
            log.debug("a stream stayed open after its answer", self._endpoint.label)
        except faults.LinkFailure as error:
            if answered:
                return True
            if error.fault.kind is FaultKind.PROTOCOL:
                raise
            position.broken = True
        return answered

    async def _listen(self) -> None:
        """Read the standalone stream, for as long as the link lives and the server offers one."""
        position = StreamPosition()
        worked = False
        while True:
            try:
                await self._wait_until_open()
                stream = await self._standalone(position, worked)
                self._stream_broke.clear()
                await self._read(stream, position, None)
                worked = True
            except faults.LinkFailure as error:
                if error.fault.kind is not FaultKind.UNREACHABLE:
                    log.debug(f"no stream of its own: {error}", self._endpoint.label)
                    self._no_stream.set()
                    return
                position.broken = True
            finally:
                self._stream_broke.set()
            await asyncio.sleep(position.next_delay())

    async def _standalone(self, position: StreamPosition, worked: bool) -> Response:
        response = await self._endpoint.open("GET", self._headers(position.last_id))
        if response.status_code == _OK and responses.content_type(response) == "text/event-stream":
            return response
        body, fault = await responses.refusal(response, self._reading)
        # A 404 to the first GET is how some servers say that they have no such stream.
        if worked and self._session_expired(response, body):
            self._lose_session()
        raise faults.LinkFailure(fault)

    def _session_expired(self, response: Response, body: bytes) -> bool:
        return self._session is not None and faults.is_session_expired(response.status_code, body)

    def _fail_request(self, request_id: int, fault: LinkFault) -> None:
        self._fail(request_id, fault)
        if fault.kind is FaultKind.SESSION_LOST:
            self._lose_session()

    def _lose_session(self) -> None:
        if not self._lost:
            self._lost = True
            self._spawn_task(self._close_after_grace())

    async def _close_after_grace(self) -> None:
        """Close, but first let the other requests hear the server's own refusal: then they have not run."""
        clock = asyncio.get_running_loop().time
        end = clock() + _SESSION_LOST_GRACE
        while (waiting := {*self._requests.values(), *self._fast_path.pending}) and clock() < end:
            await asyncio.wait(waiting, timeout=end - clock(), return_when=asyncio.FIRST_COMPLETED)
        self._fail_link(faults.SESSION_LOST)


def _session_id(response: Response) -> bytes:
    session = response.headers["mcp-session-id"].encode("utf-8", "surrogateescape")
    if len(session) > MAX_HEADER_VALUE:
        reason = f"gave a session id of more than {MAX_HEADER_VALUE // KIB} KiB"
        raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)
    return session


_FIRST_WAIT: Final = 0.5  # seconds
_SHORTEST_WAIT: Final = 0.05  # seconds: "retry: 0" shall not spin the loop
_LONGEST_WAIT: Final = 30.0  # seconds
_MAX_FAILURES: Final = 6
_LONGEST_RETRY: Final = 3600.0  # seconds of "retry:" that are believed
_PATIENT: Final = ((200, 2.0), (20, 0.5))
"""After so many connections for one stream the next waits at least so many seconds, whatever the server wishes."""


@dataclass(slots=True)
class StreamPosition:
    """A position in one stream, over all the connections it has been read from.

    Attributes:
        last_id: of the last event that had one; empty if the server cannot replay.
        retry: seconds the server asked to wait before the stream is taken up again, if it did.
        broken: whether the connection broke, rather than that the server ended the stream.
        failures: waits since the last event.
        connections: waits altogether.
    """

    last_id: str = ""
    retry: float | None = None
    broken: bool = False
    failures: int = 0
    connections: int = 0

    def record(self, event: ServerSentEvent) -> None:
        """Note the place behind an event that was read whole."""
        # Of one that is longer, or that no header can carry, there is no way back: where the stream was cannot be said.
        fits = len(event.id) <= MAX_HEADER_VALUE and event.id.isprintable()
        self.last_id = (event.id or self.last_id) if fits else ""
        self.failures = 0
        if event.retry is not None:
            self.retry = max(min(event.retry, _LONGEST_RETRY * 1000) / 1000, _SHORTEST_WAIT)

    def next_delay(self) -> float:
        """Return seconds until the stream is asked for again: the server's wish, else from half a second up."""
        self.failures += 1
        self.connections += 1
        least = next((seconds for many, seconds in _PATIENT if self.connections > many), 0.0)
        if self.retry is not None and self.failures == 1:
            return max(self.retry, least)
        doubled: float = (self.retry or _FIRST_WAIT) * 2 ** min(self.failures - 1, 20)
        return max(least, min(doubled, max(_LONGEST_WAIT, self.retry or 0.0)))


def may_resume(fault: LinkFault, position: StreamPosition) -> bool:
    """Return whether it is worth another try: the server is away, and has not been for long."""
    return fault.kind is FaultKind.UNREACHABLE and position.failures < _MAX_FAILURES


_MOST_LINES: Final = 8
_IS_MESSAGE: Final = frozenset({b"event: message", b"event:message"})


class FastPath:
    """The requests of one link that are under way without a task."""

    def __init__(
        self, endpoint: Endpoint, on_response: Callable[[Response | httpx.HTTPError, Request, int], None]
    ) -> None:
        """Prepare; ``on_response`` gets, and closes, the answer to each request but those that were abandoned."""
        self._endpoint = endpoint
        self._on_response = on_response
        self._in_flight: dict[int, tuple[Connection, asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return f"<FastPath {len(self._in_flight)} in flight>"

    def take(self, request: Request, request_id: int) -> bool:
        """Send a request if it can be done at once; whether it was."""

        def on_response(answer: Response | httpx.HTTPError) -> None:
            _, done = self._in_flight.pop(request_id, (None, None))
            if done is not None:
                done.set_result(None)
                self._on_response(answer, request, request_id)

        connection = self._endpoint.start(request, on_response)
        if connection is None:
            return False
        self._in_flight[request_id] = (connection, asyncio.get_running_loop().create_future())
        return True

    def abandon(self, request_id: int) -> None:
        """Close the connection of a request whose answer nobody waits for any more."""
        connection, done = self._in_flight.pop(request_id, (None, None))
        if connection is not None and done is not None:
            done.set_result(None)
            connection.close()

    def close(self) -> None:
        """Abandon every request."""
        for request_id in tuple(self._in_flight):
            self.abandon(request_id)

    @property
    def pending(self) -> set[asyncio.Future[None]]:
        """Done when an answer is heard or given up, one for each request."""
        return {done for _, done in self._in_flight.values()}


def single_message(answer: Response, request_id: int) -> bytes | None:
    """Return the answer to this request if the HTTP answer holds nothing else, and is here whole: then it is closed."""
    stream = answer.stream
    if answer.status_code != _OK or "set-cookie" in answer.headers or not isinstance(stream, Body):
        return None
    body = responses.ready(answer)
    if body is None:
        return None
    kind = responses.content_type(answer)
    if kind == "text/event-stream":
        body = single_data(body)
    elif kind != "application/json":
        return None
    message = as_frame(body)
    if not is_response_to(message, request_id):
        return None
    stream.release()
    return message


def single_data(body: bytes) -> bytes:
    """Return the data of an event stream's body that is one event of one line of data, as most are; empty for others.

    A scanner and no pattern: each byte is looked at once, whatever the server writes.
    """
    if body.count(b"\n") > _MOST_LINES:
        return b""
    lines = [line.removesuffix(b"\r") for line in body.split(b"\n")]
    if (
        len(lines) < len((b"data", b"", b""))
        or lines[-1]
        or lines[-2]
        or any(b"\r" in line for line in lines)
    ):
        return b""
    *others, data = lines[:-2]
    if any(not other.startswith(b"id:") and other not in _IS_MESSAGE for other in others):
        return b""
    return data[len(b"data:") :].removeprefix(b" ") if data.startswith(b"data:") else b""
