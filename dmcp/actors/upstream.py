"""One actor per server and per life of its connection: when it begins, when it is ready, and how it ends.

A life is: (asleep | waiting) -> opening -> open -> initialising -> listing -> ready -> ending. When the connection
fails the actor tells the supervisor and ends; the supervisor starts the next generation, which takes over what may be
repeated. So an actor has one link and one session, and nothing of an old life can reach a new one.
What is said over the link is in ``dmcp.actors.conversation``.
"""

# Long because a life has a beginning, waits and several ends; what is said during it is in conversation.py.

from __future__ import annotations

import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from dmcp import log
from dmcp.actors.conversation import Conversation, Errand
from dmcp.actors.mailbox import BEHIND, LinkMailbox
from dmcp.actors.runtime import Dispatcher, LoopActor, Watch, post
from dmcp.actors.slices import Slices
from dmcp.config.model import StdioServer
from dmcp.errors import AuthError, CommandMissing
from dmcp.messages import catalog, events, lifecycle, supervisor
from dmcp.messages.auth import SignInEnded, SignInInOtherProcess, SignInStarted
from dmcp.messages.upstream import (
    AnswerServerRequest,
    Beginning,
    Cancel,
    ClientJoined,
    ClientLeft,
    FrameArrived,
    LinkClosed,
    LinkOpened,
    NoiseArrived,
    Notify,
    Peers,
    Reconfigure,
    RequestFailed,
    SetFlow,
    SetLogLevel,
    Stop,
    Submit,
    TakeOver,
    Tick,
    Wake,
)
from dmcp.protocol import categories, jsonrpc, upstream_errors
from dmcp.protocol.clients import Client, Clients
from dmcp.protocol.eras.handshake import notification
from dmcp.protocol.limits import MAX_START, MAX_UNHANDLED
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.listing import KINDS
from dmcp.protocol.noise import telling, unexpanded
from dmcp.protocol.operations import RootsChanged, Subscribe, Unsubscribe
from dmcp.protocol.operations import SetLogLevel as SetServerLogLevel
from dmcp.protocol.timing import Activity, ShowsActivity, StartClock
from dmcp.protocol.upstream_errors import SignIn
from dmcp.text import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from dmcp.actors.runtime import LoopInbox
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.link import Link, OpenLink
    from dmcp.protocol.operations import ClientNotification
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.scan import Steps
    from dmcp.protocol.subscriptions import Subscription

MAX_IN_FLIGHT: Final = 256
"""Requests one server is sent, or that wait for it, at once. More get an error."""

CLOSE_GRACE: Final = 1.0
"""Seconds a server gets to end after its input closes, and again after SIGTERM."""

ACQUAINTANCE: Final = 5.0
"""Seconds of silence after which a server that was started only to learn what it offers, and not used, is stopped."""

_FORK_TIME = 10.0  # seconds a process may take to be started, at least
_LAST_LINES = 4  # lines of a failed server's stderr that go into the reason
_LAST_WORDS = 160  # characters of each of them
_TAIL = 5  # lines of its stderr that are told with a lost connection
_NOISE = 200  # characters of what it wrote to stdout that is no message, likewise


class Phase(Enum):
    """Where in its life an upstream is."""

    ASLEEP = auto()
    WAITING = auto()
    OPENING = auto()
    OPEN = auto()
    INITIALISING = auto()
    LISTING = auto()
    READY = auto()
    ENDING = auto()


_CONNECTING: Final = {
    Phase.OPENING: "start",
    Phase.INITIALISING: "answer initialize",
    Phase.LISTING: "list what it offers",
}
"""The phases the connect deadline covers, and what a server failed to do when it passes."""


