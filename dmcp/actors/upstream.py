"""One actor per configured server, for as long as it is configured: its address never changes.

It owns the queue of calls, the restart policy, the clients' subscriptions, idle stop, and the server's connections
(``dmcp.actors.connection``). A connection that is lost is replaced inside; one that another configuration makes
useless is drained while its successor takes over. What an old connection still says is dropped by its number.

    ASLEEP --wanted--> CONNECTED --lost--> WAITING --timer, wanted--> CONNECTED; idle --> ASLEEP; Stop --> STOPPING
"""

from __future__ import annotations

import time
from enum import Enum, auto
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dmcp.actors.connection import CLOSE_GRACE, Connection, Loss
from dmcp.actors.in_flight import InternalRequest, retry_expired
from dmcp.actors.request_queue import RequestQueue
from dmcp.actors.restart import MISSING_DELAY, UNAUTHORIZED_RETRY_DELAY, Failure, History, after_failure
from dmcp.actors.runtime import Dispatcher, LoopActor, Watch, jitter, post
from dmcp.actors.server_requests import connection_of
from dmcp.actors.startup import State as ConnectionState
from dmcp.config.model import RemoteServer, StdioServer
from dmcp.messages import auth as sign_ins
from dmcp.messages import catalog, events, frontend, lifecycle, upstream
from dmcp.messages.upstream import FrameArrived, LinkOpened, Stop, Submit, TimerFired
from dmcp.protocol import categories, upstream_errors
from dmcp.protocol.clients import Client, Clients
from dmcp.protocol.eras.handshake import notification
from dmcp.protocol.link import FaultKind
from dmcp.protocol.operations import Error, RootsChanged, Unsubscribe
from dmcp.protocol.subscriptions import Subscriptions
from dmcp.protocol.upstream_errors import SignIn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import LinkMessage
    from dmcp.protocol.link import OpenLink

MAX_IN_FLIGHT: Final = 256
"""Requests one server is sent, or that wait for it, at once. More get an error."""

PROBE_IDLE_TIMEOUT: Final = 5.0
"""Seconds of silence after which a server that was started only to learn what it offers, and not used, is stopped."""

_numbers = count(1)  # of connections; the catalog keeps what the largest one of a group has said


class State(Enum):
    """What an upstream does about a connection."""

    ASLEEP = auto()
    WAITING = auto()
    CONNECTED = auto()
    STOPPING = auto()


