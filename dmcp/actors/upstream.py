"""One actor per server and per life of its connection: handshake, requests in flight, questions, the end.

A life is: (asleep | waiting) -> opening -> open -> initialising -> listing -> ready -> ending. When the connection
fails the actor tells the supervisor and ends; the supervisor starts the next generation, which takes over what may be
repeated. So an actor has one link, one session and one in-flight table, and nothing of an old life can reach a new one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp import log
from dmcp.actors.mailbox import LinkMailbox
from dmcp.actors.runtime import Dispatcher, LoopActor, Watch, post
from dmcp.errors import UpstreamError
from dmcp.messages import catalog, frontend, lifecycle, supervisor
from dmcp.messages.upstream import (
    Beginning,
    Cancel,
    FrameArrived,
    HoldBack,
    Inform,
    Initialise,
    LinkClosed,
    LinkOpened,
    NoiseArrived,
    Peers,
    Reconfigure,
    Request,
    RequestFailed,
    Respond,
    SetLogLevel,
    SignInPending,
    Stop,
    Tick,
    Wake,
)
from dmcp.protocol import jsonrpc, listing, tools, verdicts
from dmcp.protocol.flights import FlightTable
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.session import ClientSession

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import Link, OpenLink

MAX_IN_FLIGHT: Final = 256
"""Requests one server is sent, or that wait for it, at once. More get an error."""

PING_PATIENCE: Final = 10.0
"""Seconds a silent server gets to answer a ping before it counts as hung."""

CLOSE_GRACE: Final = 1.0
"""Seconds a server gets to end after its input closes, and again after SIGTERM."""

_QUESTION_PATIENCE = 1800.0  # seconds a person may take to answer a server's question
_MAX_BACKLOG = 64 * 1024 * 1024  # bytes a server may leave unread before it gets no more


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


@dataclass(frozen=True, slots=True)
class Errand:
    """A request dmcp makes for itself; ``purpose`` says what its answer is for."""

    purpose: str
    collector: listing.Collector | None = None


Cargo = Request | Errand


class Upstream(LoopActor):
    """The actor in front of one server."""

    def __init__(
        self,
        config: ServerConfig,
        generation: int,
        beginning: Beginning,
        open_link: OpenLink,
        peers: Peers,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(watch)
        self._config = config
        self._group = config.name
        self._generation = generation
        self._beginning = beginning
        self._open_link = open_link
        self._peers = peers
        self._clock = clock
        self._phase = Phase.WAITING
        self._born = clock()
        self._profile = beginning.profile
        self._log_level = beginning.log_level
        self._link: Link | None = None
        self._session = ClientSession()
        self._flights: FlightTable[Cargo] = FlightTable()
        self._queue: list[Request] = []
        self._repeat: list[Request] = []
        self._doubtful: list[Request] = []
        self._questions: set[bytes] = set()
        self._subscriptions = set(beginning.subscriptions)
        self._tools: dict[str, JsonObject] = {}
        self._tools_known = False
        self._listing: dict[str, bool] = {}  # kind -> whether it has to be fetched once more
        self._heard = 0.0
        self._held = False
        self._sign_in_url = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Upstream {self._group}#{self._generation} {self._phase.name} {self._flights!r}>"

    def on_start(self) -> None:
        """Connect now, later or on demand, as the beginning says."""
        begin = self._beginning
        self._queue.extend(begin.repeat)
        if begin.asleep and not self._queue:
            self._phase = Phase.ASLEEP
            self._say("asleep")
        elif begin.delay > 0:
            self._patience = self.later(begin.delay, Tick("retry"))
        else:
            self._open()

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912 - one line per message
        """Handle one message, on the loop."""
        match message:
            case FrameArrived(frame):
                self._on_frame(jsonrpc.read(frame))
            case Request():
                self._on_request(message)
            case Cancel(ticket, reason):
                self._on_cancel(ticket, reason)
            case Respond():
                self._on_respond(message)
            case Inform(method, params):
                self._inform(method, params)
            case Initialise(profile):
                self._profile = profile
                if self._phase is Phase.OPEN:
                    self._initialise()
            case SetLogLevel(level):
                self._log_level = level
                self._send_log_level()
            case Wake():
                self._wake()
            case Reconfigure(config):
                self._reconfigure(config)
            case HoldBack(hold):
                self._hold_back(hold)
            case SignInPending(pending, url):
                self._on_sign_in(url if pending else "")
            case LinkOpened(link, error):
                self._on_opened(link, error)
            case NoiseArrived(text):
                log.warning(f"sent something that is no message: {text}", self._group)
            case RequestFailed(number, fault):
                self._on_request_failed(number, fault)
            case LinkClosed(fault):
                self._lose(fault.kind, fault.reason)
            case Tick(what):
                self._on_tick(what)
            case Stop(grace):
                self._stop_within(grace)
            case _:
                assert_never(message)

    # Connecting ---------------------------------------------------------------------------------------------------

    def _say(self, state: catalog.State, reason: str = "") -> None:
        self._peers.catalog.tell(catalog.GroupState(self._group, self._generation, state, reason))

    def _open(self) -> None:
        self._phase = Phase.OPENING
        self._say("connecting", self._beginning.reason)
        self._be_patient(self._config.timeout.connect, "connect")
        opening = self._open_link(LinkMailbox(self.actor_ref, self._group))
        self.own(opening, lambda done: LinkOpened(done.value, done.error))

    def _be_patient(self, seconds: float, what: str) -> None:
        self.cancel(self._patience)
        self._patience = self.later(seconds, Tick(what))

    def _wake(self) -> None:
        if self._phase is Phase.ASLEEP:
            self._open()
        elif self._phase is Phase.WAITING:
            # Somebody wants the server now. One attempt at once, but no faster than the shortest backoff.
            waited = self._clock() - self._born
            self._be_patient(max(0.0, self._config.restart.backoff_min - waited), "retry")

    def _on_opened(self, link: Link | None, error: BaseException | None) -> None:
        if link is None:
            self._lose(FaultKind.UNREACHABLE, str(error) or type(error).__name__)
            return
        self._link = link
        if self._phase is Phase.ENDING:
            self._close()
            return
        self.cancel(self._patience)
        self._phase = Phase.OPEN
        if self._profile is not None:
            self._initialise()

    def _initialise(self) -> None:
        if self._profile is None:
            return
        self._phase = Phase.INITIALISING
        self._be_patient(self._config.timeout.connect, "connect")
        self._run_errand(Errand("initialize"), "initialize", ClientSession.hello(self._profile))

    def _on_welcome(self, result: Any) -> None:
        try:
            self._session.welcome(result)
        except UpstreamError as error:
            self._lose(None, str(error))
            return
        self._transmit(jsonrpc.notification("notifications/initialized"))
        if self._link is not None:
            self._link.established(self._session.revision)
        self._phase = Phase.LISTING
        for kind in self._kinds():
            self._list(kind)
        self._ready_if_listed()

    def _kinds(self) -> list[catalog.Kind]:
        features, kinds = self._config.features, list[catalog.Kind]()
        if features.tools and self._session.has("tools"):
            kinds.append("tools")
        if features.resources and self._session.has("resources"):
            kinds += ["resources", "templates"]
        if features.prompts and self._session.has("prompts"):
            kinds.append("prompts")
        return kinds

    def _ready_if_listed(self) -> None:
        if self._phase is not Phase.LISTING or self._listing:
            return
        self.cancel(self._patience)
        self._phase = Phase.READY
        self._sign_in_url = ""
        for kind in ("tools", "resources", "templates", "prompts"):
            if kind not in self._kinds():
                self._publish(kind, [], offered=False)
        self._say("ready")
        self._peers.supervisor.tell(supervisor.UpstreamReady(self._group, self._generation))
        log.info(f"ready, protocol {self._session.revision}", self._group)
        self._send_log_level()
        for uri in sorted(self._subscriptions):
            self._run_errand(Errand("subscribe"), "resources/subscribe", {"uri": uri})
        queue, self._queue = self._queue, []
        for request in queue:
            self._send(request)
        self._watch_idleness()

    def _send_log_level(self) -> None:
        if self._phase is Phase.READY and self._log_level and self._session.has("logging"):
            self._run_errand(Errand("log level"), "logging/setLevel", {"level": self._log_level})

    # Listings -----------------------------------------------------------------------------------------------------

    def _list(self, kind: catalog.Kind, cursor: str | None = None, collector: listing.Collector | None = None) -> None:
        if collector is None:
            if kind in self._listing:
                self._listing[kind] = True
                return
            self._listing[kind] = False
            collector = listing.Collector(kind)
        params = {} if cursor is None else {"cursor": cursor}
        self._run_errand(Errand("list", collector), listing.METHODS[kind], params)

    def _on_page(self, collector: listing.Collector, result: Any) -> None:
        cursor = collector.take(result)
        if cursor is not None:
            self._list(collector.kind, cursor, collector)
            return
        for remark in collector.remarks:
            log.warning(remark, self._group)
        self._publish(collector.kind, collector.entries)
        if self._listing.pop(collector.kind, False):
            self._list(collector.kind)
        if collector.kind == "tools":
            self._settle_doubts()
        self._ready_if_listed()

    def _on_listing_failed(self, collector: listing.Collector, reason: str) -> None:
        log.warning(f"{listing.METHODS[collector.kind]} failed: {reason}", self._group)
        self._listing.pop(collector.kind, None)
        if self._phase is Phase.LISTING:
            self._publish(collector.kind, collector.entries, complete=False)
        if collector.kind == "tools":
            self._settle_doubts()
        self._ready_if_listed()

    def _publish(
        self, kind: catalog.Kind, entries: list[JsonObject], *, offered: bool = True, complete: bool = True
    ) -> None:
        if kind == "tools":
            self._tools = {entry["name"]: entry for entry in entries}
            self._tools_known = complete
            entries = [entry for entry in entries if tools.is_selected(self._config.tools, entry["name"])]
        self._peers.catalog.tell(catalog.Listed(self._group, self._generation, kind, tuple(entries), offered))

    def _settle_doubts(self) -> None:
        doubtful, self._doubtful = self._doubtful, []
        for request in doubtful:
            self._send(request, doubted=True)

    # Requests -----------------------------------------------------------------------------------------------------

    def _on_request(self, request: Request) -> None:
        if len(self._flights) + len(self._queue) + len(self._doubtful) >= MAX_IN_FLIGHT:
            self._reply(request, error=verdicts.overloaded(self._group, MAX_IN_FLIGHT))
        elif self._phase is Phase.READY:
            self._send(request)
        elif self._phase is Phase.ENDING:
            self._peers.supervisor.tell(supervisor.Undelivered(self._group, request))
        else:
            self._queue.append(request)
            self._wake()
            self._limit_sign_in_wait()

    def _send(self, request: Request, *, doubted: bool = False) -> None:
        link = self._link
        if request.method == "tools/call":
            refusal = self._refusal(request, doubted=doubted)
            if refusal is not None:
                self._reply(request, result=refusal)
                return
            if not doubted and self._tools_known and request.params.get("name") not in self._tools:
                # The server may have got the tool since it was asked: look once more before refusing.
                self._doubtful.append(request)
                self._list("tools")
                return
        if link is None or link.backlog > _MAX_BACKLOG:
            self._reply(request, error=verdicts.unavailable(self._group, "it does not read what it is sent"))
            return
        number = self._flights.launch(request, verdicts.timeout_of(request.method, self._config.timeout), self._clock())
        params = request.params
        if request.wants_progress:
            params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": number}}
        link.send(jsonrpc.request(b"%d" % number, request.method, params), number)
        self._arm()

    def _refusal(self, request: Request, *, doubted: bool) -> bytes | None:
        name = request.params.get("name")
        if not isinstance(name, str):
            return None
        if not tools.is_selected(self._config.tools, name):
            text = f"The tool {name!r} of {self._group} is switched off in dmcp's configuration."
            return tools.text_result(text, failed=True)
        if doubted and self._tools_known and name not in self._tools:
            known = [tool for tool in self._tools if tools.is_selected(self._config.tools, tool)]
            return tools.unknown("tool", name, known, f" in group {self._group!r}")
        return None

    def _run_errand(self, errand: Errand, method: str, params: JsonObject) -> None:
        patience = PING_PATIENCE if errand.purpose == "ping" else verdicts.timeout_of(method, self._config.timeout)
        if errand.purpose == "initialize":
            patience = self._config.timeout.connect * 100  # the connect deadline decides, and it can be suspended
        number = self._flights.launch(errand, patience, self._clock())
        if self._link is not None:
            self._link.send(jsonrpc.request(b"%d" % number, method, params), number)
        self._arm()

    def _transmit(self, frame: bytes) -> None:
        if self._link is not None:
            self._link.send(frame)

    def _inform(self, method: str, params: JsonObject) -> None:
        if self._phase is Phase.READY:
            self._transmit(jsonrpc.notification(method, params or None))

    def _hold_back(self, hold: bool) -> None:
        """Answers wait unread while the client does not keep up; that is no fault of the server's."""
        self._held = hold
        if self._link is not None:
            (self._link.pause if hold else self._link.resume)()
        self._set_clock()

    def _set_clock(self) -> None:
        if self._questions or self._held:
            self._flights.hold(self._clock())
        else:
            self._flights.release(self._clock())
            self._arm()

    def _on_cancel(self, ticket: int, reason: str) -> None:
        for pending in (self._queue, self._doubtful):
            pending[:] = [request for request in pending if request.ticket != ticket]
        for number, cargo in self._flights.all():
            if isinstance(cargo, Request) and cargo.ticket == ticket:
                self._flights.land(number)
                self._give_up(number, reason)
        self._settle()

    def _give_up(self, number: int, reason: str) -> None:
        params: JsonObject = {"requestId": number}
        if reason:
            params["reason"] = reason
        self._transmit(jsonrpc.notification("notifications/cancelled", params))
        if self._link is not None:
            self._link.abandon(number)

    def _reply(self, request: Request, *, result: bytes | None = None, error: bytes | None = None) -> None:
        post(request.reply_to, frontend.Reply(request.ticket, result, error))

    # What the server says -----------------------------------------------------------------------------------------

    def _on_frame(self, message: jsonrpc.Message) -> None:
        self._heard = self._clock()
        match message:
            case jsonrpc.Answer():
                self._on_answer(message)
            case jsonrpc.Note(method, params):
                self._on_note(method, params)
            case jsonrpc.Call():
                self._on_call(message)
            case jsonrpc.Malformed():
                self._on_malformed(message)
            case jsonrpc.Batch(messages):
                for single in messages:
                    self._on_frame(single)

    def _on_answer(self, answer: jsonrpc.Answer) -> None:
        cargo = self._flights.land(int(answer.id)) if answer.id.isdigit() else None
        match cargo:
            case Request():
                self._on_outcome(cargo, answer)
            case Errand():
                self._on_errand_done(cargo, answer)
            case None:
                log.debug(f"answered id {answer.id.decode()}, which waits for no answer", self._group)
        self._settle()

    def _on_outcome(self, request: Request, answer: jsonrpc.Answer) -> None:
        if answer.error is not None:
            self._reply(request, error=verdicts.with_group(self._group, answer.error, answer.value))
            return
        self._reply(request, result=answer.result)
        if request.method == "tools/call":
            uris = verdicts.resources_named(answer)
            if uris:
                self._peers.catalog.tell(catalog.Learned(self._group, uris))
        elif request.method == "resources/subscribe":
            self._subscriptions.add(str(request.params.get("uri")))
        elif request.method == "resources/unsubscribe":
            self._subscriptions.discard(str(request.params.get("uri")))

    def _on_errand_done(self, errand: Errand, answer: jsonrpc.Answer) -> None:
        failure = self._error_text(answer) if answer.error is not None else ""
        if errand.purpose == "initialize":
            if failure:
                self._lose(None, f"refused to initialize: {failure}")
            else:
                self._on_welcome(answer.value)
        elif errand.collector is not None:
            if failure:
                self._on_listing_failed(errand.collector, failure)
            else:
                self._on_page(errand.collector, answer.value)
        elif failure and errand.purpose != "ping":  # an error is an answer: the server is alive
            log.warning(f"{errand.purpose} failed: {failure}", self._group)

    @staticmethod
    def _error_text(answer: jsonrpc.Answer) -> str:
        message = answer.value.get("message") if isinstance(answer.value, dict) else None
        return str(message or answer.value)

    def _on_malformed(self, message: jsonrpc.Malformed) -> None:
        cargo = self._flights.land(int(message.id)) if message.id.isdigit() else None
        if isinstance(cargo, Request):
            self._reply(cargo, error=verdicts.unreadable(self._group, message.message))
        elif isinstance(cargo, Errand):
            details = jsonrpc.error_object(message.code, message.message)
            self._on_errand_done(cargo, jsonrpc.Answer(message.id, None, details, {"message": message.message}))
        else:
            log.warning(f"sent something that is no message: {message.message}", self._group)

    def _on_call(self, call: jsonrpc.Call) -> None:
        if call.method == "ping":
            self._transmit(jsonrpc.result(call.id, b"{}"))
            return
        self._questions.add(call.id)
        self._set_clock()
        self.later(_QUESTION_PATIENCE, Tick(("question", call.id)))
        question = frontend.Question(self._group, self.actor_ref, call.id, call.method, call.params)
        self._peers.frontend.tell(question)

    def _on_respond(self, answer: Respond) -> None:
        if answer.question not in self._questions:
            return
        self._drop_question(answer.question)
        if answer.error is not None:
            self._transmit(jsonrpc.failure(answer.question, answer.error))
        else:
            self._transmit(jsonrpc.result(answer.question, answer.result or b"{}"))

    def _drop_question(self, question: bytes) -> None:
        self._questions.discard(question)
        self._set_clock()

    def _on_note(self, method: str, params: JsonObject) -> None:
        match method:
            case "notifications/progress":
                self._on_progress(params)
            case "notifications/message":
                logger = params.get("logger")
                name = f"{self._group}/{logger}" if isinstance(logger, str) and logger else self._group
                self._announce(method, {**params, "logger": name})
            case "notifications/resources/updated":
                self._peers.catalog.tell(catalog.ResourceUpdated(self._group, params))
            case "notifications/tools/list_changed":
                self._list_again("tools")
            case "notifications/resources/list_changed":
                self._list_again("resources", "templates")
            case "notifications/prompts/list_changed":
                self._list_again("prompts")
            case "notifications/cancelled":
                question = jsonrpc.encode(params.get("requestId"))
                if question in self._questions:
                    self._drop_question(question)
                    reason = str(params.get("reason", ""))
                    self._peers.frontend.tell(frontend.QuestionWithdrawn(self.actor_ref, question, reason))
            case _:
                self._announce(method, params)

    def _announce(self, method: str, params: JsonObject) -> None:
        self._peers.frontend.tell(frontend.Announce(method, params or None))

    def _list_again(self, *kinds: catalog.Kind) -> None:
        for kind in kinds:
            if kind in self._kinds() and self._phase in (Phase.LISTING, Phase.READY):
                self._list(kind)

    def _on_progress(self, params: JsonObject) -> None:
        token = params.get("progressToken")
        cargo = self._flights.get(token) if isinstance(token, int) else None
        if isinstance(cargo, Request) and cargo.wants_progress and isinstance(token, int):
            self._flights.extend(token, self._clock())
            post(cargo.reply_to, frontend.Progressed(cargo.ticket, params))

    # Time ---------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._deadline is None:
            due = self._flights.next_due(self._clock())
            if due is not None:
                self._deadline = self.later(due, Tick("deadline"))

    def _on_tick(self, what: Any) -> None:
        match what:
            case "deadline":
                self._deadline = None
                self._on_deadline()
            case "retry":
                if self._phase is Phase.WAITING:
                    self._open()
            case "connect":
                seconds = self._config.timeout.connect
                if self._sign_in_url:
                    return
                if self._phase in (Phase.OPENING, Phase.INITIALISING, Phase.LISTING):
                    doing = "start" if self._phase is Phase.OPENING else "answer initialize"
                    self._lose(None, f"did not {doing} within {seconds:g} s")
            case "sign-in":
                self._fail_queue(f"sign in first, at {self._sign_in_url}")
            case "idle":
                self._sleep_if_idle()
            case "grace" | "closed":
                self._close() if what == "grace" else self._finish()
            case ("question", bytes() as question):
                if question in self._questions:
                    self._drop_question(question)
                    text = jsonrpc.error_object(jsonrpc.INTERNAL_ERROR, "the person did not answer in time")
                    self._transmit(jsonrpc.failure(question, text))
                    withdrawn = frontend.QuestionWithdrawn(self.actor_ref, question, "timed out")
                    self._peers.frontend.tell(withdrawn)
            case _:
                raise AssertionError(what)

    def _on_deadline(self) -> None:
        now = self._clock()
        for number, cargo in self._flights.due(now):
            if isinstance(cargo, Request):
                seconds = verdicts.timeout_of(cargo.method, self._config.timeout)
                self._reply(cargo, error=verdicts.timed_out(self._group, cargo.method, seconds))
                self._give_up(number, "timed out")
                if now - self._heard >= seconds:
                    self._ask_for_life()
            elif cargo.purpose == "ping":
                self._lose(FaultKind.EXITED, f"hangs: silent, and no answer to ping within {PING_PATIENCE:g} s")
                return
            elif cargo.collector is not None:
                self._on_listing_failed(cargo.collector, "timed out")
        self._arm()
        self._settle()

    def _ask_for_life(self) -> None:
        if not any(isinstance(cargo, Errand) and cargo.purpose == "ping" for _, cargo in self._flights.all()):
            self._run_errand(Errand("ping"), "ping", {})

    def _on_sign_in(self, url: str) -> None:
        self._sign_in_url = url
        if url:
            self.cancel(self._patience)
            self._say("connecting", f"waiting for the person to sign in at {url}")
            self._limit_sign_in_wait()
        elif self._phase in (Phase.OPENING, Phase.INITIALISING, Phase.LISTING):
            self._be_patient(self._config.timeout.connect, "connect")

    def _limit_sign_in_wait(self) -> None:
        if self._sign_in_url and self._queue:
            self._be_patient(self._config.timeout.tools, "sign-in")

    def _fail_queue(self, reason: str) -> None:
        queue, self._queue = self._queue, []
        for request in queue:
            self._reply(request, error=verdicts.unavailable(self._group, reason))

    def _watch_idleness(self) -> None:
        if self._config.idle_stop is not None:
            self.cancel(self._idle)
            self._idle = self.later(self._config.idle_stop, Tick("idle"))

    def _sleep_if_idle(self) -> None:
        if self._phase is not Phase.READY or self._config.idle_stop is None:
            return
        if len(self._flights) or self._subscriptions or self._clock() - self._heard < self._config.idle_stop:
            self._watch_idleness()
            return
        self._peers.supervisor.tell(supervisor.IdleLongEnough(self._group, self._generation))
        self.end()

    def _reconfigure(self, config: ServerConfig) -> None:
        features_changed = config.features != self._config.features or config.tools != self._config.tools
        self._config = config
        if features_changed and self._phase is Phase.READY:
            for kind in ("tools", "resources", "templates", "prompts"):
                if kind in self._kinds():
                    self._list(kind)
                else:
                    self._publish(kind, [], offered=False)
        self._watch_idleness()

    # The end ------------------------------------------------------------------------------------------------------

    def _on_request_failed(self, number: int, fault: LinkFault) -> None:
        cargo = self._flights.land(number)
        if isinstance(cargo, Request):
            if fault.kind is FaultKind.SESSION_LOST and self._may_repeat(cargo, may_have_run=fault.may_have_run):
                self._repeat.append(cargo)
            else:
                error = verdicts.lost(self._group, fault.reason, may_have_run=fault.may_have_run)
                self._reply(cargo, error=error)
        elif isinstance(cargo, Errand):
            if cargo.purpose == "initialize":
                self._lose(fault.kind, fault.reason)
            elif cargo.collector is not None:
                self._on_listing_failed(cargo.collector, fault.reason)
        self._settle()

    def _may_repeat(self, request: Request, *, may_have_run: bool) -> bool:
        if request.repeated:
            return False
        return not may_have_run or verdicts.is_repeatable(request.method, request.params, self._tools)

    def _lose(self, kind: FaultKind | None, reason: str) -> None:
        """The connection is gone: answer what cannot be repeated, hand over what can, and end."""
        if self._phase is Phase.ENDING:
            self._finish()
            return
        was_ready = self._phase is Phase.READY
        reason = log.mask(self._with_stderr(reason, was_ready=was_ready))
        for _, cargo in self._flights.all():
            if isinstance(cargo, Request):
                if self._may_repeat(cargo, may_have_run=True):
                    self._repeat.append(cargo)
                else:
                    self._reply(cargo, error=verdicts.lost(self._group, reason, may_have_run=True))
        self._fail_queue(reason)
        self._repeat += self._doubtful
        self._peers.frontend.tell(frontend.QuestionWithdrawn(self.actor_ref, None, reason))
        self._say("connecting" if was_ready else "unavailable", f"restarting: {reason}" if was_ready else reason)
        repeat = tuple(
            Request(r.ticket, r.method, r.params, r.reply_to, r.wants_progress, repeated=True) for r in self._repeat
        )
        news = supervisor.UpstreamLost(
            self._group, self._generation, kind, reason, repeat, frozenset(self._subscriptions), was_ready
        )
        self._peers.supervisor.tell(news)
        self.end()

    def _with_stderr(self, reason: str, *, was_ready: bool) -> str:
        tail = list(self._link.stderr_tail()) if self._link is not None else []
        if not tail:
            return reason
        return f"{reason} (its last words: {' | '.join(tail[-2 if was_ready else -5 :])[-600:]})"

    def _stop_within(self, grace: float) -> None:
        if self._phase is Phase.ENDING:
            self._close()
            return
        waiting, self._queue = self._queue + self._doubtful, []
        self._doubtful = []
        opening = self._phase is Phase.OPENING
        self._phase = Phase.ENDING
        for request in waiting:
            self._peers.supervisor.tell(supervisor.Undelivered(self._group, request))
        self.cancel(self._patience)
        if opening:
            self._finish()
        elif not self._settle():
            self._patience = self.later(grace, Tick("grace"))

    def _settle(self) -> bool:
        """Close when this actor was asked to stop and nothing of the client's is in flight any more."""
        if self._phase is not Phase.ENDING:
            return False
        if any(isinstance(cargo, Request) for _, cargo in self._flights.all()):
            return False
        self._close()
        return True

    def _close(self) -> None:
        for number, cargo in self._flights.all():
            self._flights.land(number)
            if isinstance(cargo, Request):
                self._reply(cargo, error=verdicts.lost(self._group, "dmcp is stopping it", may_have_run=True))
        link, self._link = self._link, None
        if link is None:
            self._finish()
        else:
            self.own(link.aclose(CLOSE_GRACE), lambda _: Tick("closed"))

    def _finish(self) -> None:
        self._peers.supervisor.tell(lifecycle.ChildStopped(self._group, self._generation))
        self.end()

    def on_leftover(self, message: object) -> None:
        """A message that came too late: a request must not be lost."""
        if isinstance(message, Request):
            self._peers.supervisor.tell(supervisor.Undelivered(self._group, message))
        elif isinstance(message, LinkOpened) and message.link is not None:
            Dispatcher.running().see_off(message.link.aclose(CLOSE_GRACE))

    def on_end(self) -> None:
        """Whatever ended this life, its connection ends with it."""
        if self._link is not None:
            Dispatcher.running().see_off(self._link.aclose(CLOSE_GRACE))

