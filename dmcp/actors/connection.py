"""One connection to a server, from opening its link to closing it: requests, answers, notifications, deadlines.

A plain object that runs inside the upstream actor that owns it (``dmcp.actors.upstream``). It has one link, one
session, its pending requests and the server's requests, and it ends with its link; what of its requests may be sent
once more goes back to its owner. It decides nothing about the next connection. Events of old ones have other numbers.
"""

# Long because both directions of one session are read side by side; its parts (start, listings, notifications,
# server requests) are elsewhere.

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from dmcp import log
from dmcp.actors.listings import Listings
from dmcp.actors.mailbox import LARGE_MESSAGE, SLOW_CLIENT, LinkMailbox, ReadGate
from dmcp.actors.notifications import Notifications
from dmcp.actors.runtime import Dispatcher, post
from dmcp.actors.server_requests import ServerRequests
from dmcp.actors.slices import Slices
from dmcp.actors.startup import Startup
from dmcp.config.model import StdioServer
from dmcp.errors import AuthError, CommandMissing, UpstreamError
from dmcp.messages import catalog, frontend
from dmcp.messages.upstream import LinkOpened, Submit, TimerFired
from dmcp.protocol import categories, jsonrpc, listing, server_requests, tools, upstream_errors
from dmcp.protocol.eras import handshake
from dmcp.protocol.eras.handshake import ClientSession
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
from dmcp.protocol.listing import KINDS
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
    SetLogLevel,
    Subscribe,
    Unsubscribe,
    is_repeatable,
    timeout_of,
)
from dmcp.protocol.pending import SentRequests
from dmcp.protocol.timing import Activity, ShowsActivity
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import Task, TimerHandle
    from collections.abc import Callable, Sequence

    from dmcp.actors.runtime import LoopActor, LoopInbox
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Peers
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import Link, OpenLink
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.operations import Operation
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.scan import Steps
    from dmcp.protocol.subscriptions import Subscriptions
    from dmcp.protocol.upstream_errors import SignIn

PING_TIMEOUT: Final = 10.0
"""Seconds a silent server gets to answer a ping before it counts as hung."""

CLOSE_GRACE: Final = 1.0
"""Seconds a server gets to end after its input closes, and again after SIGTERM."""

MAX_BACKLOG: Final = 64 * 1024 * 1024
"""Bytes a server may leave unread before it is sent no more requests."""

_LEARNED = 1000  # resources of one result that are remembered to be the server's
_NOISE = 200  # bytes of what it wrote that is no message that are worth a look
_TAIL = 5  # lines of its stderr that are told with a lost connection
_NO_CALL = 0  # the number of no request: what came on the stream of one of dmcp's own
_CONNECTION: Final = frozenset({FaultKind.SESSION_LOST, FaultKind.UNREACHABLE})  # not the request is at fault
_LONG_RESULT: Final = (
    f"answered initialize with more than dmcp reads ({MAX_AT_ONCE // MIB} MiB, {MAX_VALUES:,} values)"
)
_NEVER = 10.0**9  # seconds: the connect deadline decides about initialize, and it can be suspended


class ConnectionKey(NamedTuple):
    """Whom a connection is for: one client, or (``None``) all clients of the server together."""

    client: int | None = None


SHARED: Final = ConnectionKey()
"""The connection all clients share: today there is no other."""


class State(Enum):
    """Where between its opening and its end a connection is."""

    OPENING = auto()
    OPEN = auto()
    INITIALIZING = auto()
    LISTING = auto()
    READY = auto()
    DRAINING = auto()
    CLOSED = auto()


_CONNECTING: Final = frozenset({State.OPENING, State.INITIALIZING, State.LISTING})
"""The states the connect deadline covers."""


class Loss(NamedTuple):
    """Why a connection is of no use any more.

    Attributes:
        kind: what happened, ``None`` when the server answered but could not be initialized.
        reason: in words, masked, with what the server wrote before.
        category: see ``dmcp.protocol.categories``.
        stderr: the last lines the server wrote there.
        was_ready: whether it had been ready.
    """

    kind: FaultKind | None
    reason: str
    category: str
    stderr: tuple[str, ...]
    was_ready: bool


class ConnectionEvents(Protocol):
    """What a connection tells the upstream that owns it, from inside a message's handler."""

    def on_ready(self, connection: Connection) -> None:
        """Take note that it is initialized, and its listings are known."""

    def on_slow_start(self, connection: Connection, reason: str) -> None:
        """Take note that its server needs longer, and works on it."""

    def on_lost(self, connection: Connection, loss: Loss) -> None:
        """Take what may be sent again (``take_retryable``), and close it: it is of no use any more."""

    def on_closed(self, connection: Connection) -> None:
        """Take note that nothing is left of it: it was being drained or closed."""

    def is_in_use(self, connection: Connection) -> bool:
        """Return whether a client waits for something of it (see ``LinkEvents``)."""


