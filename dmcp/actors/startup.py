"""The start of a connection: opening the link, the handshake, and the time they may take. Part of a connection.

A server that works on its start gets more time than the configuration gives it: it may be downloading itself.
What counts as work is in ``dmcp.protocol.timing``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from dmcp import log
from dmcp.actors.in_flight import InternalRequest
from dmcp.config.model import StdioServer
from dmcp.errors import AuthError, CommandMissing, UpstreamError
from dmcp.messages.upstream import LinkOpened, TimerFired
from dmcp.protocol import categories, server_requests, upstream_errors
from dmcp.protocol.eras import handshake
from dmcp.protocol.limits import MAX_AT_ONCE, MAX_QUESTION, MAX_START, MAX_VALUES, MIB
from dmcp.protocol.link import FaultKind
from dmcp.protocol.noise import telling, unexpanded
from dmcp.protocol.operations import Initialized
from dmcp.protocol.timing import Activity, ShowsActivity, StartClock
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import Task, TimerHandle
    from collections.abc import Callable, Sequence

    from dmcp.actors.connection import Connection
    from dmcp.actors.mailbox import LinkMailbox
    from dmcp.actors.runtime import LoopActor
    from dmcp.messages import Address
    from dmcp.protocol import jsonrpc
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.link import Link, LinkFault, OpenLink
    from dmcp.protocol.operations import ClientProfile
    from dmcp.protocol.upstream_errors import SignIn

_SPAWN_TIME: Final = 10.0  # seconds a process may take to be started, at least
_TAIL_LINES: Final = 4  # lines of a failed server's stderr that go into the reason
_TAIL_WIDTH: Final = 160  # characters of each of them
_NOISE: Final = 200  # characters of what it wrote to stdout that is no message, likewise
_LONG_RESULT: Final = (
    f"answered initialize with more than dmcp reads ({MAX_AT_ONCE // MIB} MiB, {MAX_VALUES:,} values)"
)
_NEVER = 10.0**9  # seconds: the connect deadline decides about initialize, and it can be suspended


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


class Timers(Protocol):
    """Where the timers of a connection are started: each comes back as ``TimerFired`` with the connection's number."""

    def start_timer(self, seconds: float, timer: object) -> TimerHandle:
        """Have ``timer`` fire after so many seconds, unless the connection is closed before."""

    def cancel_timer(self, handle: TimerHandle | None) -> None:
        """Cancel a timer; ``None`` is accepted so that callers need not ask."""


