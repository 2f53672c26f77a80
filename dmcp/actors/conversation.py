"""What an upstream and its server say to each other over one link: requests, answers, notifications.

The part of the upstream actor that knows MCP's methods. It runs inside that actor, has no messages of its own, and
asks its ``Owner`` for everything that touches the link or the clock. When the connection begins and ends is the owner's
business (``dmcp.actors.upstream``).
"""

# Long because both directions of one session are read side by side; questions, listings, notifications are elsewhere.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from dmcp import log
from dmcp.actors.listings import Listings
from dmcp.actors.mailbox import LARGE_MESSAGE, SLOW_CLIENT, ReadGate
from dmcp.actors.notifications import Notifications
from dmcp.actors.questions import Questions
from dmcp.actors.runtime import post
from dmcp.errors import UpstreamError
from dmcp.messages import catalog, frontend
from dmcp.messages.upstream import Submit
from dmcp.protocol import categories, jsonrpc, listing, server_requests, tools, upstream_errors
from dmcp.protocol.eras import handshake
from dmcp.protocol.eras.handshake import ClientSession
from dmcp.protocol.flights import FlightTable
from dmcp.protocol.limits import (
    BATCH_PORTION,
    CALL_TIME_FACTOR,
    MAX_AT_ONCE,
    MAX_NOTIFICATION,
    MAX_QUESTION,
    MAX_SUBSCRIPTIONS,
    MAX_UNREAD_ANSWERS,
    MAX_URI,
    MAX_VALUES,
    MIB,
)
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.operations import (
    CallTool,
    Cancelled,
    ClientProfile,
    ElicitationCompleted,
    Error,
    Initialized,
    ListChanged,
    ListItems,
    LogMessage,
    Ping,
    Progress,
    ResourceUpdated,
    Result,
    Subscribe,
    Unsubscribe,
    is_repeatable,
    timeout_of,
)
from dmcp.protocol.subscriptions import Subscriptions
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable, Iterator, Sequence

    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Peers
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import Link
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.operations import Operation
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.scan import Steps
    from dmcp.protocol.upstream_errors import SignIn

PING_PATIENCE: Final = 10.0
"""Seconds a silent server gets to answer a ping before it counts as hung."""

MAX_BACKLOG: Final = 64 * 1024 * 1024
"""Bytes a server may leave unread before it is sent no more requests."""

_LEARNED = 1000  # resources of one result that are remembered to be the server's
_DEPTH = 32  # parts of a path that are looked at for a subscription to what contains it
_NO_CALL = 0  # the number of no request: what came on the stream of one of dmcp's own
_CONNECTION: Final = frozenset({FaultKind.SESSION_LOST, FaultKind.UNREACHABLE})  # not the request is at fault
_LONG_WELCOME: Final = (
    f"answered initialize with more than dmcp reads ({MAX_AT_ONCE // MIB} MiB, {MAX_VALUES:,} values)"
)
_NEVER = 10.0**9  # seconds: the connect deadline decides about initialize, and it can be suspended


class Owner(Protocol):
    """What a conversation asks of the actor it runs in."""

    @property
    def actor_ref(self) -> Address:
        """The actor's address."""

    def later(self, seconds: float, message: object) -> TimerHandle:
        """See ``LoopActor.later``."""

    def cancel(self, timer: TimerHandle | None) -> None:
        """See ``LoopActor.cancel``."""

    def arm(self) -> None:
        """A deadline may be sooner than the timer knows."""

    def welcomed(self) -> None:
        """The handshake is done; ``notifications/initialized`` has been sent."""

    def listed(self) -> None:
        """A listing has come, or will not."""

    def landed(self) -> None:
        """A request is no longer in flight."""

    def found_alive(self) -> None:
        """The server has answered a ping."""

    def missed(self, fault: LinkFault) -> None:
        """A ping could not be asked."""

    def begin_slices(self, work: Steps[Any] | None, then: Callable[[Any], None]) -> None:
        """See ``Slices.begin``."""

    def lose(self, kind: FaultKind | None, reason: str, category: str = "") -> None:
        """The server is of no use any more. Without a category the fault's own is told."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A request dmcp makes for itself; ``purpose`` says what its answer is for."""

    purpose: str
    collector: listing.Collector | None = None


Cargo = Submit | Errand


