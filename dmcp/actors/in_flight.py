"""The requests that are in flight on one connection: sent, answered, timed out, cancelled, or kept to be sent again.

Part of a connection. Each request of a client is answered exactly once, here or over the next connection: one that
waits for another look at the tools, or for a ping, has not been sent and is not lost with the link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages import catalog, frontend
from dmcp.messages.upstream import Submit
from dmcp.protocol import categories, jsonrpc, server_requests, tools, upstream_errors
from dmcp.protocol.eras import handshake
from dmcp.protocol.limits import CALL_TIME_FACTOR, MAX_QUESTION, MAX_SUBSCRIPTIONS, MAX_URI
from dmcp.protocol.link import FaultKind
from dmcp.protocol.operations import (
    CallTool,
    Cancelled,
    Error,
    Ping,
    Result,
    Subscribe,
    Unsubscribe,
    is_repeatable,
    timeout_of,
)
from dmcp.protocol.pending import SentRequests

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable, Iterator

    from dmcp.actors.connection import Connection
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import LinkFault
    from dmcp.protocol.listing import Collector
    from dmcp.protocol.operations import Operation, Outcome
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.subscriptions import Subscriptions

PING_TIMEOUT: Final = 10.0
"""Seconds a silent server gets to answer a ping before it counts as hung."""

MAX_BACKLOG: Final = 64 * 1024 * 1024
"""Bytes a server may leave unread before it is sent no more requests."""

NO_CALL: Final = 0
"""The number of no request: what came on the stream of one of dmcp's own."""

_LEARNED = 1000  # resources of one result that are remembered to be the server's
_CONNECTION: Final = frozenset({FaultKind.SESSION_LOST, FaultKind.UNREACHABLE})  # not the request is at fault


class InternalRequest(Struct, frozen=True):
    """A request dmcp makes for itself; ``purpose`` says what its answer is for."""

    purpose: str
    collector: Collector | None = None


Pending: TypeAlias = Submit | InternalRequest