@dataclass(frozen=True, slots=True)
class InternalRequest:
    """A request dmcp makes for itself; ``purpose`` says what its answer is for."""

    purpose: str
    collector: listing.Collector | None = None


Pending: TypeAlias = Submit | InternalRequest


class Connection:
    """One connection.

    Args:
        number: unique in the process; later connections have larger ones.
        config: of the server.
        actor: the upstream actor: its tasks and timers are used.
        events: the same, told what becomes of the connection.
        peers: the actors that are told of listings.
        clients: of the server.
        subscriptions: of the clients; kept by what the server confirms.
        clock: seconds of a monotonic clock.
        key: whom it is for.

    Attributes:
        config: of the server; changed by ``reconfigure``.
        sign_in: the sign-in that is waited for; changed by ``set_sign_in``.
        last_activity: when the server last said something, in seconds of the clock.
        unreachable: why the server cannot be reached any more; what is in flight may still be answered.
    """

    def __init__(
        self,
        number: int,
        config: ServerConfig,
        *,
        actor: LoopActor,
        events: ConnectionEvents,
        peers: Peers,
        clients: Clients[Address],
        subscriptions: Subscriptions,
        clock: Callable[[], float],
        key: ConnectionKey = SHARED,
    ) -> None:
        self.number = number
        self.key = key
        self.config = config
        self.state = State.OPENING
        self.session = ClientSession()
        self.pending: SentRequests[Pending] = SentRequests()
        self.sign_in: SignIn | None = None
        self.last_activity = 0.0
        self.unreachable = ""
        self.link: Link | None = None
        self.gate = ReadGate()
        self._group = config.name
        self._actor = actor
        self._events = events
        self._peers = peers
        self._clients = clients
        self._subscriptions = subscriptions
        self._clock = clock
        self._timers: set[TimerHandle] = set()
        self._deadline: TimerHandle | None = None
        self._deadline_at = 0.0
        self._opening: Task[Link] | None = None
        self._closed_while_opening: LinkFault | None = None
        self._session_lost = False
        # Calls that wait for another look at the listing: they have not been sent.
        self._awaiting_refresh: list[Submit] = []
        # Calls the link failed: sent again as soon as the server answers a ping, or over the next connection.
        self._awaiting_ping: list[Submit] = []
        self._has_resources = False
        self._profile: ClientProfile | None = None
        self._refused = ""  # what it said to the first revision that it was asked for
        self._level_sent: str | None = None
        self.slices = Slices(actor, self._pause_for_work, number)
        self.startup = Startup(config, self, clock)
        self.server_requests = ServerRequests(config, self, actor.actor_ref, clients=clients, clock=clock)
        self.notifications = Notifications(config, self, peers.catalog, clients, clock)
        self.listings = Listings(
            config,
            number,
            owner=self,
            address=peers.catalog,
            audit=peers.audit,
            session=self.session,
            ask=self._ask_for_page,
            on_fetched=self._on_fetched,
        )

    def __repr__(self) -> str:
        return f"<Connection {self._group}#{self.number} {self.state.name} {self.session!r} {self.pending!r}>"

    @property
    def load(self) -> int:
        """Requests that are in flight, or wait for the listing or for a ping."""
        return len(self.pending) + len(self._awaiting_refresh) + len(self._awaiting_ping)

    @property
    def has_client_requests(self) -> bool:
        """Return whether a request of a client is in flight."""
        return any(isinstance(pending, Submit) for _, pending in self.pending.all())

    @property
    def is_wanted(self) -> bool:
        """Return whether a request of a client is in flight, or waits for the listing or for a ping."""
        return bool(self._awaiting_refresh or self._awaiting_ping) or self.has_client_requests

    # Timers and large messages ------------------------------------------------------------------------------------

    def start_timer(self, seconds: float, timer: object) -> TimerHandle:
        """See ``Timers``."""
        return self._actor.call_later(seconds, TimerFired(timer, self.number), self._timers)

    def cancel_timer(self, handle: TimerHandle | None) -> None:
        """See ``Timers``."""
        if handle is not None:
            self._timers.discard(handle)
            self._actor.cancel(handle)

    def on_timer(self, timer: Any) -> None:  # noqa: C901, PLR0912 - one line per timer
        """Handle one of the connection's timers."""
        match timer:
            case "deadline":
                self._deadline = None
                self._expire()
            case "connect" if self.state in _CONNECTING and self.sign_in is None:
                if self.is_paused or not self._measure("measured"):
                    self._on_start_timeout()
            case "look" if self.state in _CONNECTING:
                self._measure("first look")
            case ("first look", Activity() as activity):
                self.startup.measured(activity)
            case ("measured", activity):
                self._on_measured(activity)
            case "grace":
                self._close_drained()
            case "closed":
                self._events.on_closed(self)
            case ("server request", bytes() as identifier):
                self.server_requests.expire(identifier)
            case "notifications":
                self.notifications.flush()
            case "dropped":
                self.notifications.tell_dropped()
            case ("failed listing", kind):
                self.listings.fetch_failed(kind)
            case ("listing", kind):
                self.listings.refetch(kind)

    def begin_slices(self, work: Steps[Any] | None, then: Callable[[Any], None]) -> None:
        """See ``Slices.begin``."""
        self.slices.begin(work, then)

    # Opening ------------------------------------------------------------------------------------------------------

    def open(self, open_link: OpenLink, inbox: LoopInbox) -> None:
        """Begin to open the link; ``LinkOpened`` says how that ended."""
        self.startup.expect("start", spawns=isinstance(self.config.target, StdioServer))
        mailbox = LinkMailbox(
            self._actor.actor_ref,
            self.number,
            self._group,
            lambda: self._events.is_in_use(self),
            inbox=inbox,
            gate=self.gate,
        )

        async def opening() -> Link:
            link = await open_link(mailbox)
            self.gate.attach(link)  # before its frames are handled: there may be many
            return link

        number = self.number
        self._opening = self._actor.spawn(opening(), lambda done: LinkOpened(number, done.value, done.error))

    def on_opened(self, link: Link | None, error: BaseException | None) -> None:
        """Take the link, or the reason why there is none."""
        if link is None:
            reason = str(error) or type(error).__name__
            if isinstance(error, AuthError):
                self.fail(FaultKind.UNAUTHORIZED, reason, error.category)
            elif isinstance(error, CommandMissing):
                self.fail(FaultKind.MISSING, reason)
            elif isinstance(self.config.target, StdioServer):
                self.fail(FaultKind.UNREACHABLE, reason, categories.NOT_STARTED)
            else:
                self.fail(FaultKind.UNREACHABLE, reason)
            return
        self.link = link
        self.gate.attach(link)
        fault = self._closed_while_opening
        if fault is not None:
            self.fail(fault.kind, fault.reason, fault.category)
            return
        self.startup.stop()
        self.state = State.OPEN
        self.initialize()

    def initialize(self) -> None:
        """Begin the handshake, when the link is open and there is a client to be shown."""
        profile = self._clients.profile
        if self.state is State.OPEN and profile is not None:
            self.state = State.INITIALIZING
            self.startup.expect("answer initialize")
            self._send_initialize(profile)

    def _send_initialize(self, profile: ClientProfile) -> None:
        self._profile = profile
        withheld = server_requests.switched_off(self.config.features)
        number = self.pending.add(InternalRequest("initialize"), _NEVER, self._clock())
        if self.link is not None:
            self.link.send(self.session.initialize(number, profile, withheld), number)
        self._arm()

    def _on_initialize_error(self, answer: jsonrpc.Response, failure: str) -> None:
        """Ask once more with another revision where that is what the server refuses; else it is of no use."""
        self._refused = self._refused or failure
        error = answer.value if isinstance(answer.value, dict) else {}
        said = bytes((answer.error or b"")[:MAX_QUESTION]).decode("utf-8", "replace")
        if self._profile is not None and self.session.offer_another(error.get("code"), said):
            refused, asked = self.session.offered[-2:]
            log.debug(f"refused protocol {refused}, asking for {asked}: {failure}", self._group)
            self._send_initialize(self._profile)
        else:
            self.fail(None, f"refused to initialize: {self._refused}")

    def _on_initialize_result(self, answer: jsonrpc.Response) -> None:
        result = answer.value
        if result is None and answer.result != b"null":
            self.fail(None, _LONG_RESULT, categories.NO_MCP)
            return
        try:
            self.session.on_initialize_result(result)
        except UpstreamError as error:
            self.fail(None, str(error), categories.NO_MCP)
            return
        self._has_resources = self.session.has("resources")
        self.transmit(handshake.notification(Initialized()))
        if self.link is not None:
            self.link.established(self.session.revision)
        self.state = State.LISTING
        self.startup.rename("list what it offers")
        for kind in self.listings.kinds():
            self.listings.fetch(kind)
        self._become_ready()

    def _become_ready(self) -> None:
        """With the last listing the connection is ready."""
        if self.state is not State.LISTING or self.listings.tool_index.fetching:
            return
        self.startup.stop()
        self.state = State.READY
        self.sign_in = None
        for kind in KINDS:
            if kind not in self.listings.kinds():
                self.listings.publish(kind, [], offered=False)
        self._events.on_ready(self)

    def set_sign_in(self, sign_in: SignIn | None) -> None:
        """Stop the time of the start while a user is asked to sign in, or let it run on."""
        self.sign_in = sign_in
        if sign_in is not None:
            self.startup.stop()
        elif self.state in _CONNECTING:
            self.startup.wait()

    def _measure(self, timer: str) -> bool:
        """Measure what the server does, if its link can tell; the result comes as a timer of this name."""
        link, number = self.link, self.number
        if not isinstance(link, ShowsActivity):
            return False
        self._actor.spawn(link.activity(), lambda done: TimerFired((timer, done.value), number))
        return True

    def _on_measured(self, activity: Activity | None) -> None:
        """Give a server more time to become ready that works on it; else give it up."""
        if self.state not in _CONNECTING or self.sign_in is not None:
            return
        reason = self.startup.extend(activity)
        if reason:
            self._events.on_slow_start(self, reason)
        else:
            self._on_start_timeout()

    def _on_start_timeout(self) -> None:
        if self.is_paused:  # it may have answered: dmcp is not listening
            self.startup.wait()
        else:
            self.fail(None, self.startup.timed_out(), categories.TOO_SLOW)

    # Sending ------------------------------------------------------------------------------------------------------

    def transmit(self, frame: bytes) -> None:
        """Send something that expects no answer; not to a server that asks and asks and reads nothing."""
        if self.link is not None and self.link.backlog <= MAX_UNREAD_ANSWERS:
            self.link.send(frame)

    def run(self, internal: InternalRequest, operation: Operation, timeout: float | None = None) -> None:
        """Make a request of dmcp's own."""
        seconds = timeout_of(operation, self.config.timeout) if timeout is None else timeout
        number = self.pending.add(internal, seconds, self._clock())
        if self.link is not None:
            self.link.send(handshake.request(number, operation), number)
        self._arm()

    def subscribe(self, uri: str) -> None:
        """Subscribe to a resource on behalf of clients that are subscribed already."""
        self.run(InternalRequest("subscribe"), Subscribe(uri))

    def set_log_level(self, level: str | None) -> None:
        """Ask for log messages from this level up, if that is not known to the server."""
        if level is not None and level != self._level_sent and self.session.has("logging"):
            self._level_sent = level
            self.run(InternalRequest("log level"), SetLogLevel(level))

    def submit(self, request: Submit) -> None:
        """Send a call, or keep it when the server was just found to be gone: the next connection gets it."""
        if self.unreachable:
            self._awaiting_ping.append(request)
        else:
            self.send(request)

    def send(self, request: Submit, *, rechecked: bool = False) -> None:
        """Send a call, or answer it here.

        Args:
            request: the call.
            rechecked: whether its tool was not known, and the listing has been fetched again since.
        """
        operation = request.operation
        if isinstance(operation, CallTool):
            if not self._check_tool(request, operation.name, rechecked=rechecked):
                return
        elif isinstance(operation, Subscribe | Unsubscribe) and self._settle_subscription(request, operation):
            return
        link = self.link
        if link is None or link.backlog > MAX_BACKLOG:
            self.reply(
                request,
                error=upstream_errors.unavailable(self._group, "it does not read what it is sent", operation),
            )
            return
        now, seconds = self._clock(), timeout_of(operation, self.config.timeout)
        number = self.pending.add(request, seconds, now, self._longest(seconds))
        context = request.context
        try:
            frame = handshake.request(
                number, operation, wants_progress=context.wants_progress, meta=context.meta
            )
        except ValueError as error:  # the client's doing: it must not cost the others their connection
            self.pending.pop(number)
            self.reply(request, error=upstream_errors.unsendable(self._group, str(error)))
            return
        link.send(frame, number)
        if self._deadline is None or now + seconds < self._deadline_at:
            self._arm()

    def _longest(self, seconds: float) -> float:
        """Return how long a call of this timeout may take whatever progress it shows."""
        return self.config.limits.call_time or CALL_TIME_FACTOR * seconds

    def _settle_subscription(self, request: Submit, operation: Subscribe | Unsubscribe) -> bool:
        """Answer what concerns one client only; the server is asked at the first who subscribes and at the last."""
        known, client, uri = self._subscriptions, request.call.client, operation.uri
        subscribes = isinstance(operation, Subscribe)
        if known.others(client, uri):
            (known.add if subscribes else known.discard)(client, uri)
            self.reply(request, result=b"{}")
            return True
        if not subscribes or uri in known:
            return False
        if len({*known, *self.subscribing()}) < MAX_SUBSCRIPTIONS and len(uri) <= MAX_URI:
            return False
        self.reply(
            request, error=upstream_errors.too_many_subscriptions(self._group, MAX_SUBSCRIPTIONS, MAX_URI)
        )
        return True

    def _check_tool(self, request: Submit, name: str, *, rechecked: bool) -> bool:
        known = self.listings.tool_index.knows(name)
        if tools.is_selected(self.config.tools, name) and (known or not rechecked):
            if known:
                return True
            # The server may have got the tool since it was asked: look once more before refusing.
            self._awaiting_refresh.append(request)
            self.listings.fetch("tools")
            return False
        self.reply(
            request, result=self.listings.tool_index.unknown_tool_result(name, self.config.tools, self._group)
        )
        return False

    def reply(
        self, request: Submit, *, result: jsonrpc.Body | None = None, error: jsonrpc.Body | None = None
    ) -> None:
        """Answer a call."""
        outcome = Error(error) if error is not None else Result(result or b"{}")
        post(request.context.reply_to, frontend.Settled(request.call, outcome))

    def cancel(self, call: CallId, reason: str) -> None:
        """Forget a call, and tell the server that its client no longer wants it."""
        self._awaiting_refresh = [request for request in self._awaiting_refresh if request.call != call]
        self._awaiting_ping = [request for request in self._awaiting_ping if request.call != call]
        for number, pending in self.pending.all():
            if isinstance(pending, Submit) and pending.call == call:
                self.pending.pop(number)
                self._send_cancelled(number, reason)
        self._on_request_done()

    def _send_cancelled(self, number: int, reason: str) -> None:
        """Tell the server that nobody waits for this call any more, and the client likewise of what it has asked."""
        self.notifications.forget(number)
        self.server_requests.call_ended(number, reason or "cancelled")
        self.transmit(handshake.notification(Cancelled(number, reason)))
        if self.link is not None:
            self.link.abandon(number)

    def _ask_for_page(self, collector: listing.Collector, cursor: str | None) -> None:
        self.run(InternalRequest("list", collector), ListItems(collector.kind, cursor))

    def _on_fetched(self, kind: Kind) -> None:
        if kind == "tools":
            requests, self._awaiting_refresh = self._awaiting_refresh, []
            for request in requests:
                self.send(request, rechecked=True)
        self._become_ready()

    # What the server says -----------------------------------------------------------------------------------------

    def on_frame(self, frame: bytes, during: int | None) -> None:
        """Take a frame of the server.

        Args:
            frame: what it said.
            during: the number of the request on whose stream it came, if the link knows.
        """
        message = jsonrpc.read_at_once(frame)
        if message is None:
            work, size = jsonrpc.read_in_slices(frame), len(frame)
            self.slices.begin(work, lambda read: self.on_message(read, size, during))
            return
        if self.state is not State.READY and isinstance(message, jsonrpc.Malformed):
            self.startup.on_noise(frame[:_NOISE].decode("utf-8", "replace"))
        self.on_message(message, len(frame), during)

    def on_invalid_output(self, text: str) -> None:
        """Take something the server has written that is no frame."""
        if self.state is not State.READY:
            self.startup.on_noise(text)
        log.warning(f"sent something that is no message: {text}", self._group)

    def on_message(self, message: jsonrpc.Message, size: int, during: int | None = None) -> None:
        """Take one message of the server; the first case is the usual one.

        Args:
            message: what it said.
            size: bytes of the frame it came in.
            during: the number of the request on whose stream it came, if the link knows.
        """
        if self.state is State.CLOSED:
            return
        self.last_activity = self._clock()
        match message:
            case jsonrpc.Response():
                self._on_answer(message)
            case jsonrpc.Notification(method, params):
                self._on_notification(method, params, size)
            case jsonrpc.Request():
                self._on_server_request(message, size, during)
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
            self.on_message(single, size, during)
        rest = messages[BATCH_PORTION:]
        if rest:
            self.slices.begin(None, lambda _: self._handle_portion(rest, size, during))

    def _on_answer(self, answer: jsonrpc.Response) -> None:
        number = jsonrpc.own_number(answer.id) or _NO_CALL
        pending = self.pending.pop(number)
        if isinstance(pending, Submit):
            self._before_reply(number)
            self._on_outcome(pending, answer)
            self._on_request_done()
        elif pending is not None:
            self._on_internal_done(pending, answer)
        else:
            log.debug("sent an answer to what nobody has asked", self._group)

    def _before_reply(self, number: int) -> None:
        self.notifications.landed(number)
        if self.server_requests.pending:
            self.server_requests.call_landed(number)

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
                post(self._peers.catalog, catalog.ResourcesSeen(self._group, uris))
        elif isinstance(operation, Subscribe):
            self._subscriptions.add(request.call.client, operation.uri)
        elif isinstance(operation, Unsubscribe) and not self._subscriptions.discard(
            request.call.client, operation.uri
        ):
            self.subscribe(operation.uri)  # another client came meanwhile

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
            self.server_requests.expect_completion(identifier, client)
        return error

    def _on_internal_done(self, internal: InternalRequest, answer: jsonrpc.Response) -> None:
        failure = upstream_errors.error_text(answer) if answer.error is not None else ""
        if internal.purpose == "initialize":
            if failure:
                self._on_initialize_error(answer, failure)
            else:
                self._on_initialize_result(answer)
        elif internal.collector is not None:
            self.listings.on_answer(internal.collector, answer)
        elif internal.purpose == "ping":  # an error is an answer: the server is alive
            self._on_pong()
        elif failure:
            log.warning(f"{internal.purpose} failed: {failure}", self._group)

    def _on_malformed(self, message: jsonrpc.Malformed) -> None:
        number = jsonrpc.own_number(message.id) or _NO_CALL
        # A log line in JSON may have an id, and it may be that of a request: it answers none.
        pending = None if message.is_foreign else self.pending.pop(number)
        if isinstance(pending, Submit):
            self._before_reply(number)
            self.reply(pending, error=upstream_errors.unreadable_response(self._group, message.message))
            self._on_request_done()
        elif pending is not None:
            error = jsonrpc.error_object(message.code, message.message)
            self._on_internal_done(pending, jsonrpc.Response(message.id, None, error))
        else:
            log.warning(f"sent something that is no message: {message.message}", self._group)
            if message.is_request:
                error = jsonrpc.error_object(message.code, message.message)
                self.transmit(jsonrpc.failure(message.id, error))

    def _on_notification(self, method: str, params: JsonObject, size: int) -> None:
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
                if self._subscriptions.covers(news.uri, self.subscribing()):
                    self.notifications.updated(news, size)
            case ElicitationCompleted() as news:
                self.server_requests.completed(news)
            case Cancelled(request, reason):
                self.server_requests.withdraw(request, reason)
            case ListChanged(kinds):
                self.listings.on_changed(*kinds)
            case None:
                log.debug(f"sent {printable(method, 100)}, which is no notification of a server", self._group)

    def subscribing(self, client: int | None = None) -> set[str]:
        """Return the resources whose subscription is in flight, of one client or of all."""
        return {
            pending.operation.uri
            for _, pending in self.pending.all()
            if isinstance(pending, Submit)
            and isinstance(pending.operation, Subscribe)
            and client in (None, pending.call.client)
        }

    def _on_progress(self, token: int, figures: JsonObject, size: int) -> None:
        pending = self.pending.get(token)
        if isinstance(pending, Submit) and pending.context.wants_progress:
            self.pending.extend(token, self._clock())
            self.notifications.progress(token, pending, figures, size)

    def _on_server_request(self, call: jsonrpc.Request, size: int, during: int | None) -> None:
        if call.method == handshake.PING:
            self.transmit(jsonrpc.result(call.id, b"{}"))
            return
        if during is not None and not isinstance(self.pending.get(during), Submit):
            during = _NO_CALL
        self.server_requests.put(call, size, during)

    # For server requests (``server_requests.Owner``).

    def call_id(self, number: int) -> CallId | None:
        """Return the name of a call in flight; ``None`` for a request of dmcp's own."""
        pending = self.pending.get(number)
        return pending.call if isinstance(pending, Submit) else None

    def oldest_call(self) -> int | None:
        """Return the number of the client's oldest request in flight."""
        return next((number for number, pending in self.pending.all() if isinstance(pending, Submit)), None)

    def calls_of(self, client: int) -> list[CallId]:
        """Return the calls of a client that are in flight, or wait for the listing or for a ping."""
        sent = [pending for _, pending in self.pending.all() if isinstance(pending, Submit)]
        waiting = (*self._awaiting_refresh, *self._awaiting_ping)
        return [request.call for request in (*sent, *waiting) if request.call.client == client]

    def calling(self) -> set[int]:
        """Return the clients that have calls in flight."""
        return {pending.call.client for _, pending in self.pending.all() if isinstance(pending, Submit)}

    def pause_call(self, number: int) -> None:
        """Stop the clock of a call: a person is answering what its server asks."""
        self.pending.pause(number, self._clock())

    def resume_call(self, number: int) -> None:
        """Let the clock of a call run on."""
        self.pending.resume(number, self._clock())
        self._arm()

    # Time ---------------------------------------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        """Return whether nothing is read from the server because no client keeps up."""
        return SLOW_CLIENT in self.gate

    def _pause_for_work(self, working: bool) -> None:
        """Stop reading while a large message is worked on, and go on after it."""
        (self.gate.close if working else self.gate.open)(LARGE_MESSAGE)

    def set_paused(self, paused: bool) -> None:
        """Stop or go on reading: no client keeps up, and no deadline passes because of that."""
        if paused == self.is_paused:
            return
        (self.gate.close if paused else self.gate.open)(SLOW_CLIENT)
        if paused:
            self.pending.hold(self._clock())
        else:
            self.pending.release(self._clock())
            self._arm()

    def _arm(self) -> None:
        """Set the timer for the next deadline, if it is sooner than what the timer is set to."""
        now = self._clock()
        due = self.pending.next_due(now)
        if due is not None and (self._deadline is None or now + due < self._deadline_at):
            self.cancel_timer(self._deadline)
            self._deadline, self._deadline_at = self.start_timer(due, "deadline"), now + due

    def _expire(self) -> None:
        """Deadlines have passed: answer those calls, and find out whether the server is still alive."""
        now, hangs = self._clock(), False
        for number, pending in self.pending.overrun(now):
            if isinstance(pending, Submit):
                longest = self._longest(timeout_of(pending.operation, self.config.timeout))
                self._time_out(
                    number,
                    pending,
                    upstream_errors.call_time_exceeded(self._group, pending.operation, longest),
                )
        for number, pending in self.pending.due(now):
            if isinstance(pending, Submit):
                seconds = timeout_of(pending.operation, self.config.timeout)
                error = upstream_errors.timed_out(self._group, pending.operation, seconds, self.sign_in)
                self._time_out(number, pending, error)
                if now - self.last_activity >= seconds:
                    self._ping()
            elif pending.purpose == "ping":
                hangs = True  # not before the others that are due have their answer
            elif pending.collector is not None:
                self.listings.fail(pending.collector, "timed out")
        if hangs:
            reason = f"hangs: silent, and no answer to ping within {PING_TIMEOUT:g} s"
            self.fail(FaultKind.EXITED, reason, categories.HANGS)
        elif self.state is not State.CLOSED:
            self._arm()

    def _time_out(self, number: int, request: Submit, error: bytes) -> None:
        self.reply(request, error=error)
        self._send_cancelled(number, "timed out")
        self._on_request_done()

    # Failure ------------------------------------------------------------------------------------------------------

    def _ping(self) -> None:
        """Find out whether the server is alive, unless that is being done."""
        internal = (pending for _, pending in self.pending.all() if isinstance(pending, InternalRequest))
        if not any(pending.purpose == "ping" for pending in internal):
            self.run(InternalRequest("ping"), Ping(), PING_TIMEOUT)

    def _on_pong(self) -> None:
        """Send again, once, what only the link failed: the server is alive."""
        if not self._session_lost:  # else the link is about to close, and the next session asks
            again, self._awaiting_ping = self._awaiting_ping, []
            for request in again:
                self.send(request._replace(repeated=True))

    def _on_ping_failed(self, fault: LinkFault) -> None:
        """End the connection of a server that is down, but not before what is in flight is answered."""
        if fault.kind is FaultKind.UNREACHABLE:
            self.unreachable = fault.reason
            self._on_request_done()
        else:
            self._on_pong()  # it answers, if only to refuse a ping

    def on_request_failed(self, number: int, fault: LinkFault) -> None:
        """Answer a request the link says gets no answer, or keep it to be sent again."""
        self._session_lost = self._session_lost or fault.kind is FaultKind.SESSION_LOST
        pending = self.pending.pop(number)
        if isinstance(pending, InternalRequest):
            if pending.purpose == "initialize":
                self.fail(fault.kind, fault.reason, fault.category)
                return
            if pending.purpose == "ping":
                self._on_ping_failed(fault)
                return
            if pending.collector is not None:
                self.listings.fail(pending.collector, fault.reason)
        if fault.kind is FaultKind.UNREACHABLE and pending is not None:
            self._ping()
        if isinstance(pending, Submit):
            may_have_run = fault.may_have_run or pending.may_have_run
            if fault.kind in _CONNECTION and self._may_repeat(pending, may_have_run=may_have_run):
                self._awaiting_ping.append(pending._replace(may_have_run=may_have_run))
            else:
                error = upstream_errors.connection_lost(
                    self._group,
                    log.mask(fault.reason),
                    may_have_run=may_have_run,
                    operation=pending.operation,
                )
                self.reply(pending, error=error)
            self._on_request_done()

    def _may_repeat(self, request: Submit, *, may_have_run: bool) -> bool:
        """Return whether a call may be sent once more."""
        if request.repeated:
            return False
        return not may_have_run or is_repeatable(request.operation, self.listings.tool_index.tools)

    def on_link_closed(self, fault: LinkFault) -> None:
        """Take note that the link is gone."""
        if self.state is State.OPENING:
            self._closed_while_opening = fault  # the link itself, with its last words, is still on its way
        else:
            self.fail(fault.kind, fault.reason, fault.category)

    def fail(self, kind: FaultKind | None, reason: str, category: str = "") -> None:
        """Give the connection up. Without a category the fault's own is told."""
        if self.state is State.CLOSED:
            return
        if self.state is State.DRAINING:
            self._fail_remaining(reason)
            self._close_drained()
            return
        was_ready = self.state is State.READY
        tail = tuple(self.link.stderr_tail()) if self.link is not None else ()
        reason = log.mask(self.startup.explain(reason, tail, was_ready=was_ready))
        category = category or categories.of_kind(kind)
        self._events.on_lost(self, Loss(kind, reason, category, tail[-_TAIL:], was_ready))

    def take_retryable(self, reason: str) -> list[Submit]:
        """Answer what may not be sent again, and take out what may: it has been sent, or was about to be.

        Args:
            reason: why the connection is lost.
        """
        retryable, self._awaiting_ping = self._awaiting_ping, []
        for number, pending in self.pending.all():
            self.pending.pop(number)
            if not isinstance(pending, Submit):
                continue
            if self._may_repeat(pending, may_have_run=True):
                retryable.append(pending._replace(may_have_run=True))
            else:
                self.reply(
                    pending,
                    error=upstream_errors.connection_lost(
                        self._group, reason, may_have_run=True, operation=pending.operation
                    ),
                )
        self.server_requests.withdraw_all(reason)
        retryable += self._awaiting_refresh
        self._awaiting_refresh = []
        return retryable

    # The end ------------------------------------------------------------------------------------------------------

    def drain(self, grace: float) -> list[Submit]:
        """Take no more calls, and close when the last one in flight is answered, or after ``grace`` seconds.

        Returns the calls that are not in flight: they have not been sent, or wait for a ping.
        """
        if self.state is State.CLOSED:
            return []
        waiting = self._awaiting_ping + self._awaiting_refresh
        self._awaiting_ping, self._awaiting_refresh = [], []
        self.state = State.DRAINING
        self.startup.stop()
        self.start_timer(grace, "grace")  # asked again, the shorter grace counts
        self._on_request_done()
        return waiting

    def _on_request_done(self) -> None:
        """End a connection that is to end when no call is in flight any more."""
        if not (self.unreachable or self.state is State.DRAINING) or self.has_client_requests:
            return  # as after nearly every call: whether another one is in flight need not be known then
        if self.state is State.DRAINING:
            self._close_drained()
        else:
            self.fail(FaultKind.UNREACHABLE, self.unreachable)

    def _fail_remaining(self, reason: str) -> None:
        for request in self.take_retryable(reason):
            error = upstream_errors.retry_expired(
                self._group, reason, request.operation, may_have_run=request.may_have_run
            )
            self.reply(request, error=error)

    def _close_drained(self) -> None:
        """Answer what is left, and close the link; ``on_closed`` follows when the server is gone."""
        if self.state is State.CLOSED:
            return
        self._fail_remaining("dmcp is stopping it")
        link = self.detach()
        if link is None:
            self._events.on_closed(self)
        else:
            number = self.number
            self._actor.spawn(link.aclose(CLOSE_GRACE), lambda _: TimerFired("closed", number))

    def close(self) -> None:
        """Close at once, behind everybody's back: nothing more is heard of the connection."""
        link = self.detach()
        if link is not None:
            Dispatcher.running().spawn_background(link.aclose(CLOSE_GRACE))

    def detach(self) -> Link | None:
        """Stop everything that belongs to the connection, and return the link that is to be closed."""
        self.state = State.CLOSED
        self.gate.detach()
        self.slices.close()
        for timer in tuple(self._timers):
            self.cancel_timer(timer)
        if self._opening is not None and self.link is None:
            self._opening.cancel()
        link, self.link = self.link, None
        return link

    def reconfigure(self, config: ServerConfig) -> None:
        """Use these features, limits and timeouts from now on."""
        before, self.config = self.config, config
        self.startup.config = config
        self.server_requests.reconfigure(config)
        self.listings.reconfigure(config)
        self.notifications.reconfigure(config)
        if self.state is State.READY and _of_listings(config) != _of_listings(before):
            wanted = self.listings.kinds()
            for kind in KINDS:
                if kind in wanted:
                    self.listings.fetch(kind)
                else:
                    self.listings.publish(kind, [], offered=False)


def _of_listings(config: ServerConfig) -> tuple[object, ...]:
    """Return the part of a configuration that decides what is listed."""
    return config.features, config.tools, config.limits.listing_entries, config.limits.listing_bytes
