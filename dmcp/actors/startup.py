"""How long a new connection may take to become ready, and what is told when it does not. Part of a connection.

A server that works on its start gets more time than the configuration gives it: it may be downloading itself.
What counts as work is in ``dmcp.protocol.timing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dmcp import log
from dmcp.config.model import StdioServer
from dmcp.protocol.limits import MAX_START
from dmcp.protocol.noise import telling, unexpanded
from dmcp.protocol.timing import StartClock
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable, Sequence

    from dmcp.config.model import ServerConfig
    from dmcp.protocol.timing import Activity

_SPAWN_TIME: Final = 10.0  # seconds a process may take to be started, at least
_TAIL_LINES: Final = 4  # lines of a failed server's stderr that go into the reason
_TAIL_WIDTH: Final = 160  # characters of each of them
_NOISE: Final = 200  # characters of what it wrote to stdout that is no message, likewise


class Timers(Protocol):
    """Where the timers of a connection are started: each comes back as ``TimerFired`` with the connection's number."""

    def start_timer(self, seconds: float, timer: object) -> TimerHandle:
        """Have ``timer`` fire after so many seconds, unless the connection is closed before."""

    def cancel_timer(self, handle: TimerHandle | None) -> None:
        """Cancel a timer; ``None`` is accepted so that callers need not ask."""


class Startup:
    """The start of one connection.

    Args:
        config: of the server.
        timers: of the connection; "connect" fires when the time is over, "look" when it is nearly.
        clock: seconds of a monotonic clock.
    """

    __slots__ = (
        "_clock",
        "_connect",
        "_failed_to",
        "_look",
        "_noise",
        "_seconds",
        "_start",
        "_timers",
        "config",
    )

    def __init__(self, config: ServerConfig, timers: Timers, clock: Callable[[], float]) -> None:
        self.config = config
        self._timers = timers
        self._clock = clock
        self._start = StartClock(clock(), config.timeout.connect)
        self._failed_to = ""
        self._seconds = 0.0
        self._connect: TimerHandle | None = None
        self._look: TimerHandle | None = None
        self._noise = ""

    def __repr__(self) -> str:
        return f"<Startup to {self._failed_to}: {self._start!r}>"

    # Time ---------------------------------------------------------------------------------------------------------

    def expect(self, what: str, *, spawns: bool = False) -> None:
        """Give the server its time for the next step.

        Args:
            what: the step, as in "did not ... within 30 s".
            spawns: whether a process is started. That takes a moment, but a busy machine may need long: no server's
                fault.
        """
        seconds = self.config.timeout.connect
        self._failed_to = what
        self._seconds = max(seconds, _SPAWN_TIME) if spawns else seconds
        self.wait(self._seconds)
        self._timers.cancel_timer(self._look)
        self._look = self._timers.start_timer(seconds - self._start.step, "look")

    def rename(self, what: str) -> None:
        """Say that it is another step that takes the server's time; it gets no more for it."""
        self._failed_to = what

    def wait(self, seconds: float | None = None) -> None:
        """Look again after so many seconds; by default after the configured time."""
        self.stop()
        seconds = self.config.timeout.connect if seconds is None else seconds
        self._connect = self._timers.start_timer(seconds, "connect")

    def stop(self) -> None:
        """Stop the time: the step is done, or a person has to sign in first."""
        self._timers.cancel_timer(self._connect)
        self._connect = None

    def measured(self, activity: Activity) -> None:
        """Take the first measurement of what the server does."""
        self._start.look(activity, self._clock())

    def extend(self, activity: Activity | None) -> str:
        """Give a server that works more time, and return what is told of it; empty for one that does nothing."""
        now, start = self._clock(), self._start
        if activity is None or not start.look(activity, now):
            return ""
        start.extended = True
        self.wait(start.step)
        most = f"{MAX_START / 60:g} minutes"
        return f"still starting after {start.taken(now):.0f} s; it is working, and gets up to {most}"

    def refuses(self) -> bool:
        """Return whether the calls that wait for it have waited long enough, once every so many seconds."""
        return self._start.refuses(self._clock())

    def timed_out(self) -> str:
        """Return the reason when the time is over."""
        seconds = round(self._start.taken(self._clock())) if self._start.extended else self._seconds
        return f"did not {self._failed_to} within {seconds:g} s"

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
        target = self.config.target
        if not was_ready and isinstance(target, StdioServer):
            if self._noise:
                noise = printable(log.mask(self._noise, None), _NOISE)
                reason = f"{reason}; it wrote to stdout what is no MCP message: '{noise}'"
            if sign := unexpanded(target.args):
                reason = (
                    f"{reason}; an argument begins with {sign}, which nothing expands: write the whole path"
                )
        return f"{reason} (its last words: {words})" if words else reason
