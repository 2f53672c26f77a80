"""Pure decisions about time: how long a server may take to start, and how many events a second pass.

A package manager that starts a server for the first time may need minutes: downloading it, unpacking it. It is told
from a server that hangs by what its processes do (``StartClock``). Measuring that is the transports' business
(``dmcp.upstream.stdio``).
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol, runtime_checkable

from dmcp.protocol.limits import MAX_START

_LOOK: Final = 5.0  # seconds between two looks, at most; half the time it has, if that is less
_BUSY: Final = (
    0.02  # share of one processor from which on a process works; one that waits needs a tenth of it
)
_IO: Final = 64 * 1024  # bytes read or written between two looks, likewise


class Activity(NamedTuple):
    """What a server's processes have done since they began. Each number only grows, or nearly.

    Attributes:
        cpu: seconds of processor time.
        io: bytes read and written.
        diagnostics: bytes of stderr.
    """

    cpu: float
    io: int
    diagnostics: int


@runtime_checkable
class ShowsActivity(Protocol):
    """A link that can tell what its server does."""

    async def activity(self) -> Activity:
        """Measure; never raises."""


class StartClock:
    """How long a server may take to become ready: its time, and more while it works.

    Args:
        now: seconds of a monotonic clock, when its start began.
        seconds: what the configuration gives it.

    Attributes:
        extended: whether it has been given more.
    """

    __slots__ = ("_before", "_began", "_looked", "_refused", "_seconds", "extended")

    def __init__(self, now: float, seconds: float) -> None:
        self._began = now
        self._seconds = seconds
        self._before: Activity | None = None
        self._looked = now
        self._refused = now
        self.extended = False

    def __repr__(self) -> str:
        return f"<StartClock since {self._began:.1f}, {self._seconds:g} s>"

    @property
    def step(self) -> float:
        """Return the seconds between two looks."""
        return min(_LOOK, self._seconds / 2)

    def taken(self, now: float) -> float:
        """Return the seconds its start has taken."""
        return now - self._began

    def look(self, activity: Activity, now: float) -> bool:
        """Take a measurement; return whether it has worked since the one before and may go on."""
        before, seconds = self._before, max(now - self._looked, 0.001)
        self._before, self._looked = activity, now
        if before is None or self.taken(now) >= MAX_START:
            return False
        return (
            activity.diagnostics > before.diagnostics
            or activity.cpu - before.cpu >= _BUSY * seconds
            or activity.io - before.io >= _IO
        )

    def refuses(self, now: float) -> bool:
        """Return whether those who wait for it have waited long enough, once every so many seconds."""
        if now - self._refused < self._seconds:
            return False
        self._refused = now
        return True


class Bucket:
    """Lets ``rate`` events a second pass, and ``burst`` at once after a pause.

    Args:
        rate: events a second.
        burst: events that may pass at once; the bucket begins full.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = max(1.0, burst)
        self._at: float | None = None

    def __repr__(self) -> str:
        return f"<Bucket {self._left:.1f} of {self._burst:g}, {self._rate:g} a second>"

    def change(self, rate: float, burst: float) -> None:
        """Use other numbers from now on."""
        self._rate, self._burst = rate, max(1.0, burst)
        self._left = min(self._left, self._burst)

    def take(self, now: float) -> bool:
        """Return whether one more event may pass at ``now``, in seconds of a monotonic clock, and count it if so."""
        if self._at is not None and now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
