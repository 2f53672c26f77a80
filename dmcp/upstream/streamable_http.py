"""The Streamable HTTP transport (2025-03-26 and later): a POST for each message, an answer as JSON or events.

Owns the session id, the order of the opening, and what the end of a response stream means. Not here: when a
broken stream is asked for again (``streams``), redirects and credentials (``endpoint``).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import httpx
from pydantic_core import to_json

from dmcp import log
from dmcp.protocol.limits import KIB, MAX_HEADER_VALUE
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.upstream import bodies, faults, refusals
from dmcp.upstream.direct import let_go
from dmcp.upstream.endpoint import Request
from dmcp.upstream.envelope import answered_ids, answers, answers_in_slices, one_line
from dmcp.upstream.http import HttpLink
from dmcp.upstream.shortcut import Shortcut, only_message
from dmcp.upstream.streams import Place, may_resume

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dmcp.protocol.link import LinkEvents
    from dmcp.upstream.answer import Answer, Header
    from dmcp.upstream.endpoint import Endpoint

_OK: Final = 200
_SUCCESS: Final = range(200, 300)
_NO_REVISION: Final = frozenset({400, 406, 422, 426, 501, 505})
"""Statuses of servers that do not know the revision ``initialize`` asks for."""
_SERVER_ERROR: Final = -32000
_MOMENT: Final = 0.5
"""Seconds for the body of an answer that should have none."""
_LATE_ANSWER: Final = 10.0
"""Seconds in which the answer may come on the standalone stream after its own stream has ended without it."""
_NOT_THIS_TRANSPORT: Final = frozenset({400, 404, 405})
_LINGER: Final = 5.0
"""Seconds a stream may stay open after its answer, so that its end is seen and the connection used again."""
_LAST_CHANCE: Final = 1.0
"""Seconds in which other requests of a lost session may hear from the server that they did not run."""
_GOODBYE: Final = 2.0
"""Seconds the DELETE of a session may take at most."""
_SESSION_LOST: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=True)
_NOT_RUN: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=False)


class StreamableHttpLink(HttpLink):
    """One session over Streamable HTTP. Sends nothing before the first ``send``."""

    def __init__(
        self,
        endpoint: Endpoint,
        events: LinkEvents,
        otherwise: Callable[[bytes, int, LinkFault], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare a link.

        Args:
            endpoint: where to; the link closes it.
            events: the owner.
            otherwise: given the first request if the server refuses it as one that knows only the older
                transport would; it then owes the owner the answer.
        """
        super().__init__(endpoint, events)
        self._otherwise = otherwise
        self._session: bytes | None = None
        self._revision: bytes | None = None
        self._opening: asyncio.Task[None] | None = None
        self._lost = False
        self._left = False
        self._no_stream = asyncio.Event()
        self._stream_broke = asyncio.Event()
        self._shortcut = Shortcut(endpoint, self._heard)

    def established(self, revision: str) -> None:
        """See ``Link``. Opens the stream for messages the server sends of its own accord."""
        self._revision = revision.encode()
        if self._is_posting:
            self._opening = self._lane_task
        self._own(self._listen())

    async def _ask(self, frame: bytes, request_id: int) -> None:
        try:
            await self._opened()
            response = await self._endpoint.open("POST", self._headers(), frame)
            self._taken(request_id)
            await self._answered(response, frame, request_id)
        except faults.LinkFailure as error:
            self._fail(request_id, error.fault)

    def _begin(self, frame: bytes, request_id: int) -> None:
        opened = self._revision is not None and not self._lost and self._opening is None
        if opened and not self._is_posting:  # else it would overtake a notification whose task has yet to run
            request = Request("POST", self._endpoint.url, tuple(self._headers()), frame)
            if self._shortcut.take(request, request_id):
                return
        super()._begin(frame, request_id)

    def _heard(self, answer: Answer | httpx.HTTPError, request: Request, request_id: int) -> None:
        """The answer to what took the shortcut: as a rule it is here whole and needs no task."""
        self._taken(request_id)
        if isinstance(answer, httpx.HTTPError):
            self._fail(request_id, self._endpoint.fault(answer))
        elif self._reading.is_set() and (message := only_message(answer, request_id)):
            self._pass_on(message, request_id)
        else:
            task = self._pursue(request_id, self._ask_on(answer, request, request_id))
            # One that is cancelled before its first step closes nothing.
            task.add_done_callback(lambda _: let_go(answer))

    async def _ask_on(self, answer: Answer, request: Request, request_id: int) -> None:
        try:
            response = await self._endpoint.settle(answer, request)
            await self._answered(response, request.body, request_id)
        except faults.LinkFailure as error:
            self._fail(request_id, error.fault)

    def abandon(self, request_id: int) -> None:
        """See ``Link``."""
        self._shortcut.abandon(request_id)
        self._taken(request_id)
        super().abandon(request_id)

    def _lose(self, fault: LinkFault) -> None:
        self._shortcut.close()
        super()._lose(fault)

    async def _stop(self) -> None:
        self._shortcut.close()
        await super()._stop()

    async def _post(self, frame: bytes) -> None:
        response = await self._endpoint.open("POST", self._headers(), frame)
        if response.status_code in _SUCCESS:
            body = bodies.ready(response) or b""
            self._let_end(response)
            if self._session is not None and refusals.answer_forgets_session(one_line(body)):
                self._lose_session()
            return
        body, fault = await bodies.refusal(response, self._reading)
        if self._is_forgotten(response, body):
            self._lose_session()
        else:
            raise faults.LinkFailure(fault)

    async def _leave(self, grace: float) -> None:
        if self._left:
            return
        self._left = True
        try:
            if self._session is not None and not self._lost:
                async with asyncio.timeout(min(grace, _GOODBYE)):
                    response = await self._endpoint.open("DELETE", self._headers(), sign_in=False)
                    await response.aclose()
        except (faults.LinkFailure, TimeoutError) as error:
            log.debug(f"the session could not be ended: {error}", self._endpoint.label)
        finally:
            await self._endpoint.aclose()

    async def _opened(self) -> None:
        """Until what was sent before ``established`` has been accepted: no request may overtake it."""
        if self._lost:
            raise faults.LinkFailure(_NOT_RUN)
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

    async def _answered(self, response: Answer, frame: bytes, request_id: int) -> None:
        if response.status_code not in _SUCCESS:
            await self._refused(response, frame, request_id)
            return
        if self._revision is None and self._session is None and "mcp-session-id" in response.headers:
            self._session = _session_id(response)
        self._otherwise = None
        kind = bodies.content_type(response)
        if kind == "text/event-stream":
            await self._follow(response, request_id)
        elif response.status_code != _OK or not kind:
            body = await self._short_body(response)
            if not (body.startswith(b"{") and await answers_in_slices(body, request_id)):
                await self._answered_elsewhere(response.status_code, kind)
            self._pass_on(body, request_id)
        elif kind == "application/json":
            body = await bodies.whole(response, self._reading, self._endpoint.frame)
            answer = self._pass_on(body, request_id)
            if answer is None or not await answers_in_slices(answer, request_id):
                reason = "answered with a message that is no answer to the request"
                raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)
        else:
            await response.aclose()
            raise faults.LinkFailure(faults.not_mcp(kind))

    async def _short_body(self, response: Answer) -> bytes:
        """The body of an answer that should have none, if it comes at once."""
        try:
            async with asyncio.timeout(_MOMENT):
                return one_line(await bodies.whole(response, self._reading, self._endpoint.frame))
        except TimeoutError:
            return b""

    async def _answered_elsewhere(self, status: int, kind: str) -> None:
        """Wait for an answer on the standalone stream: who reads it there ends this task."""
        if self._offers_stream:
            await self._no_stream.wait()
        if status == _OK:
            raise faults.LinkFailure(faults.not_mcp(kind))
        reason = f"took the request but will not answer it (HTTP {status})"
        raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)

    @property
    def _offers_stream(self) -> bool:
        """Whether the server has a stream of its own, or has not said yet that it has none."""
        return self._revision is not None and not self._no_stream.is_set()

    def _pass_on(self, body: bytes, during: int | None = None) -> bytes | None:
        """See ``HttpLink``. An error that says that the session is lost ends it, like a 404."""
        if during is not None and self._session is not None and refusals.answer_forgets_session(body):
            self._fail(during, _NOT_RUN)
            self._lose_session()
            return one_line(body)
        frame = super()._pass_on(body, during)
        if during is None and frame is not None:
            for number in answered_ids(frame) or ():
                self.abandon(number)  # the answer came on the standalone stream: it counts
        return frame

    async def _refused(self, response: Answer, frame: bytes, request_id: int) -> None:
        body, fault = await bodies.refusal(response, self._reading)
        if self._is_forgotten(response, body):
            reason = f"{_NOT_RUN.reason} ({fault.reason})"
            self._fail(request_id, LinkFault(FaultKind.SESSION_LOST, reason, may_have_run=False))
            self._lose_session()
        elif (
            self._revision is None
            and response.status_code in _NO_REVISION
            and refusals.refuses_revision(body)
        ):
            # As the error it is: whoever asked may offer another revision.
            error = refusals.error_of(body) or {"code": _SERVER_ERROR, "message": fault.reason}
            answer = to_json({"jsonrpc": "2.0", "id": request_id, "error": error})
            self._events.on_frame(answer, request_id)
        elif body and answers(answer := one_line(body), request_id):
            self._events.on_frame(answer)
        elif self._otherwise is not None and response.status_code in _NOT_THIS_TRANSPORT:
            await self._otherwise(frame, request_id, fault)
        else:
            self._fail(request_id, fault)

    async def _follow(self, response: Answer, request_id: int) -> None:
        """Read a response stream up to the answer; where it breaks, and the server can replay, again."""
        place = Place()
        while not await self._read(response, place, request_id):
            if not place.last_id:
                if self._offers_stream and not place.broken:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LATE_ANSWER):
                            await self._stream_broke.wait()
                # Servers end their streams in good order when they are stopped, or end a session.
                reason = f"its event stream {'broke' if place.broken else 'ended'} without the answer"
                raise faults.failure(FaultKind.UNREACHABLE, reason, may_have_run=True)
            response = await self._again(place)

    async def _again(self, place: Place) -> Answer:
        """The rest of a broken stream. Retried while the server is away, within the owner's deadline."""
        while True:
            await asyncio.sleep(place.wait())
            try:
                response = await self._endpoint.open("GET", self._headers(place.last_id))
            except faults.LinkFailure as error:
                fault = error.fault
            else:
                if response.status_code == _OK and bodies.content_type(response) == "text/event-stream":
                    return response
                body, fault = await bodies.refusal(response, self._reading)
                if self._is_forgotten(response, body):
                    self._lose_session()
                    raise faults.LinkFailure(_SESSION_LOST)
            if not may_resume(fault, place):
                reason = (
                    f"its event stream broke before the answer and cannot be taken up again: {fault.reason}"
                )
                raise faults.failure(FaultKind.UNREACHABLE, reason, may_have_run=True)

    async def _read(self, response: Answer, place: Place, request_id: int | None) -> bool:
        """Pass a stream's messages on until it ends. Whether the answer to ``request_id`` was among them."""
        answered = False
        place.broken = False
        try:
            async with asyncio.timeout(None) as deadline:
                async for event in bodies.events(response, self._reading, self._endpoint.frame):
                    place.note(event)
                    frame = self._deliver(event, request_id)
                    if not self._reading.is_set():
                        await self._reading.wait()  # one chunk may hold thousands of events
                    if (
                        frame
                        and not answered
                        and request_id is not None
                        and await answers_in_slices(frame, request_id)
                    ):
                        answered = True
                        self._requests.pop(request_id, None)
                        deadline.reschedule(asyncio.get_running_loop().time() + _LINGER)
        except TimeoutError:
            log.debug("a stream stayed open after its answer", self._endpoint.label)
        except faults.LinkFailure as error:
            if answered:
                return True
            if error.fault.kind is FaultKind.PROTOCOL:
                raise
            place.broken = True
        return answered

    async def _listen(self) -> None:
        """The standalone stream, for as long as the link lives and the server offers one."""
        place = Place()
        worked = False
        while True:
            try:
                await self._opened()
                stream = await self._standalone(place, worked)
                self._stream_broke.clear()
                await self._read(stream, place, None)
                worked = True
            except faults.LinkFailure as error:
                if error.fault.kind is not FaultKind.UNREACHABLE:
                    log.debug(f"no stream of its own: {error}", self._endpoint.label)
                    self._no_stream.set()
                    return
                place.broken = True
            finally:
                self._stream_broke.set()
            await asyncio.sleep(place.wait())

    async def _standalone(self, place: Place, worked: bool) -> Answer:
        response = await self._endpoint.open("GET", self._headers(place.last_id))
        if response.status_code == _OK and bodies.content_type(response) == "text/event-stream":
            return response
        body, fault = await bodies.refusal(response, self._reading)
        # A 404 to the first GET is how some servers say that they have no such stream.
        if worked and self._is_forgotten(response, body):
            self._lose_session()
        raise faults.LinkFailure(fault)

    def _is_forgotten(self, response: Answer, body: bytes) -> bool:
        return self._session is not None and refusals.forgets_session(response.status_code, body)

    def _lose_session(self) -> None:
        if not self._lost:
            self._lost = True
            self._own(self._wind_up())

    async def _wind_up(self) -> None:
        """Close, but first let the other requests hear the server's own refusal: then they have not run."""
        clock = asyncio.get_running_loop().time
        end = clock() + _LAST_CHANCE
        while (waiting := {*self._requests.values(), *self._shortcut.pending}) and clock() < end:
            await asyncio.wait(waiting, timeout=end - clock(), return_when=asyncio.FIRST_COMPLETED)
        self._lose(_SESSION_LOST)


def _session_id(response: Answer) -> bytes:
    session = response.headers["mcp-session-id"].encode("utf-8", "surrogateescape")
    if len(session) > MAX_HEADER_VALUE:
        reason = f"gave a session id of more than {MAX_HEADER_VALUE // KIB} KiB"
        raise faults.failure(FaultKind.PROTOCOL, reason, may_have_run=True)
    return session