class Upstream(LoopActor):
    """The actor in front of one server."""

    def __init__(
        self,
        config: ServerConfig,
        beginning: Beginning,
        *,
        open_link: OpenLink,
        peers: Peers,
        watch: Watch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(watch)
        self._inbox = cast("LoopInbox", self.actor_inbox)  # LoopActor makes no other
        self._group = config.name
        self._generation = watch.generation
        self._beginning = beginning
        self._open_link = open_link
        self._peers = peers
        self._clock = clock
        self._born = clock()
        self._phase = Phase.WAITING
        self._clients: Clients[Address] = Clients()
        self._talk = Conversation(
            config, watch.generation, owner=self, peers=peers, clients=self._clients, clock=clock
        )
        self._talk.subscriptions.update(beginning.subscriptions)
        self._slices = Slices(self, self._talk.pause_for_work)
        self._queue: list[Submit] = []
        self._wanted = not beginning.asleep or bool(beginning.repeat)
        # What is asked again as soon as the server is found alive, or in the next life.
        self._repeat: list[Submit] = []
        self._noise = ""  # the first thing it wrote before it was ready that is no message
        self._session_lost = False
        self._failing = ""  # why the server cannot be reached; what is in flight still may land
        self._sign_in: SignIn | None = None
        self._level_sent: str | None = None
        self._summoned = False  # the catalog waits for it on behalf of the client
        self._use_told: bool | None = (
            None  # what the link was told when the server wanted a sign-in, if it did
        )
        self._closing = False
        self._stillborn: LinkFault | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_at = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._start_clock = StartClock(self._born, config.timeout.connect)
        self._idle: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        queued = len(self._queue)
        return (
            f"<Upstream {self._group}#{self._generation} {self._phase.name} {queued} queued {self._talk!r}>"
        )

    def on_start(self) -> None:
        """Connect now, later or on demand, as the beginning says."""
        begin = self._beginning
        self._queue.extend(begin.repeat)
        if begin.repeat:
            patience = min(request.wait_until for request in begin.repeat) - self._clock()
            self.later(max(0.0, patience), Tick("patience"))
        if begin.asleep and not self._queue:
            self._phase = Phase.ASLEEP
            self._say("asleep")
        elif begin.delay > 0:
            self._be_patient(begin.delay, "retry")
        else:
            self._open()

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - one line per message
        """Handle one message, on the loop."""
        # Long because there is a case for each message.
        match message:
            case FrameArrived() | RequestFailed() | LinkClosed() if self._slices.busy:
                self._slices.defer(message)
            case FrameArrived(frame, during):
                self._on_bytes(frame, during)
            case lifecycle.SlicesDone():
                self._slices.on_done(message)
            case Submit():
                self._on_request(message)
            case Cancel(call, reason):
                self._on_cancel(call, reason)
            case AnswerServerRequest():
                self._talk.questions.respond(message)
            case Notify(_, news):
                if self._phase is Phase.READY and self._is_told(news):
                    self._talk.transmit(notification(news))
            case ClientJoined(client, address, profile, log_level, paused):
                self._clients.put(client, Client(address, profile, log_level, paused))
                self._on_clients_changed()
                self._initialise()
            case ClientLeft(client):
                self._on_client_left(client)
            case SetLogLevel(client, level):
                self._clients.set_log_level(client, level)
                self._on_clients_changed()
            case Wake(only_to_learn):
                self._summoned = self._summoned or not (only_to_learn or self._phase is Phase.READY)
                self._wake(wanted=not only_to_learn)
            case Reconfigure(config):
                self._reconfigure(config)
            case SetFlow(client, paused):
                self._clients.set_paused(client, paused=paused)
                self._on_clients_changed()
            case TakeOver(subscriptions):
                self._take_over(subscriptions)
            case SignInStarted(url=url):
                self._on_sign_in(SignIn(url))
            case SignInInOtherProcess() | SignInEnded():
                self._on_sign_in(None if isinstance(message, SignInEnded) else SignIn())
            case LinkOpened(link, error):
                self._on_opened(link, error)
            case NoiseArrived(text):
                if self._phase is not Phase.READY:
                    self._noise = self._noise or text[:_NOISE]
                log.warning(f"sent something that is no message: {text}", self._group)
            case RequestFailed(number, fault):
                self._on_request_failed(number, fault)
            case LinkClosed(fault):
                self._on_closed(fault)
            case Tick(what):
                self._on_tick(what)
            case Stop(grace):
                self._stop_within(grace)
            case _:
                assert_never(message)

    def _is_told(self, news: ClientNotification) -> bool:
        """Return whether a notification of the client is for this server: of roots only one that may ask for them."""
        return self._talk.config.features.roots or not isinstance(news, RootsChanged)

    def _on_bytes(self, frame: bytes, during: int | None) -> None:
        message = jsonrpc.read_at_once(frame)
        if self._phase is not Phase.READY and isinstance(message, jsonrpc.Malformed):
            self._noise = self._noise or frame[:_NOISE].decode("utf-8", "replace")
        if message is not None:
            self._talk.on_frame(message, len(frame), during)
        else:
            work = jsonrpc.read_in_slices(frame)
            self._slices.begin(work, lambda read: self._talk.on_frame(read, len(frame), during))

    def begin_slices(self, work: Steps[Any] | None, then: Callable[[Any], None]) -> None:
        """See ``Owner``."""
        self._slices.begin(work, then)

    # Connecting ---------------------------------------------------------------------------------------------------

    def _say(self, state: catalog.State, reason: str = "", category: str = "") -> None:
        post(self._peers.catalog, catalog.GroupState(self._group, self._generation, state, reason, category))
        post(self._peers.audit, events.ServerState(self._group, self._generation, state, category, reason))

    def _be_patient(self, seconds: float, what: str) -> None:
        self.cancel(self._patience)
        self._patience = self.later(seconds, Tick(what))

    def _open(self) -> None:
        self._phase = Phase.OPENING
        self._start_clock = StartClock(self._clock(), self._talk.config.timeout.connect)
        if not self._beginning.missing:  # else it is looked whether there is something to start
            self._say("connecting", self._beginning.reason, self._beginning.category)
        self._await_start()
        self.own(self._opening(), lambda done: LinkOpened(done.value, done.error))

    async def _opening(self) -> Link:
        gate = self._talk.gate
        mailbox = LinkMailbox(self.actor_ref, self._group, self._is_in_use, inbox=self._inbox, gate=gate)
        link = await self._open_link(mailbox)
        gate.attach(link)  # before its frames are handled: there may be many
        return link

    def drain(self) -> int:
        """See ``LoopActor``; afterwards the server is read on if what it has sent is handled."""
        handled = super().drain()
        gate = self._talk.gate
        if gate.reasons and BEHIND in gate.reasons and len(self._inbox) < MAX_UNHANDLED // 4:
            gate.open(BEHIND)
        return handled

    @property
    def _start_time(self) -> float:
        """Seconds for what it does now. A fork takes a moment, but a busy machine may need long: no server's fault."""
        seconds = self._talk.config.timeout.connect
        forks = self._phase is Phase.OPENING and isinstance(self._talk.config.target, StdioServer)
        return max(seconds, _FORK_TIME) if forks else seconds

    def _await_start(self) -> None:
        seconds = self._talk.config.timeout.connect
        self._be_patient(self._start_time, "connect")
        self.cancel(self._look)
        self._look = self.later(seconds - self._start_clock.step, Tick("look"))

    def _look_at_start(self, what: str) -> bool:
        """Measure what the server does, if its link can tell; the result comes as a timer's message named ``what``."""
        link = self._talk.link
        if not isinstance(link, ShowsActivity):
            return False
        self.own(link.activity(), lambda done: Tick((what, done.value)))
        return True

    def _on_looked(self, activity: Activity | None) -> None:
        """The time to become ready is over. A server that works on it gets more: it may be downloading itself."""
        now, clock = self._clock(), self._start_clock
        if self._phase not in _CONNECTING or self._sign_in is not None:
            return
        if activity is None or not clock.look(activity, now):
            self._give_up_connecting()
            return
        clock.extended = True
        most = f"{MAX_START / 60:g} minutes"
        reason = f"still starting after {clock.taken(now):.0f} s; it is working, and gets up to {most}"
        self._say("connecting", reason)
        post(self._peers.audit, events.StartExtended(self._group, reason))
        if clock.refuses(now):
            self._fail_queue(f"it is {reason}: try again later")
        self._be_patient(clock.step, "connect")

    def _wake(self, *, wanted: bool = True) -> None:
        self._wanted = self._wanted or wanted
        if self._phase is Phase.ASLEEP:
            self._open()
        elif self._phase is Phase.WAITING:
            # Somebody wants the server now. One attempt at once, but no faster than the shortest backoff.
            waited = self._clock() - self._born
            self._be_patient(max(0.0, self._talk.config.restart.backoff_min - waited), "retry")

    def _is_in_use(self) -> bool:
        """Return whether the client waits for this server (see ``LinkEvents``)."""
        waiting = bool(self._queue or self._repeat or self._summoned or self._talk.is_wanted)
        self._use_told = self._use_told or waiting
        return waiting

    def _on_opened(self, link: Link | None, error: BaseException | None) -> None:
        if link is None:
            reason = str(error) or type(error).__name__
            if isinstance(error, AuthError):
                self.lose(FaultKind.UNAUTHORIZED, reason, error.category)
            elif isinstance(error, CommandMissing):
                self.lose(FaultKind.MISSING, reason)
            elif isinstance(self._talk.config.target, StdioServer):
                self.lose(FaultKind.UNREACHABLE, reason, categories.NOT_STARTED)
            else:
                self.lose(FaultKind.UNREACHABLE, reason)
            return
        self._talk.take(link)
        if self._beginning.missing:
            self._say("connecting")
        if self._stillborn is not None:
            self.lose(self._stillborn.kind, self._stillborn.reason, self._stillborn.category)
            return
        self.cancel(self._patience)
        self._phase = Phase.OPEN
        self._initialise()

    def _initialise(self) -> None:
        profile = self._clients.profile
        if self._phase is Phase.OPEN and profile is not None:
            self._phase = Phase.INITIALISING
            self._await_start()
            self._talk.greet(profile)

    def _on_clients_changed(self) -> None:
        """Do what the clients want together now."""
        if self._clients.paused != self._talk.is_held:
            self._talk.hold_back(self._clients.paused)
        self._send_log_level()

    def _on_client_left(self, client: int) -> None:
        """End what a client has left open: its calls, its subscriptions, what the server has asked it."""
        self._clients.remove(client)
        gone = [request.call for request in (*self._queue, *self._repeat) if request.call.client == client]
        unconfirmed = self._talk.subscribing(client)
        for call in (*gone, *self._talk.calls_of(client)):
            self._on_cancel(call, "the client has left")
        self._talk.questions.client_left(client)
        wanted = {*self._talk.subscriptions, *self._talk.subscribing()}
        for uri in (*self._talk.subscriptions.drop(client), *(unconfirmed - wanted)):
            if self._phase is Phase.READY:
                self._talk.run(Errand("unsubscribe"), Unsubscribe(uri))
        self._on_clients_changed()

    def welcomed(self) -> None:
        """See ``Owner``."""
        self._phase = Phase.LISTING
        for kind in self._talk.listings.kinds():
            self._talk.listings.fetch(kind)
        self.listed()

    def listed(self) -> None:
        """See ``Owner``: with the last listing the upstream is ready."""
        if self._phase is not Phase.LISTING or self._talk.listings.tool_index.fetching:
            return
        self.cancel(self._patience)
        self._phase = Phase.READY
        self._summoned = False
        self._sign_in = self._talk.sign_in = None
        for kind in KINDS:
            if kind not in self._talk.listings.kinds():
                self._talk.listings.publish(kind, [], offered=False)
        self._say("ready")
        post(self._peers.supervisor, supervisor.UpstreamReady(self._group, self._generation))
        session = self._talk.session
        news = events.ConnectionReady(self._group, self._generation, session.revision, session.describe())
        post(self._peers.audit, news)
        self._send_log_level()
        self._subscribe(self._talk.subscriptions)
        queue, self._queue = self._queue, []
        for request in queue:
            self._talk.send(request)
        self._watch_idleness()

    def _take_over(self, subscriptions: frozenset[Subscription]) -> None:
        if self._phase is Phase.ENDING:
            self._bequeath(subscriptions)
            return
        self._wanted = True
        new = self._talk.subscriptions.update(subscriptions)
        if self._phase is Phase.READY:
            self._subscribe(new)
        else:
            self._wake()  # one that sleeps would tell of no update

    def _bequeath(self, subscriptions: frozenset[Subscription]) -> None:
        if subscriptions:
            post(self._peers.supervisor, supervisor.Bequeathed(self._group, subscriptions))

    def _subscribe(self, uris: Iterable[str]) -> None:
        for uri in sorted(uris):
            self._talk.run(Errand("subscribe"), Subscribe(uri))

    def _send_log_level(self) -> None:
        level = self._clients.log_level
        wanted = level is not None and level != self._level_sent
        if level is not None and wanted and self._phase is Phase.READY and self._talk.session.has("logging"):
            self._level_sent = level
            self._talk.run(Errand("log level"), SetServerLogLevel(level))

    # Requests while not ready, and bounds -------------------------------------------------------------------------

    def _on_request(self, request: Submit) -> None:
        if self._talk.load + len(self._queue) + len(self._repeat) >= MAX_IN_FLIGHT:
            self._talk.reply(request, error=upstream_errors.overloaded(self._group, MAX_IN_FLIGHT))
        elif self._failing:
            self._repeat.append(request)
        elif self._phase is Phase.READY:
            self._wanted = True
            self._talk.send(request)
        elif self._phase is Phase.ENDING:
            post(self._peers.supervisor, supervisor.Undelivered(self._group, request))
        else:
            self._queue.append(request)
            self._wake()
            self._limit_sign_in_wait()

    def _on_cancel(self, call: CallId, reason: str) -> None:
        self._queue = [request for request in self._queue if request.call != call]
        self._repeat = [request for request in self._repeat if request.call != call]
        self._talk.cancel(call, reason)
        self.landed()

    def _fail_queue(self, reason: str) -> None:
        queue, self._queue = self._queue, []
        for request in queue:
            self._refuse(request, reason)

    def _refuse(self, request: Submit, reason: str) -> None:
        error = upstream_errors.retry_expired(
            self._group, reason, request.operation, may_have_run=request.may_have_run
        )
        self._talk.reply(request, error=error)

    def _lose_patience(self) -> None:
        """What an earlier life handed over has waited long enough for the server to come back."""
        now = self._clock()
        overdue = [request for request in self._queue if 0 < request.wait_until <= now]
        patient = [request.wait_until for request in self._queue if request.wait_until > now]
        for request in overdue:
            self._queue.remove(request)
            self._refuse(request, self._beginning.reason)
        if patient:
            self.later(min(patient) - now, Tick("patience"))

    def _take_patient(self, kind: FaultKind | None) -> list[Submit]:
        """Take back what may wait for yet another life.

        A remote server that cannot be reached in this life either has vanished: what it never got is answered at once.
        What may have run there waits: its server is being restarted, and only another life can tell the outcome.
        """
        self._lose_patience()
        vanished = kind is FaultKind.UNREACHABLE and not isinstance(self._talk.config.target, StdioServer)
        patient = [r for r in self._queue if r.wait_until and (r.may_have_run or not vanished)]
        self._queue = [r for r in self._queue if not any(r is each for each in patient)]
        return patient

    # Time ---------------------------------------------------------------------------------------------------------

    def arm(self) -> None:
        """See ``Owner``."""
        now = self._clock()
        due = self._talk.flights.next_due(now)
        if due is not None and (self._deadline is None or now + due < self._deadline_at):
            self.cancel(self._deadline)
            self._deadline, self._deadline_at = self.later(due, Tick("deadline")), now + due

    def _on_tick(self, what: Any) -> None:  # noqa: C901, PLR0912 - one line per timer
        match what:
            case "deadline":
                self._deadline = None
                self._talk.expire()
            case "retry" if self._phase is Phase.WAITING:
                self._open()
            case "connect" if self._phase in _CONNECTING and self._sign_in is None:
                if self._talk.is_held or not self._look_at_start("looked"):
                    self._give_up_connecting()
            case "look" if self._phase in _CONNECTING:
                self._look_at_start("first look")
            case ("first look", Activity() as activity):
                self._start_clock.look(activity, self._clock())
            case ("looked", activity):
                self._on_looked(activity)
            case "patience":
                self._lose_patience()
            case "sign-in" if self._sign_in is not None:
                self._fail_queue(self._sign_in.action)
            case "idle":
                self._sleep_if_idle()
            case "grace":
                self._close()
            case "closed":
                self._finish()
            case ("question", bytes() as question):
                self._talk.questions.expire(question)
            case "notifications":
                self._talk.notifications.flush()
            case "dropped":
                self._talk.notifications.tell_dropped()
            case ("failed listing", kind):
                self._talk.listings.fetch_failed(kind)
            case ("listing", kind):
                self._talk.listings.fetch_rested(kind)

    def _give_up_connecting(self) -> None:
        seconds = self._talk.config.timeout.connect
        if self._talk.is_held:  # it may have answered: dmcp is not listening
            self._be_patient(seconds, "connect")
        else:
            seconds = self._start_time
            if self._start_clock.extended:
                seconds = round(self._start_clock.taken(self._clock()))
            reason = f"did not {_CONNECTING[self._phase]} within {seconds:g} s"
            self.lose(None, reason, categories.TOO_SLOW)

    def _on_sign_in(self, sign_in: SignIn | None) -> None:
        self._sign_in = self._talk.sign_in = sign_in
        if sign_in is not None or self._phase is Phase.READY:
            state: catalog.State = "ready" if self._phase is Phase.READY else "connecting"
            if sign_in is None:
                self._say(state)
            else:
                self._say(state, sign_in.state, categories.NEEDS_SIGN_IN)
        if self._phase is Phase.WAITING:
            if sign_in is None:
                self._wake()
        elif sign_in is not None:
            self.cancel(self._patience)
            self._limit_sign_in_wait()
        elif self._phase in _CONNECTING:
            self._be_patient(self._talk.config.timeout.connect, "connect")

    def _limit_sign_in_wait(self) -> None:
        if self._sign_in is not None and self._queue:
            self._be_patient(self._talk.config.timeout.tools, "sign-in")

    @property
    def _idle_limit(self) -> float | None:
        limit = self._talk.config.idle_stop
        return ACQUAINTANCE if limit is None and not self._wanted else limit

    def _watch_idleness(self) -> None:
        if self._idle_limit is not None:
            self.cancel(self._idle)
            self._idle = self.later(self._idle_limit, Tick("idle"))

    def _sleep_if_idle(self) -> None:
        limit, talk = self._idle_limit, self._talk
        if self._phase is not Phase.READY or limit is None:
            return
        if talk.load or talk.subscriptions or talk.questions.pending or self._clock() - talk.heard < limit:
            self._watch_idleness()
            return
        post(self._peers.supervisor, supervisor.IdleLongEnough(self._group, self._generation))
        self.end()

    def _reconfigure(self, config: ServerConfig) -> None:
        before, self._talk.config = self._talk.config, config
        self._talk.questions.reconfigure(config)
        self._talk.listings.reconfigure(config)
        self._talk.notifications.reconfigure(config)
        changed = _of_listings(config) != _of_listings(before)
        if self._phase is Phase.READY and changed:
            wanted = self._talk.listings.kinds()
            for kind in KINDS:
                if kind in wanted:
                    self._talk.listings.fetch(kind)
                else:
                    self._talk.listings.publish(kind, [], offered=False)
        self._watch_idleness()

    # The end ------------------------------------------------------------------------------------------------------

    def _on_closed(self, fault: LinkFault) -> None:
        if self._phase is Phase.OPENING:
            self._stillborn = fault  # the link itself, with the server's last words, is still on its way
        else:
            self.lose(fault.kind, fault.reason, fault.category)

    def _on_request_failed(self, number: int, fault: LinkFault) -> None:
        self._session_lost = self._session_lost or fault.kind is FaultKind.SESSION_LOST
        request = self._talk.on_failed(number, fault)
        if request is not None:
            self._repeat.append(request)
            self.landed()

    def found_alive(self) -> None:
        """See ``Owner``: what only the connection failed is asked again, once."""
        if not self._session_lost:  # else the link is about to close, and the next session asks
            again, self._repeat = self._repeat, []
            for request in again:
                self._talk.send(request._replace(repeated=True))

    def missed(self, fault: LinkFault) -> None:
        """See ``Owner``. A server that is down ends this life, but not before what is in flight has landed."""
        if fault.kind is FaultKind.UNREACHABLE:
            self._failing = fault.reason
            self.landed()
        else:
            self.found_alive()  # it answers, if only to refuse a ping

    def lose(self, kind: FaultKind | None, reason: str, category: str = "") -> None:
        """See ``Owner``. Answers what cannot be repeated, hands over what can, and ends this life."""
        if self._phase is Phase.ENDING:
            self._answer_rest(reason)
            self._finish()
            return
        was_ready = self._phase is Phase.READY
        tail = self._talk.link.stderr_tail() if self._talk.link is not None else ()
        category = category or categories.of_kind(kind)
        reason = log.mask(self._with_last_words(reason, tail))
        stderr = tuple(tail)[-_TAIL:]
        kind_name = kind.value if kind is not None else ""
        post(
            self._peers.audit,
            events.ConnectionLost(
                self._group, self._generation, kind_name, category, reason, stderr, was_ready
            ),
        )
        carrying = self._talk.is_carrying
        late, summoned = self._take_late(kind)
        self._repeat += self._talk.break_off(reason) + self._take_patient(kind)
        used = (carrying or self._repeat or self._talk.subscriptions) if was_ready else self._wanted
        self._fail_queue(reason)
        patience = self._clock() + self._talk.config.timeout.connect
        if was_ready or not used:  # not used: it is about to sleep
            self._say("connecting", f"restarting: {reason}", category)
        else:
            self._say("unavailable", reason, category)
        news = supervisor.UpstreamLost(
            self._group,
            self._generation,
            kind,
            reason,
            repeat=tuple(r._replace(repeated=True, wait_until=r.wait_until or patience) for r in self._repeat)
            + late,
            subscriptions=self._talk.subscriptions.all(),
            was_ready=was_ready,
            unused=not used,
            category=category,
            at_once=bool(late) or summoned,
        )
        post(self._peers.supervisor, news)
        self.end()

    def _take_late(self, kind: FaultKind | None) -> tuple[tuple[Submit, ...], bool]:
        """Take out what came so late that nobody was asked to sign in for it: in the next life somebody is.

        Returns the requests, and whether the catalog waits too.
        """
        if kind is not FaultKind.UNAUTHORIZED or self._use_told is not False:
            return (), False
        late, self._queue = tuple(self._queue), []
        return late, self._summoned

    def _with_last_words(self, reason: str, tail: Sequence[str]) -> str:
        # Masked before it is cut: half a secret is not known as one.
        lines = (printable(log.mask(line, None), _LAST_WORDS) for line in telling(tail, _LAST_LINES))
        words = " | ".join(lines)
        if (
            self._noise
            and self._phase is not Phase.READY
            and isinstance(self._talk.config.target, StdioServer)
        ):
            noise = printable(log.mask(self._noise, None), _NOISE)
            reason = f"{reason}; it wrote to stdout what is no MCP message: '{noise}'"
        target = self._talk.config.target
        if (
            self._phase is not Phase.READY
            and isinstance(target, StdioServer)
            and (sign := unexpanded(target.args))
        ):
            reason = f"{reason}; an argument begins with {sign}, which nothing expands: write the whole path"
        return f"{reason} (its last words: {words})" if words else reason

    def _stop_within(self, grace: float) -> None:
        if self._phase is Phase.ENDING:
            self._close()
            return
        self._phase = Phase.ENDING
        self.cancel(self._patience)
        waiting, self._queue = self._queue + self._talk.take_doubtful(), []
        for request in waiting:
            post(self._peers.supervisor, supervisor.Undelivered(self._group, request))
        self._bequeath(self._talk.subscriptions.all())
        self.later(grace, Tick("grace"))
        self.landed()

    def landed(self) -> None:
        """See ``Owner``: an upstream that is to end does so when nothing of the client's is in flight any more."""
        if not (self._failing or self._phase is Phase.ENDING) or self._talk.is_carrying:
            return  # as after nearly every call: whether another one is in flight need not be known then
        if self._phase is Phase.ENDING:
            self._close()
        elif self._failing:
            self.lose(FaultKind.UNREACHABLE, self._failing)

    def _answer_rest(self, reason: str) -> None:
        """There is no next life to repeat anything in."""
        for request in self._repeat + self._talk.break_off(reason):
            self._refuse(request, reason)
        self._repeat.clear()

    def _close(self) -> None:
        self._answer_rest("dmcp is stopping it")
        self._talk.gate.detach()
        link, self._talk.link = self._talk.link, None
        if link is not None:
            self._closing = True
            self.own(link.aclose(CLOSE_GRACE), lambda _: Tick("closed"))
        elif not self._closing:
            self._finish()

    def _finish(self) -> None:
        post(self._peers.supervisor, lifecycle.ChildStopped(self._group, self._generation))
        self.end()

    def on_leftover(self, message: object) -> None:
        """A message that came too late: no request or subscription must be lost, nor a link left open."""
        if isinstance(message, Submit):
            post(self._peers.supervisor, supervisor.Undelivered(self._group, message))
        elif isinstance(message, TakeOver):
            self._bequeath(message.subscriptions)
        elif isinstance(message, LinkOpened) and message.link is not None:
            Dispatcher.running().see_off(message.link.aclose(CLOSE_GRACE))

    def on_end(self) -> None:
        """Whatever ended this life, its connection ends with it."""
        self._talk.gate.detach()
        if self._talk.link is not None:
            Dispatcher.running().see_off(self._talk.link.aclose(CLOSE_GRACE))


def _of_listings(config: ServerConfig) -> tuple[object, ...]:
    """Return the part of a configuration that decides what is listed."""
    return config.features, config.tools, config.limits.listing_entries, config.limits.listing_bytes