class Conversation:
    """One MCP session with a server, over one link."""

    def __init__(
        self,
        config: ServerConfig,
        generation: int,
        *,
        owner: Owner,
        peers: Peers,
        clients: Clients[Address],
        clock: Callable[[], float],
    ) -> None:
        self.config = config
        self.link: Link | None = None
        self.session = ClientSession()
        self.flights: FlightTable[Cargo] = FlightTable()
        self.subscriptions = Subscriptions()
        self.sign_in: SignIn | None = None
        """The sign-in that is waited for."""
        self.heard = 0.0
        """When the server last said something, in seconds of the clock."""
        self._group = config.name
        self._generation = generation
        self._owner = owner
        self._peers = peers
        self._clock = clock
        self._doubtful: list[Submit] = []
        self._has_resources = False
        self._profile: ClientProfile | None = None
        self._refused = ""  # what it said to the first revision that it was asked for
        self.gate = ReadGate()
        self.questions = Questions(
            config, owner, clients=clients, transmit=self.transmit, calls=self, clock=clock
        )
        self.notifications = Notifications(config, owner, peers.catalog, clients, clock)
        self.listings = Listings(
            config,
            generation,
            owner=owner,
            address=peers.catalog,
            audit=peers.audit,
            session=self.session,
            ask=self._ask_for_page,
            on_fetched=self._on_fetched,
        )

    def __repr__(self) -> str:
        return f"<Conversation {self._group} {self.session!r} {self.flights!r}>"

    @property
    def load(self) -> int:
        """Requests of the client that are in flight, or wait for a look at the listing."""
        return len(self.flights) + len(self._doubtful)

    @property
    def is_carrying(self) -> bool:
        """Whether a request of the client is in flight."""
        return any(isinstance(cargo, Submit) for _, cargo in self.flights.all())

    @property
    def is_wanted(self) -> bool:
        """Whether a request of the client is in flight, or waits for a look at the listing."""
        return self.is_carrying or bool(self._doubtful)

    # Sending ------------------------------------------------------------------------------------------------------

    def transmit(self, frame: bytes) -> None:
        """Send something that expects no answer; not to a server that asks and asks and reads nothing."""
        if self.link is not None and self.link.backlog <= MAX_UNREAD_ANSWERS:
            self.link.send(frame)

    def run(self, errand: Errand, operation: Operation, patience: float | None = None) -> None:
        """Make a request of dmcp's own."""
        seconds = timeout_of(operation, self.config.timeout) if patience is None else patience
        number = self.flights.launch(errand, seconds, self._clock())
        if self.link is not None:
            self.link.send(handshake.request(number, operation), number)
        self._owner.arm()

    def greet(self, profile: ClientProfile, revision: str = handshake.LATEST) -> None:
        """Begin the handshake."""
        self._profile = profile
        withheld = server_requests.switched_off(self.config.features)
        number = self.flights.launch(Errand("initialize"), _NEVER, self._clock())
        if self.link is not None:
            self.link.send(self.session.initialize(number, profile, withheld, revision), number)
        self._owner.arm()

    def _on_refused(self, answer: jsonrpc.Response, failure: str) -> None:
        """Ask once more with another revision where that is what the server refuses; else it is of no use."""
        self._refused = self._refused or failure
        error = answer.value if isinstance(answer.value, dict) else {}
        said = bytes((answer.error or b"")[:MAX_QUESTION]).decode("utf-8", "replace")
        revision = handshake.next_offer(self.session.offered, error.get("code"), said)
        if revision is None or self._profile is None:
            self._owner.lose(None, f"refused to initialize: {self._refused}")
        else:
            log.debug(
                f"refused protocol {self.session.offered[-1]}, asking for {revision}: {failure}", self._group
            )
            self.greet(self._profile, revision)

    def send(self, request: Submit, *, doubted: bool = False) -> None:
        """Send a request of the client, or answer it here."""
        operation = request.operation
        if isinstance(operation, CallTool) and not self._passes(request, operation.name, doubted=doubted):
            return
        link = self.link
        if link is None or link.backlog > MAX_BACKLOG:
            self.reply(
                request,
                error=upstream_errors.unavailable(self._group, "it does not read what it is sent", operation),
            )
            return
        if isinstance(operation, Subscribe | Unsubscribe) and self._is_subscription_settled(
            request, operation
        ):
            return
        seconds = timeout_of(operation, self.config.timeout)
        number = self.flights.launch(request, seconds, self._clock(), self._longest(seconds))
        context = request.context
        try:
            frame = handshake.request(
                number, operation, wants_progress=context.wants_progress, meta=context.meta
            )
        except ValueError as error:  # the client's doing: it must not cost the others their connection
            self.flights.land(number)
            self.reply(request, error=upstream_errors.unsendable(self._group, str(error)))
            return
        link.send(frame, number)
        self._owner.arm()

    def _longest(self, seconds: float) -> float:
        """Return how long a call of this timeout may take whatever progress it shows."""
        return self.config.limits.call_time or CALL_TIME_FACTOR * seconds

    def _is_subscription_settled(self, request: Submit, operation: Subscribe | Unsubscribe) -> bool:
        """Answer what concerns one client only; the server is asked at the first who subscribes and at the last."""
        client, uri, subscribes = request.call.client, operation.uri, isinstance(operation, Subscribe)
        if self.subscriptions.others(client, uri):
            change = self.subscriptions.add if subscribes else self.subscriptions.discard
            change(client, uri)
            self.reply(request, result=b"{}")
            return True
        if not subscribes or uri in self.subscriptions:
            return False
        if len({*self.subscriptions, *self.subscribing()}) < MAX_SUBSCRIPTIONS and len(uri) <= MAX_URI:
            return False
        self.reply(
            request, error=upstream_errors.too_many_subscriptions(self._group, MAX_SUBSCRIPTIONS, MAX_URI)
        )
        return True

    def _passes(self, request: Submit, name: str, *, doubted: bool) -> bool:
        known = self.listings.tool_index.knows(name)
        if tools.is_selected(self.config.tools, name) and (known or not doubted):
            if known:
                return True
            # The server may have got the tool since it was asked: look once more before refusing.
            self._doubtful.append(request)
            self.listings.fetch("tools")
            return False
        self.reply(
            request, result=self.listings.tool_index.unknown_tool_result(name, self.config.tools, self._group)
        )
        return False

    def reply(
        self, request: Submit, *, result: jsonrpc.Body | None = None, error: jsonrpc.Body | None = None
    ) -> None:
        """Answer a request of the client."""
        outcome = Error(error) if error is not None else Result(result or b"{}")
        post(request.context.reply_to, frontend.Settled(request.call, outcome))

    def cancel(self, call: CallId, reason: str) -> None:
        """The client no longer wants this request."""
        self._doubtful = [request for request in self._doubtful if request.call != call]
        for number, cargo in self.flights.all():
            if isinstance(cargo, Submit) and cargo.call == call:
                self.flights.land(number)
                self._give_up(number, reason)

    def _give_up(self, number: int, reason: str) -> None:
        """Tell the server that nobody waits for this call any more, and the client likewise of what it has asked."""
        self.notifications.forget(number)
        self.questions.call_ended(number, reason or "cancelled")
        self.transmit(handshake.notification(Cancelled(number, reason)))
        if self.link is not None:
            self.link.abandon(number)

    def take_doubtful(self) -> list[Submit]:
        """Take back the requests that wait for a look at the listing: they have not been sent."""
        doubtful, self._doubtful = self._doubtful, []
        return doubtful

    def _ask_for_page(self, collector: listing.Collector, cursor: str | None) -> None:
        self.run(Errand("list", collector), ListItems(collector.kind, cursor))

    def _on_fetched(self, kind: Kind) -> None:
        if kind == "tools":
            for request in self.take_doubtful():
                self.send(request, doubted=True)
        self._owner.listed()

    # What the server says -----------------------------------------------------------------------------------------

    def on_frame(self, message: jsonrpc.Message, size: int, during: int | None = None) -> None:
        """Take one message of the server.

        Args:
            message: what it said.
            size: bytes of the frame it came in.
            during: the number of the request on whose stream it came, if the link knows.
        """
        self.heard = self._clock()
        match message:
            case jsonrpc.Response():
                self._on_answer(message)
            case jsonrpc.Notification(method, params):
                self._on_note(method, params, size)
            case jsonrpc.Request():
                self._on_call(message, size, during)
            case jsonrpc.Malformed():
                self._on_malformed(message)
            case jsonrpc.Batch(messages):
                self._on_batch(messages, size, during)

    def _on_batch(self, messages: Sequence[jsonrpc.Single], size: int, during: int | None) -> None:
        noise: list[jsonrpc.Malformed] = []
        rest: list[jsonrpc.Single] = []
        for single in messages:
            if isinstance(single, jsonrpc.Malformed) and jsonrpc.own_number(single.id) is None:
                noise.append(single)
            else:
                rest.append(single)
        if noise:  # one line, however many there are
            more = f", and {len(noise) - 1} more like it" if len(noise) > 1 else ""
            log.warning(f"sent something that is no message: {noise[0].message}{more}", self._group)
        self._handle_portion(rest, size, during)

    def _handle_portion(self, messages: Sequence[jsonrpc.Single], size: int, during: int | None) -> None:
        """Handle the first messages of a batch, and the rest when everybody else has had a turn."""
        for single in messages[:BATCH_PORTION]:
            self.on_frame(single, size, during)
        rest = messages[BATCH_PORTION:]
        if rest:
            self._owner.begin_slices(None, lambda _: self._handle_portion(rest, size, during))

    def _on_answer(self, answer: jsonrpc.Response) -> None:
        number = jsonrpc.own_number(answer.id) or _NO_CALL
        cargo = self.flights.land(number)
        match cargo:
            case Submit():
                self._landed(number)
                self._on_outcome(cargo, answer)
                self._owner.landed()
            case Errand():
                self._on_errand_done(cargo, answer)
            case None:
                log.debug("sent an answer to what nobody has asked", self._group)

    def _landed(self, number: int) -> None:
        self.notifications.landed(number)
        if self.questions.pending:
            self.questions.call_landed(number)

    def _on_outcome(self, request: Submit, answer: jsonrpc.Response) -> None:
        if answer.error is not None:
            self.reply(request, error=self._error_of(answer, answer.error, request.call.client))
            return
        if (
            answer.result is None or answer.result[:1] != b"{"
        ):  # a client would stumble over it (MCP: schema, Result)
            self.reply(
                request,
                error=upstream_errors.unreadable_response(self._group, "the result must be an object"),
            )
            return
        self.reply(request, result=answer.result)
        operation = request.operation
        if isinstance(operation, CallTool):
            # Looking through a large result costs as much as all the rest of its way.
            uris = upstream_errors.resources_named(answer)[:_LEARNED] if self._has_resources else ()
            if uris:
                post(self._peers.catalog, catalog.Learned(self._group, uris))
        elif isinstance(operation, Subscribe):
            self.subscriptions.add(request.call.client, operation.uri)
        elif isinstance(operation, Unsubscribe) and not self.subscriptions.discard(
            request.call.client, operation.uri
        ):
            self.run(Errand("subscribe"), Subscribe(operation.uri))  # another client came meanwhile

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
            self.questions.expect_completion(identifier, client)
        return error

    def _on_errand_done(self, errand: Errand, answer: jsonrpc.Response) -> None:
        failure = upstream_errors.error_text(answer) if answer.error is not None else ""
        if errand.purpose == "initialize":
            if failure:
                self._on_refused(answer, failure)
            else:
                self._on_welcome(answer)
        elif errand.collector is not None:
            self.listings.on_answer(errand.collector, answer)
        elif errand.purpose == "ping":  # an error is an answer: the server is alive
            self._owner.found_alive()
        elif failure:
            log.warning(f"{errand.purpose} failed: {failure}", self._group)

    def _on_welcome(self, answer: jsonrpc.Response) -> None:
        result = answer.value
        if result is None and answer.result != b"null":
            self._owner.lose(None, _LONG_WELCOME, categories.NO_MCP)
            return
        try:
            self.session.on_initialize_result(result)
        except UpstreamError as error:
            self._owner.lose(None, str(error), categories.NO_MCP)
            return
        self._has_resources = self.session.has("resources")
        self.transmit(handshake.notification(Initialized()))
        if self.link is not None:
            self.link.established(self.session.revision)
        self._owner.welcomed()

    def _on_malformed(self, message: jsonrpc.Malformed) -> None:
        number = jsonrpc.own_number(message.id) or _NO_CALL
        # A log line in JSON may have an id, and it may be that of a request: it answers none.
        cargo = None if message.is_foreign else self.flights.land(number)
        if isinstance(cargo, Submit):
            self._landed(number)
            self.reply(cargo, error=upstream_errors.unreadable_response(self._group, message.message))
            self._owner.landed()
        elif isinstance(cargo, Errand):
            error = jsonrpc.error_object(message.code, message.message)
            self._on_errand_done(cargo, jsonrpc.Response(message.id, None, error))
        else:
            log.warning(f"sent something that is no message: {message.message}", self._group)
            if message.is_request:
                error = jsonrpc.error_object(message.code, message.message)
                self.transmit(jsonrpc.failure(message.id, error))

    def _on_note(self, method: str, params: JsonObject, size: int) -> None:
        """Take a notification. What MCP does not define for servers, or is larger than dmcp passes on, is dropped."""
        if size > MAX_NOTIFICATION:
            self.notifications.drop()
            return
        match handshake.read_server_notification(method, params):
            case Progress(token, figures):
                self._on_progress(jsonrpc.own_number(token) or _NO_CALL, figures, size)
            case LogMessage() as news:
                self.notifications.message(news)
            case ResourceUpdated() as news:
                if self._is_subscribed(news.uri):
                    self.notifications.updated(news, size)
            case ElicitationCompleted() as news:
                self.questions.completed(news)
            case Cancelled(request, reason):
                self.questions.withdraw(request, reason)
            case ListChanged(kinds):
                self.listings.on_changed(*kinds)
            case None:
                log.debug(f"sent {printable(method, 100)}, which is no notification of a server", self._group)

    def _is_subscribed(self, uri: str) -> bool:
        """Return whether the client is subscribed to a resource, or is about to be, or to one that contains it.

        The server may tell of a part of what was subscribed to (MCP: notifications/resources/updated).
        """
        if uri in self.subscriptions:
            return True
        known = {*self.subscriptions, *self.subscribing()}  # the first update may be faster than the answer
        return bool(known) and any(whole in known for whole in _wholes(uri))

    def subscribing(self, client: int | None = None) -> set[str]:
        """Return the resources whose subscription is in flight, of one client or of all."""
        return {
            cargo.operation.uri
            for _, cargo in self.flights.all()
            if isinstance(cargo, Submit)
            and isinstance(cargo.operation, Subscribe)
            and client in (None, cargo.call.client)
        }

    def _on_progress(self, token: int, figures: JsonObject, size: int) -> None:
        cargo = self.flights.get(token)
        if isinstance(cargo, Submit) and cargo.context.wants_progress:
            self.flights.extend(token, self._clock())
            self.notifications.progress(token, cargo, figures, size)

    def _on_call(self, call: jsonrpc.Request, size: int, during: int | None) -> None:
        if call.method == "ping":
            self.transmit(jsonrpc.result(call.id, b"{}"))
            return
        if during is not None and not isinstance(self.flights.get(during), Submit):
            during = _NO_CALL
        self.questions.put(call, size, during)

    # See ``Calls``.

    def call_id(self, number: int) -> CallId | None:
        """Return the name of a call in flight; ``None`` for a request of dmcp's own."""
        cargo = self.flights.get(number)
        return cargo.call if isinstance(cargo, Submit) else None

    def oldest_call(self) -> int | None:
        """Return the number of the client's oldest request in flight."""
        return next((number for number, cargo in self.flights.all() if isinstance(cargo, Submit)), None)

    def calls_of(self, client: int) -> list[CallId]:
        """Return the calls of a client that are in flight, or wait for a look at the listing."""
        flying = [cargo.call for _, cargo in self.flights.all() if isinstance(cargo, Submit)]
        return [call for call in (*flying, *(r.call for r in self._doubtful)) if call.client == client]

    def calling(self) -> set[int]:
        """Return the clients that have calls in flight."""
        return {cargo.call.client for _, cargo in self.flights.all() if isinstance(cargo, Submit)}

    def pause_call(self, number: int) -> None:
        """Stop the clock of a call: a person is answering what its server asks."""
        self.flights.pause(number, self._clock())

    def resume_call(self, number: int) -> None:
        """Let the clock of a call run on."""
        self.flights.resume(number, self._clock())
        self._owner.arm()

    # Time ---------------------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether nothing is read from the server because the client does not keep up."""
        return SLOW_CLIENT in self.gate

    def take(self, link: Link) -> None:
        """The link is open."""
        self.link = link
        self.gate.attach(link)

    def pause_for_work(self, working: bool) -> None:
        """Stop reading while a large message is worked on, and go on after it."""
        (self.gate.close if working else self.gate.open)(LARGE_MESSAGE)

    def hold_back(self, hold: bool) -> None:
        """Stop or go on reading: the client does not keep up, and no deadline passes because of that."""
        (self.gate.close if hold else self.gate.open)(SLOW_CLIENT)
        if hold:
            self.flights.hold(self._clock())
        else:
            self.flights.release(self._clock())
            self._owner.arm()

    def expire(self) -> None:
        """Deadlines have passed: answer those calls, and find out whether the server is still alive."""
        now, hangs = self._clock(), False
        for number, cargo in self.flights.overrun(now):
            if isinstance(cargo, Submit):
                longest = self._longest(timeout_of(cargo.operation, self.config.timeout))
                self._time_out(
                    number, cargo, upstream_errors.call_time_exceeded(self._group, cargo.operation, longest)
                )
        for number, cargo in self.flights.due(now):
            if isinstance(cargo, Submit):
                seconds = timeout_of(cargo.operation, self.config.timeout)
                error = upstream_errors.timed_out(self._group, cargo.operation, seconds, self.sign_in)
                self._time_out(number, cargo, error)
                if now - self.heard >= seconds:
                    self._ask_for_life()
            elif cargo.purpose == "ping":
                hangs = True  # not before the others that are due have their answer
            elif cargo.collector is not None:
                self.listings.fail(cargo.collector, "timed out")
        if hangs:
            reason = f"hangs: silent, and no answer to ping within {PING_PATIENCE:g} s"
            self._owner.lose(FaultKind.EXITED, reason, categories.HANGS)
        else:
            self._owner.arm()

    def _time_out(self, number: int, request: Submit, error: bytes) -> None:
        self.reply(request, error=error)
        self._give_up(number, "timed out")
        self._owner.landed()

    def _ask_for_life(self) -> None:
        if not any(isinstance(cargo, Errand) and cargo.purpose == "ping" for _, cargo in self.flights.all()):
            self.run(Errand("ping"), Ping(), PING_PATIENCE)

    # Failure ------------------------------------------------------------------------------------------------------

    def may_repeat(self, request: Submit, *, may_have_run: bool) -> bool:
        """Whether a request may be sent to the next generation."""
        if request.repeated:
            return False
        return not may_have_run or is_repeatable(request.operation, self.listings.tool_index.tools)

    def on_failed(self, number: int, fault: LinkFault) -> Submit | None:
        """The link says that a request gets no answer. Returns it if it is to be asked again."""
        cargo = self.flights.land(number)
        if isinstance(cargo, Errand):
            if cargo.purpose == "initialize":
                self._owner.lose(fault.kind, fault.reason, fault.category)
            elif cargo.purpose == "ping":
                self._owner.missed(fault)
                return None
            elif cargo.collector is not None:
                self.listings.fail(cargo.collector, fault.reason)
        if fault.kind is FaultKind.UNREACHABLE and cargo is not None:
            self._ask_for_life()
        if isinstance(cargo, Submit):
            may_have_run = fault.may_have_run or cargo.may_have_run
            if fault.kind in _CONNECTION and self.may_repeat(cargo, may_have_run=may_have_run):
                return cargo._replace(may_have_run=may_have_run)
            reason = log.mask(fault.reason)
            self.reply(
                cargo,
                error=upstream_errors.connection_lost(
                    self._group, reason, may_have_run=may_have_run, operation=cargo.operation
                ),
            )
            self._owner.landed()
        return None

    def break_off(self, reason: str) -> list[Submit]:
        """The link is gone: answer what cannot be repeated, and return what can."""
        repeat = []
        for number, cargo in self.flights.all():
            self.flights.land(number)
            if not isinstance(cargo, Submit):
                continue
            if self.may_repeat(cargo, may_have_run=True):
                repeat.append(cargo._replace(may_have_run=True))
            else:
                self.reply(
                    cargo,
                    error=upstream_errors.connection_lost(
                        self._group, reason, may_have_run=True, operation=cargo.operation
                    ),
                )
        self.questions.withdraw_all(reason)
        return repeat + self.take_doubtful()


def _wholes(uri: str) -> Iterator[str]:
    """Yield the URI and those of what may contain it: up to each slash, and without its query and fragment."""
    yield uri
    end = min(len(uri), MAX_URI)
    for _ in range(_DEPTH):
        end = max(uri.rfind(mark, 0, end) for mark in "/#?")
        if end <= 0:
            return
        yield uri[:end]
        yield uri[: end + 1]