class Upstream(LoopActor):
    """The actor in front of one server.

    Args:
        config: of the server.
        connect: returns what opens a link, for a configuration.
        peers: the actors it talks to.
        watch: who is told of its end.
        crash: what it takes the place of, if that failed.
        clock: seconds of a monotonic clock.
        jitter: a random number from 0 to 1; spreads retries.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        connect: Callable[[ServerConfig], OpenLink],
        peers: upstream.Peers,
        watch: Watch,
        crash: upstream.Crash | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = jitter,
    ) -> None:
        super().__init__(watch)
        self._group = config.name
        self._incarnation = watch.generation
        self._config = config
        self._connect = connect
        self._peers = peers
        self._crash = crash
        self._clock = clock
        self._jitter = jitter
        self._clients: Clients[Address] = Clients()
        self._subscriptions = Subscriptions()
        self._queue = RequestQueue()
        self._queue_timer: asyncio.TimerHandle | None = None
        self._state = State.ASLEEP
        self._number = next(_numbers)  # of the present connection, or of the next one
        self._connection: Connection | None = None  # the one that takes calls, or will
        self._connections: dict[int, Connection] = {}  # that one, and those being drained
        self._history = History()
        self._failure = Failure()
        self._waiting_since = clock()
        self._retry: asyncio.TimerHandle | None = None
        self._wanted = config.startup != "lazy"  # somebody uses it; else it may sleep when it is known
        self._summoned = False  # the catalog waits for it on behalf of a client
        self._use_told: bool | None = None  # what the link was told when it asked whether it is in use
        self._sign_in: SignIn | None = None
        self._sign_in_timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Upstream {self._group} {self._state.name} {self._queue!r} {self._connection!r}>"

    def on_start(self) -> None:
        """Connect now, later or on demand."""
        self._follow_sign_ins()
        if self._crash is not None:
            self._wanted, self._failure = True, Failure(self._crash.reason, categories.FAILED)
            self._wait(self._crash.delay)
        elif self._wanted:
            self._open()
        else:
            self._sleep()

    def on_receive(self, message: Any) -> None:
        """Handle one message, on the loop: a table is faster than a long match, and the first case is the usual one."""
        if type(message) is FrameArrived:
            self._on_link_message(message)
        else:
            self._HANDLERS[type(message)](self, message)

    def _follow_sign_ins(self) -> None:
        if isinstance(self._config.target, RemoteServer):
            post(self._peers.auth, sign_ins.Subscribe(self.actor_ref, self._group))

    # Calls --------------------------------------------------------------------------------------------------------

    def _on_submit(self, request: Submit) -> None:
        connection = self._connection
        load = connection.requests.load if connection is not None else 0
        if load + len(self._queue) >= MAX_IN_FLIGHT:
            self._refuse(request, upstream_errors.overloaded(self._group, MAX_IN_FLIGHT))
        elif connection is not None and connection.state is ConnectionState.READY:
            self._wanted = True
            connection.requests.submit(request)
        elif self._state is State.STOPPING:
            self._give_up(request, "dmcp is stopping it")
        else:
            self._queue.append(request)
            self._wake()
            self._limit_sign_in_wait()

    def _on_cancel(self, message: upstream.Cancel) -> None:
        if self._queue.take(message.call) is None:
            for connection in list(self._connections.values()):
                connection.requests.cancel(message.call, message.reason)

    def _refuse(self, request: Submit, error: bytes) -> None:
        post(request.context.reply_to, frontend.Settled(request.call, Error(error)))

    def _give_up(self, request: Submit, reason: str) -> None:
        """Answer a call that waited in vain."""
        self._refuse(request, retry_expired(self._group, request, reason))

    def _fail_queue(self, reason: str) -> None:
        for request in self._queue.take_all():
            self._give_up(request, reason)

    def _expire_queue(self) -> None:
        """Answer what has waited long enough for the server to come back, and look again when more will have."""
        now = self._clock()
        for request in self._queue.take_expired(now):
            self._give_up(request, self._failure.reason)
        self.cancel(self._queue_timer)
        expiry = self._queue.next_expiry()
        self._queue_timer = None if expiry is None else self.call_later(expiry - now, TimerFired("queue"))

    # Clients ------------------------------------------------------------------------------------------------------

    def _on_client_joined(self, message: upstream.ClientJoined) -> None:
        client = Client(message.address, message.profile, message.log_level, message.paused)
        self._clients.put(message.client, client)
        self._on_clients_changed()
        if self._connection is not None:
            self._connection.startup.initialize()

    def _on_set_log_level(self, message: upstream.SetLogLevel) -> None:
        self._clients.set_log_level(message.client, message.level)
        self._on_clients_changed()

    def _on_set_flow(self, message: upstream.SetFlow) -> None:
        self._clients.set_paused(message.client, paused=message.paused)
        self._on_clients_changed()

    def _on_clients_changed(self) -> None:
        """Do what the clients want together now."""
        for connection in self._connections.values():
            connection.set_paused(self._clients.paused)
        self._send_log_level()

    def _send_log_level(self) -> None:
        if (ready := self._ready_connection) is not None:
            ready.set_log_level(self._clients.log_level)

    def _on_client_left(self, message: upstream.ClientLeft) -> None:
        """End what a client has left open: its calls, its subscriptions, what the server has asked it."""
        client = message.client
        self._clients.remove(client)
        connections = list(self._connections.values())
        sent = [call for connection in connections for call in connection.requests.calls_of(client)]
        unconfirmed = {uri for connection in connections for uri in connection.requests.subscribing(client)}
        for call in (*self._queue.of_client(client), *sent):
            self._on_cancel(upstream.Cancel(call, "the client has left"))
        for connection in connections:
            connection.server_requests.client_left(client)
        gone, ready = self._subscriptions.drop(client), self._ready_connection
        if ready is not None:
            wanted = {*self._subscriptions, *ready.requests.subscribing()}
            for uri in (*gone, *(unconfirmed - wanted)):
                ready.requests.run(InternalRequest("unsubscribe"), Unsubscribe(uri))
        self._on_clients_changed()

    def _on_notify(self, message: upstream.Notify) -> None:
        ready = self._ready_connection  # of roots only a server is told that may ask for them
        if ready is not None and (self._config.features.roots or not isinstance(message.news, RootsChanged)):
            ready.transmit(notification(message.news))

    def _on_server_request_answered(self, message: upstream.AnswerServerRequest) -> None:
        if (connection := self._connections.get(connection_of(message.id))) is not None:
            connection.server_requests.respond(message)

    # From the connections -----------------------------------------------------------------------------------------

    @property
    def _ready_connection(self) -> Connection | None:
        connection = self._connection
        return connection if connection is not None and connection.state is ConnectionState.READY else None

    def _on_link_message(self, message: LinkMessage) -> None:
        connection = self._connections.get(message.connection)
        if connection is not None:  # else it is gone
            connection.on_link_message(message)

    def _on_slices_done(self, message: lifecycle.SlicesDone) -> None:
        if (connection := self._connections.get(message.owner)) is not None:
            connection.slices.on_done(message)

    def _on_link_opened(self, message: LinkOpened) -> None:
        connection = self._connections.get(message.connection)
        if connection is None:
            self.on_dead_letter(message)
            return
        if self._failure.missing and message.link is not None and connection is self._connection:
            self._publish("connecting")
        connection.startup.on_opened(message.link, message.error)

    def is_in_use(self, connection: Connection) -> bool:
        """See ``ConnectionEvents``."""
        if connection is not self._connection:
            return connection.requests.is_wanted
        waiting = bool(self._queue or self._summoned or connection.requests.is_wanted)
        self._use_told = self._use_told or waiting
        return waiting

    def on_slow_start(self, connection: Connection, reason: str) -> None:
        """See ``ConnectionEvents``."""
        self._publish("connecting", reason)
        post(self._peers.audit, events.StartExtended(self._group, reason))
        if connection.startup.refuses():
            self._fail_queue(f"it is {reason}: try again later")

    def on_ready(self, connection: Connection) -> None:
        """See ``ConnectionEvents``: make the subscriptions, and send what waits."""
        self._history = self._history.ready(self._clock())
        self._failure = Failure()
        self._summoned = False
        self._sign_in = None
        self._publish("ready")
        session = connection.session
        news = events.ConnectionReady(self._group, connection.number, session.revision, session.describe())
        post(self._peers.audit, news)
        self._send_log_level()
        for uri in sorted(self._subscriptions):
            connection.requests.subscribe(uri)
        for request in self._queue.take_all():
            connection.requests.submit(request)
        self._watch_idleness()

    def on_lost(self, connection: Connection, loss: Loss) -> None:
        """See ``ConnectionEvents``: answer what cannot be sent again, keep what can, decide when to connect anew."""
        reason = loss.reason
        kind = loss.kind.value if loss.kind is not None else ""
        lost = events.ConnectionLost(
            self._group, connection.number, kind, loss.category, reason, loss.stderr, loss.was_ready
        )
        post(self._peers.audit, lost)
        had_requests = connection.requests.has_calls
        at_once = self._must_ask_for_sign_in(loss)
        late = self._queue.take_all() if at_once else []
        self._expire_queue()
        vanished = loss.kind is FaultKind.UNREACHABLE and not isinstance(self._config.target, StdioServer)
        retry = connection.requests.take_retryable(reason) + self._queue.take_retryable(vanished=vanished)
        used = bool(had_requests or retry or self._subscriptions) if loss.was_ready else self._wanted
        self._fail_queue(reason)
        if loss.was_ready or not used:  # not used: it is about to sleep
            self._publish("connecting", f"restarting: {reason}", loss.category)
        else:
            self._publish("unavailable", reason, loss.category)
        self._release(connection)
        connection.close()
        until = self._clock() + self._config.timeout.connect
        for request in retry:
            self._queue.append(request._replace(repeated=True, wait_until=request.wait_until or until))
        for request in late:
            self._queue.append(request)
        self._reconnect(loss, used=used, at_once=at_once)

    def on_closed(self, connection: Connection) -> None:
        """See ``ConnectionEvents``."""
        self._release(connection)
        if self._state is State.STOPPING:
            self._end_if_idle()

    def _release(self, connection: Connection) -> None:
        """Take a connection out. Whatever it still says is dropped."""
        self._connections.pop(connection.number, None)
        if connection is self._connection:
            self._connection = None
            self._number = next(_numbers)

    def _must_ask_for_sign_in(self, loss: Loss) -> bool:
        """Return whether what waits came too late for a sign-in to be asked for: the next attempt asks for it."""
        return (
            loss.kind is FaultKind.UNAUTHORIZED
            and self._use_told is False
            and bool(self._queue or self._summoned)
        )

    # The next connection ------------------------------------------------------------------------------------------

    def _reconnect(self, loss: Loss, *, used: bool, at_once: bool) -> None:
        """Decide when the next connection is opened, and say so."""
        was_missing, reason = self._failure, loss.reason
        self._failure = Failure(reason, loss.category, missing=loss.kind is FaultKind.MISSING)
        if not used and self._config.startup == "lazy":
            self._schedule(reason, "wanted", 0.0)
            self._failure = Failure()
            self._sleep()
            return
        self._wanted, self._summoned = True, False
        if loss.kind is FaultKind.SESSION_LOST and loss.was_ready:
            self._history, delay = self._history.session_lost(self._clock())
        elif at_once:
            delay = 0.0
        elif loss.kind is FaultKind.UNAUTHORIZED:
            delay = UNAUTHORIZED_RETRY_DELAY
            self._schedule(reason, "in use", delay)
        elif loss.kind is FaultKind.MISSING:
            delay = MISSING_DELAY
            if not (was_missing.missing and was_missing.reason == reason):
                self._schedule(reason, "present", delay)
        else:
            now, jitter = self._clock(), self._jitter()
            self._history, decision = after_failure(self._config.restart, self._history, now, jitter)
            delay = decision.delay
            self._schedule(reason, "parked" if decision.parked else "backoff", delay)
        self._expire_queue()
        self._wait(delay)

    def _schedule(self, reason: str, when: events.When, delay: float) -> None:
        post(self._peers.audit, events.ReconnectScheduled(self._group, reason, when, delay))

    def _wait(self, delay: float) -> None:
        self._state = State.WAITING
        self._waiting_since = self._clock()
        if delay <= 0:
            self._open()
            return
        self._retry_in(delay)
        if self._sign_in is not None:
            self._on_sign_in(self._sign_in)

    def _retry_in(self, seconds: float) -> None:
        self.cancel(self._retry)
        self._retry = self.call_later(seconds, TimerFired("retry"))

    def _sleep(self) -> None:
        """Connect only when somebody asks for something."""
        self._state = State.ASLEEP
        self._wanted = self._summoned = False
        self._publish("asleep")

    def _open(self) -> None:
        self.cancel(self._retry)
        self._state = State.CONNECTED
        self._use_told = None
        connection = Connection(
            self._number,
            self._config,
            actor=self,
            events=self,
            peers=self._peers,
            clients=self._clients,
            subscriptions=self._subscriptions,
            clock=self._clock,
        )
        self._connection = self._connections[self._number] = connection
        connection.set_paused(self._clients.paused)
        if not self._failure.missing:  # else it is looked whether there is something to start
            self._publish("connecting", self._failure.reason, self._failure.category)
        connection.open(self._connect(self._config), self.inbox)
        if self._sign_in is not None:
            self._on_sign_in(self._sign_in)

    def _on_wake(self, message: upstream.Wake) -> None:
        if not message.only_to_learn and self._ready_connection is None:
            self._summoned = True
        self._wake(wanted=not message.only_to_learn)

    def _wake(self, *, wanted: bool = True) -> None:
        self._wanted = self._wanted or wanted
        if self._state is State.ASLEEP:
            self._open()
        elif self._state is State.WAITING:
            # Somebody wants the server now. One attempt at once, but no faster than the shortest backoff.
            waited = self._clock() - self._waiting_since
            self._retry_in(max(0.0, self._config.restart.backoff_min - waited))

    def _publish(self, state: catalog.State, reason: str = "", category: str = "") -> None:
        post(self._peers.catalog, catalog.GroupState(self._group, self._number, state, reason, category))
        post(self._peers.audit, events.ServerState(self._group, self._number, state, category, reason))

    # Time ---------------------------------------------------------------------------------------------------------

    def _on_timer(self, message: TimerFired) -> None:
        if message.connection:
            if (connection := self._connections.get(message.connection)) is not None:
                connection.on_timer(message.timer)
            return
        match message.timer:
            case "retry" if self._state is State.WAITING:
                self._open()
            case "queue":
                self._expire_queue()
            case "sign-in" if self._sign_in is not None:
                self._fail_queue(self._sign_in.action)
            case "idle":
                self._sleep_if_idle()

    def _on_sign_in(self, sign_in: SignIn | None) -> None:
        """Stop the time to connect while a user is asked to sign in, or let it run on."""
        self._sign_in = sign_in
        connection, ready = self._connection, self._ready_connection is not None
        if sign_in is not None:
            self._publish("ready" if ready else "connecting", sign_in.state, categories.NEEDS_SIGN_IN)
        elif ready:
            self._publish("ready")
        if connection is not None:
            connection.startup.set_sign_in(sign_in)
        if sign_in is not None:
            self._limit_sign_in_wait()
        elif self._state is State.WAITING:
            self._wake()

    def _limit_sign_in_wait(self) -> None:
        if self._sign_in is not None and self._queue:
            self.cancel(self._sign_in_timer)
            self._sign_in_timer = self.call_later(self._config.timeout.tools, TimerFired("sign-in"))

    @property
    def _idle_limit(self) -> float | None:
        limit = self._config.idle_stop
        return PROBE_IDLE_TIMEOUT if limit is None and not self._wanted else limit

    def _watch_idleness(self) -> None:
        if self._idle_limit is not None:
            self.cancel(self._idle)
            self._idle = self.call_later(self._idle_limit, TimerFired("idle"))

    def _sleep_if_idle(self) -> None:
        limit, connection = self._idle_limit, self._ready_connection
        if connection is None or limit is None:
            return
        silent = self._clock() - connection.last_activity
        if (
            connection.requests.load
            or self._subscriptions
            or connection.server_requests.pending
            or silent < limit
        ):
            self._watch_idleness()
            return
        self._release(connection)
        connection.close()
        self._sleep()

    # Other configurations, and the end ----------------------------------------------------------------------------

    def _on_reconfigure(self, message: upstream.Reconfigure) -> None:
        if self._state is State.STOPPING:
            return
        before, self._config = self._config, message.config
        if message.grace is not None:
            self._replace(message.grace)
        elif message.config != before:
            if self._connection is not None:
                self._connection.reconfigure(message.config)
            self._watch_idleness()
        elif self._history.parked or self._failure.missing:
            # The user may have corrected what kept it from starting; that is no use of it.
            self._wake(wanted=False)

    def _replace(self, grace: float) -> None:
        """Connect with another configuration, while what is in flight on the old connection ends well.

        It starts from the beginning: no failure is remembered, and a lazy server sleeps until it is wanted.
        """
        old = self._connection
        self.cancel(self._retry)
        if old is not None:
            self._connection, self._number = None, next(_numbers)
            self._queue.put_first(old.drain(grace))
        else:
            self._number = next(_numbers)
        self._history, self._failure, self._sign_in = History(), Failure(), None
        self._follow_sign_ins()
        self._wanted = self._config.startup != "lazy" or bool(self._queue or self._subscriptions)
        if self._wanted:
            self._open()
        else:
            self._sleep()

    def _on_stop(self, message: Stop) -> None:
        """Finish what is in flight within the grace; asked again, the shorter grace counts."""
        self._state = State.STOPPING
        self.cancel(self._retry)
        self._fail_queue("dmcp is stopping it")
        self._connection = None
        for connection in list(self._connections.values()):
            for request in connection.drain(message.grace):
                self._give_up(request, "dmcp is stopping it")
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if not self._connections and not self.actor_stopped.is_set():
            post(self._peers.supervisor, lifecycle.ChildStopped(self._group, self._incarnation))
            self.end()

    def on_dead_letter(self, message: object) -> None:
        """Answer a call that came too late, and close a link that did."""
        if isinstance(message, Submit):
            self._give_up(message, "dmcp is stopping it")
        elif isinstance(message, LinkOpened) and message.link is not None:
            Dispatcher.running().spawn_background(message.link.aclose(CLOSE_GRACE))

    def on_end(self) -> None:
        """Whatever ended the actor, its connections end with it."""
        for connection in self._connections.values():
            connection.close()

    _HANDLERS: ClassVar[dict[type, Callable[[Upstream, Any], None]]] = {
        FrameArrived: _on_link_message,
        Submit: _on_submit,
        upstream.Cancel: _on_cancel,
        upstream.AnswerServerRequest: _on_server_request_answered,
        upstream.Notify: _on_notify,
        upstream.ClientJoined: _on_client_joined,
        upstream.ClientLeft: _on_client_left,
        upstream.SetLogLevel: _on_set_log_level,
        upstream.SetFlow: _on_set_flow,
        upstream.Wake: _on_wake,
        upstream.Reconfigure: _on_reconfigure,
        sign_ins.SignInStarted: lambda self, message: self._on_sign_in(SignIn(message.url)),
        sign_ins.SignInInOtherProcess: lambda self, _: self._on_sign_in(SignIn()),
        sign_ins.SignInEnded: lambda self, _: self._on_sign_in(None),
        Stop: _on_stop,
        LinkOpened: _on_link_opened,
        upstream.InvalidOutput: _on_link_message,
        upstream.RequestFailed: _on_link_message,
        upstream.LinkClosed: _on_link_message,
        lifecycle.SlicesDone: _on_slices_done,
        TimerFired: _on_timer,
    }
