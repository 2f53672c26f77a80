"""The in-flight table: what was sent to a peer and not answered yet, with clocks that can be stopped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar

from dmcp.protocol.limits import MAX_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")


class Flight(Generic[K]):
    """One request in flight.

    Attributes:
        number: it was sent with.
        cargo: what it is.
        timeout: seconds it may take from the last sign of progress.
        deadline: when it is due, in seconds of the table's own clock.
        latest: when it is due whatever progress it shows, likewise.
        pauses: what its clock stands still for at the moment.
        pause_left: seconds its clock may still stand still.
        paused_at: when it was stopped, in seconds of the table's own clock; ``None`` while it runs.
    """

    __slots__ = ("cargo", "deadline", "latest", "number", "pause_left", "paused_at", "pauses", "timeout")

    def __init__(self, number: int, cargo: K, timeout: float, deadline: float, latest: float) -> None:
        self.number = number
        self.cargo = cargo
        self.timeout = timeout
        self.deadline = deadline
        self.latest = latest
        self.pauses = 0
        self.pause_left = MAX_PAUSE
        self.paused_at: float | None = None

    def __repr__(self) -> str:
        return f"<Flight {self.number} {self.cargo!r}>"


class FlightTable(Generic[K]):
    """Requests in flight by the number they were sent with. Numbers are never used twice.

    Two things stop clocks. ``hold`` stops the clock of the whole table: nothing is read from the peer. ``pause`` stops
    that of one request, while a user answers what the peer asked on its account, for ``MAX_PAUSE`` seconds in all.
    """

    def __init__(self) -> None:
        self._flights: dict[int, Flight[K]] = {}
        self._next = 1
        self._held_since: float | None = None
        self._lost = 0.0
        self._soonest = math.inf  # no deadline is sooner; exact after ``due``

    def __repr__(self) -> str:
        return f"<FlightTable {len(self._flights)} in flight, next {self._next}>"

    def __len__(self) -> int:
        return len(self._flights)

    def launch(self, cargo: K, timeout: float, now: float, longest: float = math.inf) -> int:
        """Enter a request that is about to be sent, and return the number to send it with.

        Args:
            cargo: what it is.
            timeout: seconds until it is due; progress gives it as many again.
            now: seconds of a monotonic clock.
            longest: seconds until it is due whatever progress it shows.
        """
        number = self._next
        self._next += 1
        clock = self._clock(now)
        deadline = clock + min(timeout, longest)
        self._flights[number] = Flight(number, cargo, timeout, deadline, clock + longest)
        self._soonest = min(self._soonest, deadline)
        return number

    def land(self, number: int) -> K | None:
        """Take out what was answered; ``None`` for a number never used, or answered already."""
        flight = self._flights.pop(number, None)
        return flight.cargo if flight else None

    def get(self, number: int) -> K | None:
        """Look without taking out."""
        flight = self._flights.get(number)
        return flight.cargo if flight else None

    def extend(self, number: int, now: float) -> None:
        """Give a request its time anew, because the peer shows progress; up to the longest it may take."""
        flight = self._flights.get(number)
        if flight is None:
            return
        clock = self._clock(now)
        if flight.paused_at is not None:
            flight.pause_left -= min(clock - flight.paused_at, flight.pause_left)
            flight.paused_at = clock
        pause = 0.0 if flight.paused_at is None else flight.pause_left
        flight.deadline = min(clock + flight.timeout + pause, flight.latest)

    def all(self) -> list[tuple[int, K]]:
        """Everything in flight, oldest first."""
        return [(flight.number, flight.cargo) for flight in self._flights.values()]

    def overrun(self, now: float) -> list[tuple[int, K]]:
        """Take out everything that has taken the longest it may, whatever progress it has shown."""
        return self._take(lambda flight, clock: flight.deadline >= flight.latest <= clock, now)

    def due(self, now: float) -> list[tuple[int, K]]:
        """Take out everything whose deadline has passed."""
        late = self._take(lambda flight, clock: flight.deadline <= clock, now)
        self._soonest = min((f.deadline for f in self._flights.values()), default=math.inf)
        return late

    def next_due(self, now: float) -> float | None:
        """Return the seconds until it is worth asking what is due; ``None`` when nothing can become due.

        It is too soon when what would have been due first has landed or shown progress: looking for the next one
        each time would cost as much as there are requests in flight.
        """
        if not self._flights or self._held_since is not None:
            return None
        return max(0.0, self._soonest - self._clock(now))

    def hold(self, now: float) -> None:
        """Stop the clock of the whole table."""
        if self._held_since is None:
            self._held_since = now

    def release(self, now: float) -> None:
        """Let the clock run on."""
        if self._held_since is not None:
            self._lost += now - self._held_since
            self._held_since = None

    def pause(self, number: int, now: float) -> None:
        """Stop the clock of one request, as long as it may be stopped. Each ``pause`` wants its ``resume``.

        Its deadline moves away by all the time that is left for pauses; ``resume`` takes back what was not used.
        """
        flight = self._flights.get(number)
        if flight is None:
            return
        flight.pauses += 1
        if flight.paused_at is None:
            flight.paused_at = self._clock(now)
            flight.deadline += flight.pause_left
            flight.latest += flight.pause_left

    def resume(self, number: int, now: float) -> None:
        """Let the clock of one request run on, when nothing else stops it."""
        flight = self._flights.get(number)
        if flight is None or flight.paused_at is None:
            return
        flight.pauses -= 1
        if flight.pauses > 0:
            return
        flight.pause_left -= min(self._clock(now) - flight.paused_at, flight.pause_left)
        flight.paused_at = None
        flight.deadline -= flight.pause_left
        flight.latest -= flight.pause_left
        self._soonest = min(self._soonest, flight.deadline)

    def _take(self, is_over: Callable[[Flight[K], float], bool], now: float) -> list[tuple[int, K]]:
        clock = self._clock(now)
        over = [(f.number, f.cargo) for f in self._flights.values() if is_over(f, clock)]
        for number, _ in over:
            del self._flights[number]
        return over

    def _clock(self, now: float) -> float:
        return (now if self._held_since is None else self._held_since) - self._lost
