"""The in-flight table: what was sent to a peer and not answered yet, with a clock that can be stopped."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

K = TypeVar("K")


class Flight(Generic[K]):
    """One request in flight. ``deadline`` is in seconds of the table's own clock."""

    __slots__ = ("cargo", "deadline", "number", "timeout")

    def __init__(self, number: int, cargo: K, timeout: float, deadline: float) -> None:
        self.number = number
        self.cargo = cargo
        self.timeout = timeout
        self.deadline = deadline

    def __repr__(self) -> str:
        return f"<Flight {self.number} {self.cargo!r}>"


class FlightTable(Generic[K]):
    """Requests in flight by the number they were sent with. Numbers are never used twice.

    Its clock stands still while ``hold`` is in force, so that no deadline passes while a person is answering.
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

    def launch(self, cargo: K, timeout: float, now: float) -> int:
        """Enter a request that is about to be sent, and return the number to send it with."""
        number = self._next
        self._next += 1
        deadline = self._clock(now) + timeout
        self._flights[number] = Flight(number, cargo, timeout, deadline)
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
        """The peer shows progress: this request's time starts anew."""
        flight = self._flights.get(number)
        if flight is not None:
            flight.deadline = self._clock(now) + flight.timeout

    def all(self) -> list[tuple[int, K]]:
        """Everything in flight, oldest first."""
        return [(flight.number, flight.cargo) for flight in self._flights.values()]

    def due(self, now: float) -> list[tuple[int, K]]:
        """Take out everything whose deadline has passed."""
        clock = self._clock(now)
        late = [(f.number, f.cargo) for f in self._flights.values() if f.deadline <= clock]
        for number, _ in late:
            del self._flights[number]
        self._soonest = min((f.deadline for f in self._flights.values()), default=math.inf)
        return late

    def next_due(self, now: float) -> float | None:
        """Seconds until it is worth asking what is due; ``None`` when nothing can become due.

        It is too soon when what would have been due first has landed or shown progress: looking for the next one
        each time would cost as much as there are requests in flight.
        """
        if not self._flights or self._held_since is not None:
            return None
        return max(0.0, self._soonest - self._clock(now))

    def hold(self, now: float) -> None:
        """Stop the clock."""
        if self._held_since is None:
            self._held_since = now

    def release(self, now: float) -> None:
        """Let the clock run on."""
        if self._held_since is not None:
            self._lost += now - self._held_since
            self._held_since = None

    def _clock(self, now: float) -> float:
        return (now if self._held_since is None else self._held_since) - self._lost
