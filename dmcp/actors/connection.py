"""One connection to a server, from opening its link to closing it: requests, answers, notifications, deadlines.

A plain object that runs inside the upstream actor that owns it (``dmcp.actors.upstream``). It has one link, one
session, its pending requests and the server's requests, and it ends with its link; what of its requests may be sent
once more goes back to its owner. It decides nothing about the next connection. Events of old ones have other numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dmcp import log
from dmcp.actors.in_flight import NO_CALL, InFlight, InternalRequest
from dmcp.actors.listings import Listings
from dmcp.actors.mailbox import LARGE_MESSAGE, SLOW_CLIENT, LinkMailbox, ReadGate
from dmcp.actors.notifications import Notifications
from dmcp.actors.runtime import Dispatcher
from dmcp.actors.server_requests import ServerRequests
from dmcp.actors.slices import Slices
from dmcp.actors.startup import Startup, State
from dmcp.messages.upstream import FrameArrived, InvalidOutput, LinkClosed, RequestFailed, TimerFired
from dmcp.protocol import categories, jsonrpc, listing, upstream_errors
from dmcp.protocol.eras import handshake
from dmcp.protocol.eras.handshake import ClientSession
from dmcp.protocol.limits import (
    BATCH_PORTION,
    MAX_NOTIFICATION,
    MAX_UNREAD_ANSWERS,
)
from dmcp.protocol.listing import KINDS
from dmcp.protocol.operations import (
    Cancelled,
    ElicitationCompleted,
    ListChanged,
    ListItems,
    LogMessage,
    Progress,
    ResourceUpdated,
    SetLogLevel,
)
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable, Sequence

    from dmcp.actors.runtime import LoopActor, LoopInbox
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import LinkMessage, Peers, Submit
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import FaultKind, Link, OpenLink
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.scan import Steps
    from dmcp.protocol.subscriptions import Subscriptions

CLOSE_GRACE: Final = 1.0
"""Seconds a server gets to end after its input closes, and again after SIGTERM."""

_NOISE = 200  # bytes of what it wrote that is no message that are worth a look
_TAIL = 5  # lines of its stderr that are told with a lost connection


class ConnectionKey(NamedTuple):
    """Whom a connection is for: one client, or (``None``) all clients of the server together."""

    client: int | None = None


SHARED: Final = ConnectionKey()
"""The connection all clients share: today there is no other."""


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
        last_activity: when the server last said something, in seconds of the clock.
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
        self.last_activity = 0.0
        self.link: Link | None = None
        self.gate = ReadGate()
        self._group = config.name
        self._actor = actor
        self._events = events
        self._subscriptions = subscriptions
        self._clock = clock
        self._timers: set[TimerHandle] = set()
        self._level_sent: str | None = None
        self.slices = Slices(actor, self._pause_for_work, number)
        self.requests = InFlight(self, subscriptions, peers.catalog, clock)
        self.startup = Startup(self, actor, clients, clock)
        self.server_requests = ServerRequests(
            config, self, self.requests, actor.actor_ref, clients=clients, clock=clock
        )
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
        return (
            f"<Connection {self._group}#{self.number} {self.state.name} {self.session!r} {self.requests!r}>"
        )

    # Timers and large messages ------------------------------------------------------------------------------------

    def start_timer(self, seconds: float, timer: object) -> TimerHandle:
        """See ``Timers``."""
        return self._actor.call_later(seconds, TimerFired(timer, self.number), self._timers)

    def cancel_timer(self, handle: TimerHandle | None) -> None:
        """See ``Timers``."""
        if handle is not None:
            self._timers.discard(handle)
            self._actor.cancel(handle)

    def on_timer(self, timer: Any) -> None:
        """Handle one of the connection's timers."""
        match timer:
            case "deadline":
                self.requests.on_deadline()
            case "grace":
                self.close_drained()
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
            case _:
                self.startup.on_timer(timer)

    def begin_slices(self, work: Steps[Any] | None, then: Callable[[Any], None]) -> None:
        """See ``Slices.begin``."""
        self.slices.begin(work, then)

    # Beginning ----------------------------------------------------------------------------------------------------

    def open(self, open_link: OpenLink, inbox: LoopInbox) -> None:
        """Begin to open the link; ``LinkOpened`` says how that ended."""
        mailbox = LinkMailbox(
            self._actor.actor_ref,
            self.number,
            self._group,
            lambda: self._events.is_in_use(self),
            inbox=inbox,
            gate=self.gate,
        )
        self.startup.open(open_link, mailbox)

    def on_slow_start(self, reason: str) -> None:
        """Say that the server needs longer to become ready, and works on it."""
        self._events.on_slow_start(self, reason)

    def become_ready(self) -> None:
        """With the last listing the connection is ready."""
        if self.state is not State.LISTING or self.listings.tool_index.fetching:
            return
        self.startup.finish()
        self.state = State.READY
        for kind in KINDS:
            if kind not in self.listings.kinds():
                self.listings.publish(kind, [], offered=False)
        self._events.on_ready(self)

    # Sending ------------------------------------------------------------------------------------------------------

    def transmit(self, frame: bytes) -> None:
        """Send something that expects no answer; not to a server that asks and asks and reads nothing."""
        if self.link is not None and self.link.backlog <= MAX_UNREAD_ANSWERS:
            self.link.send(frame)

    def set_log_level(self, level: str | None) -> None:
        """Ask for log messages from this level up, if that is not known to the server."""
        if level is not None and level != self._level_sent and self.session.has("logging"):
            self._level_sent = level
            self.requests.run(InternalRequest("log level"), SetLogLevel(level))

    def _ask_for_page(self, collector: listing.Collector, cursor: str | None) -> None:
        self.requests.run(InternalRequest("list", collector), ListItems(collector.kind, cursor))

    def _on_fetched(self, kind: Kind) -> None:
        if kind == "tools":
            self.requests.on_tools_listed()
        self.become_ready()

    # What the server says -----------------------------------------------------------------------------------------

    def on_link_message(self, message: LinkMessage) -> None:
        """Take what the link says: a frame, nearly always. What comes while a large message is read waits for that."""
        if self.slices.busy:
            self.slices.defer(message)
        elif type(message) is FrameArrived:
            _, frame, during = message
            read, size = jsonrpc.read_at_once(frame), len(frame)
            if read is not None:
                if type(read) is jsonrpc.Malformed and self.state is not State.READY:
                    self.startup.on_noise(frame[:_NOISE].decode("utf-8", "replace"))
                self._on_message(read, size, during)
            else:
                work = jsonrpc.read_in_slices(frame)
                self.slices.begin(work, lambda read: self._on_message(read, size, during))
        elif isinstance(message, RequestFailed):
            self.requests.on_failed(message.number, message.fault)
        elif isinstance(message, InvalidOutput):
            if self.state is not State.READY:
                self.startup.on_noise(message.text)
            log.warning(f"sent something that is no message: {message.text}", self._group)
        elif isinstance(message, LinkClosed):
            fault = message.fault
            if self.state is State.OPENING:
                self.startup.on_link_closed(fault)
            else:
                self.fail(fault.kind, fault.reason, fault.category)

    def _on_message(self, message: jsonrpc.Message, size: int, during: int | None = None) -> None:
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
                self.requests.on_answer(message)
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
            self._on_message(single, size, during)
        rest = messages[BATCH_PORTION:]
        if rest:
            self.slices.begin(None, lambda _: self._handle_portion(rest, size, during))

    def on_internal_done(self, internal: InternalRequest, answer: jsonrpc.Response) -> None:
        """Take the answer to a request of dmcp's own."""
        if internal.purpose == "initialize":
            self.startup.on_initialize_answer(answer)
        elif internal.collector is not None:
            self.listings.on_answer(internal.collector, answer)
        elif internal.purpose == "ping":  # an error is an answer: the server is alive
            self.requests.on_pong()
        elif answer.error is not None:
            log.warning(f"{internal.purpose} failed: {upstream_errors.error_text(answer)}", self._group)

    def _on_malformed(self, message: jsonrpc.Malformed) -> None:
        # A log line in JSON may have an id, and it may be that of a request: it answers none.
        if message.is_foreign or not self.requests.on_unreadable_answer(message):
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
                self.requests.on_progress(jsonrpc.own_number(token) or NO_CALL, figures, size)
            case LogMessage() as news:
                self.notifications.message(news)
            case ResourceUpdated() as news:
                if self._subscriptions.covers(news.uri, self.requests.subscribing()):
                    self.notifications.updated(news, size)
            case ElicitationCompleted() as news:
                self.server_requests.completed(news)
            case Cancelled(request, reason):
                self.server_requests.withdraw(request, reason)
            case ListChanged(kinds):
                self.listings.on_changed(*kinds)
            case None:
                log.debug(f"sent {printable(method, 100)}, which is no notification of a server", self._group)

    def _on_server_request(self, call: jsonrpc.Request, size: int, during: int | None) -> None:
        if call.method == handshake.PING:
            self.transmit(jsonrpc.result(call.id, b"{}"))
            return
        if during is not None and self.requests.call_id(during) is None:
            during = NO_CALL
        self.server_requests.put(call, size, during)

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
        self.requests.set_held(paused)

    def fail(self, kind: FaultKind | None, reason: str, category: str = "") -> None:
        """Give the connection up. Without a category the fault's own is told."""
        if self.state is State.CLOSED:
            return
        if self.state is State.DRAINING:
            self.requests.fail_all(reason)
            self.close_drained()
            return
        was_ready = self.state is State.READY
        tail = tuple(self.link.stderr_tail()) if self.link is not None else ()
        reason = log.mask(self.startup.explain(reason, tail, was_ready=was_ready))
        category = category or categories.of_kind(kind)
        self._events.on_lost(self, Loss(kind, reason, category, tail[-_TAIL:], was_ready))

    # The end ------------------------------------------------------------------------------------------------------

    def drain(self, grace: float) -> list[Submit]:
        """Take no more calls, and close when the last one in flight is answered, or after ``grace`` seconds.

        Returns the calls that are not in flight: they have not been sent, or wait for a ping.
        """
        if self.state is State.CLOSED:
            return []
        waiting = self.requests.take_waiting()
        self.state, self.requests.draining = State.DRAINING, True
        self.startup.stop()
        self.start_timer(grace, "grace")  # asked again, the shorter grace counts
        self.requests.end_if_idle()
        return waiting

    def close_drained(self) -> None:
        """Answer what is left, and close the link; ``on_closed`` follows when the server is gone."""
        if self.state is State.CLOSED:
            return
        self.requests.fail_all("dmcp is stopping it")
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
        self.startup.cancel()
        link, self.link = self.link, None
        return link

    def reconfigure(self, config: ServerConfig) -> None:
        """Use these features, limits and timeouts from now on."""
        before, self.config = self.config, config
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