class InFlight:
    """The requests of one connection.

    Args:
        connection: they are sent over; it handles the answers to dmcp's own.
        subscriptions: of the clients; kept by what the server confirms.
        catalog_: is told of resources that results name.
        clock: seconds of a monotonic clock.

    Attributes:
        sent: what the server has been sent and not answered.
        draining: whether the connection ends with the last of them.
        unreachable: why the server cannot be reached any more; what is in flight may still be answered.
    """

    __slots__ = (
        "_awaiting_ping",
        "_awaiting_refresh",
        "_catalog",
        "_clock",
        "_connection",
        "_deadline",
        "_deadline_at",
        "_group",
        "_session_lost",
        "_subscriptions",
        "draining",
        "sent",
        "unreachable",
    )

    def __init__(
        self,
        connection: Connection,
        subscriptions: Subscriptions,
        catalog_: Address,
        clock: Callable[[], float],
    ) -> None:
        self.sent: SentRequests[Pending] = SentRequests()
        self.draining = False
        self.unreachable = ""
        self._connection = connection
        self._group = connection.config.name
        self._subscriptions = subscriptions
        self._catalog = catalog_
        self._clock = clock
        self._deadline: TimerHandle | None = None
        self._deadline_at = 0.0
        self._session_lost = False
        # Calls that wait for another look at the listing: they have not been sent.
        self._awaiting_refresh: list[Submit] = []
        # Calls the link failed: sent again as soon as the server answers a ping, or over the next connection.
        self._awaiting_ping: list[Submit] = []

    def __repr__(self) -> str:
        return f"<InFlight {self.sent!r} awaiting {len(self._awaiting_refresh)}+{len(self._awaiting_ping)}>"

    @property
    def load(self) -> int:
        """Requests that are in flight, or wait for the listing or for a ping."""
        return len(self.sent.open) + len(self._awaiting_refresh) + len(self._awaiting_ping)

    @property
    def has_calls(self) -> bool:
        """Return whether a request of a client is in flight."""
        return next(self._calls(), None) is not None

    @property
    def is_wanted(self) -> bool:
        """Return whether a request of a client is in flight, or waits for the listing or for a ping."""
        return bool(self._awaiting_refresh or self._awaiting_ping) or self.has_calls

    def _calls(self) -> Iterator[tuple[int, Submit]]:
        return ((number, pending) for number, pending in self.sent.all() if isinstance(pending, Submit))

    # Sending ------------------------------------------------------------------------------------------------------

    def run(self, internal: InternalRequest, operation: Operation, timeout: float | None = None) -> None:
        """Make a request of dmcp's own."""
        connection = self._connection
        seconds = timeout_of(operation, connection.config.timeout) if timeout is None else timeout
        number = self.sent.add(internal, seconds, self._clock())
        if connection.link is not None:
            connection.link.send(handshake.request(number, operation), number)
        self._arm()

    def subscribe(self, uri: str) -> None:
        """Subscribe to a resource on behalf of clients that are subscribed already."""
        self.run(InternalRequest("subscribe"), Subscribe(uri))

    def submit(self, request: Submit, *, rechecked: bool = False) -> None:
        """Send a call, or answer it here, or keep it for the next connection: the server was just found to be gone.

        Args:
            request: the call.
            rechecked: whether its tool was not known, and the listing has been fetched again since.
        """
        connection, operation = self._connection, request.operation
        link, config = connection.link, connection.config
        if self.unreachable:
            self._awaiting_ping.append(request)
            return
        if isinstance(operation, CallTool):
            seconds, name = config.timeout.tools, operation.name
            if name not in connection.listings.open_tools and not self._check_tool(
                request, name, rechecked=rechecked
            ):
                return
        elif isinstance(operation, Subscribe | Unsubscribe) and self._settle_subscription(request, operation):
            return
        else:
            seconds = timeout_of(operation, config.timeout)
        if link is None or link.backlog > MAX_BACKLOG:
            reason = "it does not read what it is sent"
            self._fail(request, upstream_errors.unavailable(self._group, reason, operation))
            return
        now = self._clock()
        number = self.sent.add(request, seconds, now, config.limits.call_time or CALL_TIME_FACTOR * seconds)
        context = request.context
        try:
            frame = handshake.request(
                number, operation, wants_progress=context.wants_progress, meta=context.meta
            )
        except ValueError as error:  # the client's doing: it must not cost the others their connection
            self.sent.pop(number)
            self._fail(request, upstream_errors.unsendable(self._group, str(error)))
            return
        link.send(frame, number)
        if self._deadline is None or now + seconds < self._deadline_at:
            self._arm()

    def _settle_subscription(self, request: Submit, operation: Subscribe | Unsubscribe) -> bool:
        """Answer what concerns one client only; the server is asked at the first who subscribes and at the last."""
        known, client, uri = self._subscriptions, request.call.client, operation.uri
        subscribes = isinstance(operation, Subscribe)
        if known.others(client, uri):
            (known.add if subscribes else known.discard)(client, uri)
            self._reply(request, Result(b"{}"))
            return True
        if not subscribes or uri in known:
            return False
        if len({*known, *self.subscribing()}) < MAX_SUBSCRIPTIONS and len(uri) <= MAX_URI:
            return False
        self._fail(request, upstream_errors.too_many_subscriptions(self._group, MAX_SUBSCRIPTIONS, MAX_URI))
        return True

    def _check_tool(self, request: Submit, name: str, *, rechecked: bool) -> bool:
        listings, selection = self._connection.listings, self._connection.config.tools
        known = listings.tool_index.knows(name)
        if tools.is_selected(selection, name) and (known or not rechecked):
            if known:
                return True
            # The server may have got the tool since it was asked: look once more before refusing.
            self._awaiting_refresh.append(request)
            listings.fetch("tools")
            return False
        unknown = listings.tool_index.unknown_tool_result(name, selection, self._group)
        self._reply(request, Result(unknown))
        return False

    def on_tools_listed(self) -> None:
        """Send, or refuse, the calls of tools that were not known: the listing has come, or will not."""
        requests, self._awaiting_refresh = self._awaiting_refresh, []
        for request in requests:
            self.submit(request, rechecked=True)

    def _reply(self, request: Submit, outcome: Outcome) -> None:
        post(request.context.reply_to, frontend.Settled(request.call, outcome))

    def _fail(self, request: Submit, error: jsonrpc.Body) -> None:
        self._reply(request, Error(error))

    # Answers ------------------------------------------------------------------------------------------------------

    def on_answer(self, answer: jsonrpc.Response) -> None:
        """Take the server's answer to a request."""
        number = jsonrpc.own_number(answer.id) or NO_CALL
        pending = self.sent.pop(number)
        if isinstance(pending, Submit):
            connection = self._connection
            if connection.notifications.late_progress or connection.server_requests.pending:
                self._before_reply(number)
            self._on_outcome(pending, answer)
            if self.unreachable or self.draining:
                self.end_if_idle()
        elif pending is not None:
            self._connection.on_internal_done(pending, answer)
        else:
            log.debug("sent an answer to what nobody has asked", self._group)

    def on_unreadable_answer(self, answer: jsonrpc.Malformed) -> bool:
        """Fail a request whose answer cannot be read; returns whether there was one of this number."""
        number = jsonrpc.own_number(answer.id) or NO_CALL
        pending = self.sent.pop(number)
        if isinstance(pending, Submit):
            self._before_reply(number)
            self._fail(pending, upstream_errors.unreadable_response(self._group, answer.message))
            self._on_call_done()
        elif pending is not None:
            error = jsonrpc.error_object(answer.code, answer.message)
            self._connection.on_internal_done(pending, jsonrpc.Response(answer.id, None, error))
        return pending is not None

    def _before_reply(self, number: int) -> None:
        self._connection.notifications.landed(number)
        self._connection.server_requests.call_landed(number)

    def _on_outcome(self, request: Submit, answer: jsonrpc.Response) -> None:
        result, operation = answer.result, request.operation
        if answer.error is not None:
            self._fail(request, self._error_of(answer, answer.error, request.call.client))
        elif result is None or result[:1] != b"{":  # a client would stumble over it (MCP: schema, Result)
            error = upstream_errors.unreadable_response(self._group, "the result must be an object")
            self._fail(request, error)
        else:
            self._reply(request, Result(result))
            if isinstance(operation, CallTool):
                # Looking through a large result costs as much as all the rest of its way.
                if "resources" in self._connection.session.capabilities:
                    self._learn_resources(answer)
            elif isinstance(operation, Subscribe):
                self._subscriptions.add(request.call.client, operation.uri)
            elif isinstance(operation, Unsubscribe) and not self._subscriptions.discard(
                request.call.client, operation.uri
            ):
                self.subscribe(operation.uri)  # another client came meanwhile

    def _learn_resources(self, answer: jsonrpc.Response) -> None:
        uris = upstream_errors.resources_named(answer)
        if uris:
            post(self._catalog, catalog.ResourcesSeen(self._group, uris[:_LEARNED]))

    def _error_of(self, answer: jsonrpc.Response, error: jsonrpc.Body, client: int) -> jsonrpc.Body:
        """Return the error of a call as the client gets it."""
        if upstream_errors.error_code(answer) != server_requests.URL_NEEDED:
            return upstream_errors.name_group(self._group, answer)
        # A larger one is not looked through for addresses, so it does not pass either.
        value = answer.value if len(error) <= MAX_QUESTION else None
        if isinstance(value, dict) and not server_requests.names_addresses(value):
            return upstream_errors.name_group(self._group, answer)
        error, identifiers = server_requests.url_error(self._group, value)
        for identifier in identifiers:
            self._connection.server_requests.expect_completion(identifier, client)
        return error

    def on_progress(self, number: int, figures: JsonObject, size: int) -> None:
        """Pass on how far a call is, if its client wants to know, and give it its time anew."""
        pending = self.sent.get(number)
        if isinstance(pending, Submit) and pending.context.wants_progress:
            self.sent.extend(number, self._clock())
            self._connection.notifications.progress(number, pending, figures, size)

    # Which calls there are ----------------------------------------------------------------------------------------

    def subscribing(self, client: int | None = None) -> set[str]:
        """Return the resources whose subscription is in flight, of one client or of all."""
        return {
            pending.operation.uri
            for _, pending in self._calls()
            if isinstance(pending.operation, Subscribe) and client in (None, pending.call.client)
        }

    def call_id(self, number: int) -> CallId | None:
        """Return the name of a call in flight; ``None`` for a request of dmcp's own."""
        pending = self.sent.get(number)
        return pending.call if isinstance(pending, Submit) else None

    def oldest_call(self) -> int | None:
        """Return the number of the clients' oldest request in flight."""
        return next((number for number, _ in self._calls()), None)

    def calling(self) -> set[int]:
        """Return the clients that have calls in flight."""
        return {pending.call.client for _, pending in self._calls()}

    def calls_of(self, client: int) -> list[CallId]:
        """Return the calls of a client that are in flight, or wait for the listing or for a ping."""
        requests = (*(one for _, one in self._calls()), *self._awaiting_refresh, *self._awaiting_ping)
        return [request.call for request in requests if request.call.client == client]

    # Time ---------------------------------------------------------------------------------------------------------

    def pause_call(self, number: int) -> None:
        """Stop the clock of a call: a person is answering what its server asks."""
        self.sent.pause(number, self._clock())

    def resume_call(self, number: int) -> None:
        """Let the clock of a call run on."""
        self.sent.resume(number, self._clock())
        self._arm()

    def set_held(self, held: bool) -> None:
        """Stop the clocks of all, or let them run on: nothing is read from the server meanwhile."""
        if held:
            self.sent.hold(self._clock())
        else:
            self.sent.release(self._clock())
            self._arm()

    def _arm(self) -> None:
        """Set the timer for the next deadline, if it is sooner than what the timer is set to."""
        now = self._clock()
        due = self.sent.next_due(now)
        if due is not None and (self._deadline is None or now + due < self._deadline_at):
            self._connection.cancel_timer(self._deadline)
            self._deadline, self._deadline_at = self._connection.start_timer(due, "deadline"), now + due

    def on_deadline(self) -> None:
        """Deadlines have passed: answer those calls, and find out whether the server is still alive."""
        self._deadline = None
        connection, now, hangs = self._connection, self._clock(), False
        for number, pending in self.sent.overrun(now):
            if isinstance(pending, Submit):
                operation = pending.operation
                seconds = timeout_of(operation, connection.config.timeout)
                longest = connection.config.limits.call_time or CALL_TIME_FACTOR * seconds
                error = upstream_errors.call_time_exceeded(self._group, operation, longest)
                self._time_out(number, pending, error)
        for number, pending in self.sent.due(now):
            if isinstance(pending, Submit):
                operation = pending.operation
                seconds = timeout_of(operation, connection.config.timeout)
                error = upstream_errors.timed_out(self._group, operation, seconds, connection.startup.sign_in)
                self._time_out(number, pending, error)
                if now - connection.last_activity >= seconds:
                    self._ping()
            elif pending.purpose == "ping":
                hangs = True  # not before the others that are due have their answer
            elif pending.collector is not None:
                connection.listings.fail(pending.collector, "timed out")
        if hangs:
            reason = f"hangs: silent, and no answer to ping within {PING_TIMEOUT:g} s"
            connection.fail(FaultKind.EXITED, reason, categories.HANGS)
        elif connection.link is not None:  # else it has been closed because of these
            self._arm()

    def _time_out(self, number: int, request: Submit, error: bytes) -> None:
        self._fail(request, error)
        self._send_cancelled(number, "timed out")
        self._on_call_done()

    # Cancelling ---------------------------------------------------------------------------------------------------

    def cancel(self, call: CallId, reason: str) -> None:
        """Forget a call, and tell the server that its client no longer wants it."""
        self._awaiting_refresh = [request for request in self._awaiting_refresh if request.call != call]
        self._awaiting_ping = [request for request in self._awaiting_ping if request.call != call]
        for number, pending in self._calls():
            if pending.call == call:
                self.sent.pop(number)
                self._send_cancelled(number, reason)
        self._on_call_done()

    def _send_cancelled(self, number: int, reason: str) -> None:
        """Tell the server that nobody waits for this call any more, and the client likewise of what it has asked."""
        connection = self._connection
        connection.notifications.forget(number)
        connection.server_requests.call_ended(number, reason or "cancelled")
        connection.transmit(handshake.notification(Cancelled(number, reason)))
        if connection.link is not None:
            connection.link.abandon(number)

    # Failure ------------------------------------------------------------------------------------------------------

    def _ping(self) -> None:
        """Find out whether the server is alive, unless that is being done."""
        if not any(isinstance(one, InternalRequest) and one.purpose == "ping" for _, one in self.sent.all()):
            self.run(InternalRequest("ping"), Ping(), PING_TIMEOUT)

    def on_pong(self) -> None:
        """Send again, once, what only the link failed: the server is alive."""
        if not self._session_lost:  # else the link is about to close, and the next session asks
            again, self._awaiting_ping = self._awaiting_ping, []
            for request in again:
                self.submit(request._replace(repeated=True))

    def _on_ping_failed(self, fault: LinkFault) -> None:
        """End the connection of a server that is down, but not before what is in flight is answered."""
        if fault.kind is FaultKind.UNREACHABLE:
            self.unreachable = fault.reason
            self._on_call_done()
        else:
            self.on_pong()  # it answers, if only to refuse a ping

    def on_failed(self, number: int, fault: LinkFault) -> None:
        """Answer a request the link says gets no answer, or keep it to be sent again."""
        self._session_lost = self._session_lost or fault.kind is FaultKind.SESSION_LOST
        pending = self.sent.pop(number)
        if isinstance(pending, InternalRequest):
            if pending.purpose == "initialize":
                self._connection.fail(fault.kind, fault.reason, fault.category)
                return
            if pending.purpose == "ping":
                self._on_ping_failed(fault)
                return
            if pending.collector is not None:
                self._connection.listings.fail(pending.collector, fault.reason)
        if fault.kind is FaultKind.UNREACHABLE and pending is not None:
            self._ping()
        if isinstance(pending, Submit):
            may_have_run = fault.may_have_run or pending.may_have_run
            if fault.kind in _CONNECTION and self._may_repeat(pending, may_have_run=may_have_run):
                self._awaiting_ping.append(pending._replace(may_have_run=may_have_run))
            else:
                self._reply_lost(pending, log.mask(fault.reason), may_have_run=may_have_run)
            self._on_call_done()

    def _may_repeat(self, request: Submit, *, may_have_run: bool) -> bool:
        """Return whether a call may be sent once more."""
        if request.repeated:
            return False
        return not may_have_run or is_repeatable(
            request.operation, self._connection.listings.tool_index.tools
        )

    def _reply_lost(self, request: Submit, reason: str, *, may_have_run: bool) -> None:
        error = upstream_errors.connection_lost(
            self._group, reason, may_have_run=may_have_run, operation=request.operation
        )
        self._fail(request, error)

    def take_retryable(self, reason: str) -> list[Submit]:
        """Answer what may not be sent again, and take out what may: it has been sent, or was about to be.

        Args:
            reason: why the connection is lost.
        """
        retryable, self._awaiting_ping = self._awaiting_ping, []
        for number, pending in self.sent.all():
            self.sent.pop(number)
            if not isinstance(pending, Submit):
                continue
            if self._may_repeat(pending, may_have_run=True):
                retryable.append(pending._replace(may_have_run=True))
            else:
                self._reply_lost(pending, reason, may_have_run=True)
        self._connection.server_requests.withdraw_all(reason)
        retryable += self._awaiting_refresh
        self._awaiting_refresh = []
        return retryable

    def take_waiting(self) -> list[Submit]:
        """Take out the calls that are not in flight: they have not been sent, or wait for a ping."""
        waiting = self._awaiting_ping + self._awaiting_refresh
        self._awaiting_ping, self._awaiting_refresh = [], []
        return waiting

    def fail_all(self, reason: str) -> None:
        """Answer everything that is left, because nothing is sent any more."""
        for request in self.take_retryable(reason):
            self._fail(request, retry_expired(self._group, request, reason))

    def _on_call_done(self) -> None:
        """End a connection that is to end when no call is in flight any more."""
        # As after nearly every call: whether another one is in flight need not be known then.
        if self.unreachable or self.draining:
            self.end_if_idle()

    def end_if_idle(self) -> None:
        """End the connection, which is to end, if no call is in flight any more."""
        if self.has_calls:
            return
        if self.draining:
            self._connection.close_drained()
        else:
            self._connection.fail(FaultKind.UNREACHABLE, self.unreachable)


def retry_expired(group: str, request: Submit, reason: str) -> bytes:
    """Return the error of a call that waited in vain to be sent, or to be sent once more."""
    return upstream_errors.retry_expired(group, reason, request.operation, may_have_run=request.may_have_run)