class Startup:
    """The start of one connection, up to its listings.

    Args:
        connection: its state is changed here; "connect" fires when its time is over, "look" when it is nearly.
        actor: the upstream actor: its tasks are used.
        clients: of the server; it is shown one of them.
        clock: seconds of a monotonic clock.

    Attributes:
        sign_in: the sign-in that is waited for; changed by ``set_sign_in``.
    """

    __slots__ = (
        "_actor",
        "_clients",
        "_clock",
        "_closed",
        "_connect",
        "_connection",
        "_failed_to",
        "_look",
        "_noise",
        "_opening",
        "_profile",
        "_refused",
        "_seconds",
        "_start",
        "sign_in",
    )

    def __init__(
        self, connection: Connection, actor: LoopActor, clients: Clients[Address], clock: Callable[[], float]
    ) -> None:
        self.sign_in: SignIn | None = None
        self._connection = connection
        self._actor = actor
        self._clients = clients
        self._clock = clock
        self._opening: Task[Link] | None = None
        self._closed: LinkFault | None = None  # how the link was closed, before it was here
        self._profile: ClientProfile | None = None
        self._refused = ""  # what it said to the first revision that it was asked for
        self._start = StartClock(clock(), connection.config.timeout.connect)
        self._failed_to = ""
        self._seconds = 0.0
        self._connect: TimerHandle | None = None
        self._look: TimerHandle | None = None
        self._noise = ""

    def __repr__(self) -> str:
        return f"<Startup to {self._failed_to}: {self._start!r}>"

    # The link -----------------------------------------------------------------------------------------------------

    def open(self, open_link: OpenLink, mailbox: LinkMailbox) -> None:
        """Begin to open the link; ``LinkOpened`` says how that ended."""
        connection = self._connection
        self.expect("start", spawns=isinstance(connection.config.target, StdioServer))

        async def opening() -> Link:
            link = await open_link(mailbox)
            connection.gate.attach(link)  # before its frames are handled: there may be many
            return link

        number = connection.number
        self._opening = self._actor.spawn(opening(), lambda done: LinkOpened(number, done.value, done.error))

    def on_opened(self, link: Link | None, error: BaseException | None) -> None:
        """Take the link, or the reason why there is none."""
        connection, fault = self._connection, self._closed
        if link is None:
            kind, reason, category = FaultKind.UNREACHABLE, str(error) or type(error).__name__, ""
            if isinstance(error, AuthError):
                kind, category = FaultKind.UNAUTHORIZED, error.category
            elif isinstance(error, CommandMissing):
                kind = FaultKind.MISSING
            elif isinstance(connection.config.target, StdioServer):
                category = categories.NOT_STARTED
            connection.fail(kind, reason, category)
            return
        connection.link = link
        connection.gate.attach(link)
        if fault is not None:
            connection.fail(fault.kind, fault.reason, fault.category)
            return
        self.stop()
        connection.state = State.OPEN
        self.initialize()

    def on_link_closed(self, fault: LinkFault) -> None:
        """Keep why the link is gone: it itself, with its last words, is still on its way here."""
        self._closed = fault

    def cancel(self) -> None:
        """Stop opening the link: the connection is closed."""
        if self._opening is not None and self._connection.link is None:
            self._opening.cancel()

    # The handshake ------------------------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Begin the handshake, when the link is open and there is a client to be shown."""
        profile, connection = self._clients.profile, self._connection
        if connection.state is State.OPEN and profile is not None:
            connection.state = State.INITIALIZING
            self.expect("answer initialize")
            self._send_initialize(profile)

    def _send_initialize(self, profile: ClientProfile) -> None:
        self._profile, connection = profile, self._connection
        withheld = server_requests.switched_off(connection.config.features)
        number = connection.requests.sent.add(InternalRequest("initialize"), _NEVER, self._clock())
        if connection.link is not None:
            connection.link.send(connection.session.initialize(number, profile, withheld), number)

    def on_initialize_answer(self, answer: jsonrpc.Response) -> None:
        """Take the answer to ``initialize``."""
        connection, result = self._connection, answer.value
        if answer.error is not None:
            self._on_refused(answer, upstream_errors.error_text(answer))
            return
        if result is None and answer.result != b"null":
            connection.fail(None, _LONG_RESULT, categories.NO_MCP)
            return
        try:
            connection.session.on_initialize_result(result)
        except UpstreamError as error:
            connection.fail(None, str(error), categories.NO_MCP)
            return
        connection.transmit(handshake.notification(Initialized()))
        if connection.link is not None:
            connection.link.established(connection.session.revision)
        connection.state = State.LISTING
        self._failed_to = "list what it offers"  # another step, which gets no more time
        for kind in connection.listings.kinds():
            connection.listings.fetch(kind)
        connection.become_ready()

    def _on_refused(self, answer: jsonrpc.Response, failure: str) -> None:
        """Ask once more with another revision where that is what the server refuses; else it is of no use."""
        self._refused = self._refused or failure
        connection, error = self._connection, answer.value if isinstance(answer.value, dict) else {}
        said = bytes((answer.error or b"")[:MAX_QUESTION]).decode("utf-8", "replace")
        if self._profile is not None and connection.session.offer_another(error.get("code"), said):
            refused, asked = connection.session.offered[-2:]
            log.debug(f"refused protocol {refused}, asking for {asked}: {failure}", connection.config.name)
            self._send_initialize(self._profile)
        else:
            connection.fail(None, f"refused to initialize: {self._refused}")

    def finish(self) -> None:
        """Take note that the connection is ready."""
        self.stop()
        self.sign_in = None

    # Time ---------------------------------------------------------------------------------------------------------

    def expect(self, what: str, *, spawns: bool = False) -> None:
        """Give the server its time for the next step.

        Args:
            what: the step, as in "did not ... within 30 s".
            spawns: whether a process is started. That takes a moment, but a busy machine may need long: no server's
                fault.
        """
        seconds = self._connection.config.timeout.connect
        self._failed_to = what
        self._seconds = max(seconds, _SPAWN_TIME) if spawns else seconds
        self.wait(self._seconds)
        self._connection.cancel_timer(self._look)
        self._look = self._connection.start_timer(seconds - self._start.step, "look")

    def wait(self, seconds: float | None = None) -> None:
        """Look again after so many seconds; by default after the configured time."""
        self.stop()
        seconds = self._connection.config.timeout.connect if seconds is None else seconds
        self._connect = self._connection.start_timer(seconds, "connect")

    def stop(self) -> None:
        """Stop the time: the step is done, or a person has to sign in first."""
        self._connection.cancel_timer(self._connect)
        self._connect = None

    def set_sign_in(self, sign_in: SignIn | None) -> None:
        """Stop the time while a user is asked to sign in, or let it run on."""
        self.sign_in = sign_in
        if sign_in is not None:
            self.stop()
        elif self._connection.state in _CONNECTING:
            self.wait()

    def on_timer(self, timer: Any) -> None:
        """Handle a timer of the start, or what has been measured because of one."""
        waits = self._connection.state in _CONNECTING and self.sign_in is None
        match timer:
            case "connect" if waits:
                if self._connection.is_paused or not self._measure("measured"):
                    self._on_timeout()
            case "look" if self._connection.state in _CONNECTING:
                self._measure("first look")
            case ("first look", Activity() as activity):
                self._start.look(activity, self._clock())
            case ("measured", activity) if waits:
                self._on_measured(activity)

    def _measure(self, timer: str) -> bool:
        """Measure what the server does, if its link can tell; the result comes as a timer of this name."""
        link, number = self._connection.link, self._connection.number
        if not isinstance(link, ShowsActivity):
            return False
        self._actor.spawn(link.activity(), lambda done: TimerFired((timer, done.value), number))
        return True

    def _on_measured(self, activity: Activity | None) -> None:
        """Give a server more time to become ready that works on it; else give it up."""
        now, start = self._clock(), self._start
        if activity is None or not start.look(activity, now):
            self._on_timeout()
            return
        start.extended = True
        self.wait(start.step)
        taken, most = f"{start.taken(now):.0f} s", f"{MAX_START / 60:g} minutes"
        self._connection.on_slow_start(f"still starting after {taken}; it is working, and gets up to {most}")

    def _on_timeout(self) -> None:
        if self._connection.is_paused:  # it may have answered: dmcp is not listening
            self.wait()
        else:
            start = self._start
            seconds = round(start.taken(self._clock())) if start.extended else self._seconds
            reason = f"did not {self._failed_to} within {seconds:g} s"
            self._connection.fail(None, reason, categories.TOO_SLOW)

    def refuses(self) -> bool:
        """Return whether the calls that wait for it have waited long enough, once every so many seconds."""
        return self._start.refuses(self._clock())

    # Words --------------------------------------------------------------------------------------------------------

    def on_noise(self, text: str) -> None:
        """Keep the first thing the server wrote that is no message: it often says what is wrong."""
        self._noise = self._noise or text[:_NOISE]

    def explain(self, reason: str, tail: Sequence[str], *, was_ready: bool) -> str:
        """Return a reason with what the server wrote before it failed. Not masked yet.

        Args:
            reason: why the connection was lost.
            tail: the last lines of its stderr.
            was_ready: whether it had been ready; then its noise explains nothing.
        """
        # Masked before it is cut: half a secret is not known as one.
        lines = (printable(log.mask(line, None), _TAIL_WIDTH) for line in telling(tail, _TAIL_LINES))
        words = " | ".join(lines)
        target = self._connection.config.target
        if not was_ready and isinstance(target, StdioServer):
            if self._noise:
                noise = printable(log.mask(self._noise, None), _NOISE)
                reason = f"{reason}; it wrote to stdout what is no MCP message: '{noise}'"
            if sign := unexpanded(target.args):
                reason = (
                    f"{reason}; an argument begins with {sign}, which nothing expands: write the whole path"
                )
        return f"{reason} (its last words: {words})" if words else reason
