"""Requests that are pending: what a client waits for, what it has been asked, and what a server has been sent.

The tables hold no payloads and decide nothing; they make sure that everything is answered once, under the right id.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from dmcp.protocol.limits import MAX_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.operations import CallTool

A = TypeVar("A")
K = TypeVar("K")
_LONGEST = 18  # digits of an id: more of them are slow to read, and nobody's


class CallId(NamedTuple):
    """Names one request of one client, everywhere in dmcp and for good.

    Attributes:
        client: the number of the client.
        number: of the request, counted by the client's frontend; never used twice.
    """

    client: int
    number: int


class BatchAnswer:
    """Collects the answers to one batch (JSON-RPC 2.0, section 6; revision 2025-03-26 only)."""

    __slots__ = ("_frames", "missing")

    def __init__(self, expected: int) -> None:
        self.missing = expected
        self._frames: list[bytes] = []

    def __repr__(self) -> str:
        return f"<BatchAnswer {len(self._frames)} here, {self.missing} missing>"

    def add(self, frame: bytes | None) -> bytes | None:
        """One answer has come (``None``: none will); returns the whole batch when it was the last."""
        self.missing -= 1
        if frame is not None:
            self._frames.append(frame)
        if self.missing > 0 or not self._frames:
            return None
        return b"[" + b",".join(self._frames) + b"]"


class PendingRequest(Generic[A]):
    """A request of the client that is not answered yet.

    Attributes:
        id: the client's id, encoded.
        upstream: who has it; ``None`` while the catalog has.
        tool: the tool's call it is, until it has failed once.
        progress_token: the client's, if it wants progress.
        meta: what else is in its ``_meta``.
        batch: the batch it came in.
    """

    __slots__ = ("batch", "group", "id", "meta", "progress_token", "tool", "upstream")

    def __init__(
        self,
        id: bytes,  # noqa: A002 - JSON-RPC's name for it
        progress_token: str | int | None = None,
        meta: JsonObject | None = None,
        batch: BatchAnswer | None = None,
    ) -> None:
        self.id = id
        self.upstream: A | None = None
        self.tool: CallTool | None = None
        self.group = ""
        self.progress_token = progress_token
        self.meta = meta
        self.batch = batch

    def __repr__(self) -> str:
        return f"<PendingRequest {self.id.decode()} {self.group}>"


class PendingRequests(Generic[A]):
    """One client's requests in flight, by call and by the client's id.

    Args:
        client: the number of the client.

    Attributes:
        call_of: the names of the requests by the client's ids; changed by ``open`` and ``close`` only.
    """

    __slots__ = ("_by_call", "_client", "_next", "call_of")

    def __init__(self, client: int) -> None:
        self._client = client
        self._by_call: dict[CallId, PendingRequest[A]] = {}
        self.call_of: dict[bytes, CallId] = {}
        self._next = 1

    def __repr__(self) -> str:
        return f"<PendingRequests {list(self._by_call.values())}>"

    def open(self, pending: PendingRequest[A]) -> CallId:
        """Add a request and return its name. Names are never used twice."""
        call = CallId(self._client, self._next)
        self._next += 1
        self._by_call[call] = pending
        self.call_of[pending.id] = call
        return call

    def get(self, call: CallId) -> PendingRequest[A] | None:
        """Return a request without taking it out."""
        return self._by_call.get(call)

    def close(self, call: CallId) -> PendingRequest[A] | None:
        """Take a request out; ``None`` when it was answered or cancelled before."""
        pending = self._by_call.pop(call, None)
        if pending is not None:
            del self.call_of[pending.id]
        return pending

    def reopen(self, call: CallId, pending: PendingRequest[A]) -> None:
        """Put a request back that has just been taken out: it is not answered yet."""
        self._by_call[call] = pending
        self.call_of[pending.id] = call

    def all(self) -> list[tuple[CallId, PendingRequest[A]]]:
        """Return everything that is not answered yet, oldest first."""
        return list(self._by_call.items())

    def of_upstream(self, upstream: A) -> list[CallId]:
        """Return the calls one upstream has."""
        return [call for call, pending in self._by_call.items() if pending.upstream is upstream]


class PendingServerRequest(NamedTuple, Generic[A]):
    """A question the client has been asked on behalf of an upstream, or of dmcp itself (``upstream`` is ``None``)."""

    upstream: A | None
    id: bytes
    progress_token: str | int | None


class PendingServerRequests(Generic[A]):
    """Questions to the client in flight, by the id they were sent with."""

    __slots__ = ("_asked", "_next")

    def __init__(self) -> None:
        self._asked: dict[int, PendingServerRequest[A]] = {}
        self._next = 1

    def __repr__(self) -> str:
        return f"<PendingServerRequests {sorted(self._asked)}>"

    def ask(self, asked: PendingServerRequest[A]) -> int:
        """Enter a question that is about to be sent and return its id."""
        number = self._next
        self._next += 1
        self._asked[number] = asked
        return number

    def answered(self, identifier: bytes) -> PendingServerRequest[A] | None:
        """Take out the question with this (encoded) id."""
        plain = identifier.isdigit() and len(identifier) <= _LONGEST
        return self._asked.pop(int(identifier), None) if plain else None

    def get(self, number: object) -> PendingServerRequest[A] | None:
        """Look without taking out."""
        return self._asked.get(number) if isinstance(number, int) else None

    def withdraw(self, upstream: A | None, request: bytes | None) -> list[int]:
        """Take out an upstream's (or dmcp's own) question, or all of its questions, and return their ids."""
        gone = [
            number
            for number, asked in self._asked.items()
            if asked.upstream is upstream and (request is None or asked.id == request)
        ]
        for number in gone:
            del self._asked[number]
        return gone


class SentRequest(Generic[K]):
    """A request that was sent to a peer and is not answered yet.

    Attributes:
        number: it was sent with.
        item: what it is.
        timeout: seconds it may take from the last sign of progress.
        deadline: when it is due, in seconds of the table's own clock.
        latest: when it is due whatever progress it shows, likewise.
        pauses: what its clock stands still for at the moment.
        pause_left: seconds its clock may still stand still.
        paused_at: when it was stopped, in seconds of the table's own clock; ``None`` while it runs.
    """

    __slots__ = ("deadline", "item", "latest", "number", "pause_left", "paused_at", "pauses", "timeout")

    def __init__(self, number: int, item: K, timeout: float, deadline: float, latest: float) -> None:
        self.number = number
        self.item = item
        self.timeout = timeout
        self.deadline = deadline
        self.latest = latest
        self.pauses = 0
        self.pause_left = MAX_PAUSE
        self.paused_at: float | None = None

    def __repr__(self) -> str:
        return f"<SentRequest {self.number} {self.item!r}>"


class SentRequests(Generic[K]):
    """Requests sent to one peer by the number they were sent with, with clocks that can be stopped.

    Numbers are never used twice.

    Two things stop clocks. ``hold`` stops the clock of the whole table: nothing is read from the peer. ``pause`` stops
    that of one request, while a user answers what the peer asked on its account, for ``MAX_PAUSE`` seconds in all.

    Attributes:
        open: what is not answered yet, by its number; changed here only.
    """

    def __init__(self) -> None:
        self.open: dict[int, SentRequest[K]] = {}
        self._next = 1
        self._held_since: float | None = None
        self._lost = 0.0
        self._soonest = math.inf  # no deadline is sooner; exact after ``due``

    def __repr__(self) -> str:
        return f"<SentRequests {len(self.open)} open, next {self._next}>"

    def add(self, item: K, timeout: float, now: float, longest: float = math.inf) -> int:
        """Enter a request that is about to be sent, and return the number to send it with.

        Args:
            item: what it is.
            timeout: seconds until it is due; progress gives it as many again.
            now: seconds of a monotonic clock.
            longest: seconds until it is due whatever progress it shows.
        """
        number = self._next
        self._next += 1
        clock = self._clock(now)
        deadline = clock + (min(longest, timeout))
        self.open[number] = SentRequest(number, item, timeout, deadline, clock + longest)
        self._soonest = min(self._soonest, deadline)
        return number

    def pop(self, number: int) -> K | None:
        """Take out what was answered; ``None`` for a number never used, or answered already."""
        sent = self.open.pop(number, None)
        return sent.item if sent else None

    def get(self, number: int) -> K | None:
        """Look without taking out."""
        sent = self.open.get(number)
        return sent.item if sent else None

    def extend(self, number: int, now: float) -> None:
        """Give a request its time anew, because the peer shows progress; up to the longest it may take."""
        sent = self.open.get(number)
        if sent is None:
            return
        clock = self._clock(now)
        if sent.paused_at is not None:
            sent.pause_left -= min(clock - sent.paused_at, sent.pause_left)
            sent.paused_at = clock
        pause = 0.0 if sent.paused_at is None else sent.pause_left
        sent.deadline = min(clock + sent.timeout + pause, sent.latest)

    def all(self) -> list[tuple[int, K]]:
        """Return everything that is not answered yet, oldest first."""
        return [(sent.number, sent.item) for sent in self.open.values()]

    def overrun(self, now: float) -> list[tuple[int, K]]:
        """Take out everything that has taken the longest it may, whatever progress it has shown."""
        return self._take(lambda sent, clock: sent.deadline >= sent.latest <= clock, now)

    def due(self, now: float) -> list[tuple[int, K]]:
        """Take out everything whose deadline has passed."""
        late = self._take(lambda sent, clock: sent.deadline <= clock, now)
        self._soonest = min((f.deadline for f in self.open.values()), default=math.inf)
        return late

    def next_due(self, now: float) -> float | None:
        """Return the seconds until it is worth asking what is due; ``None`` when nothing can become due.

        It is too soon when what would have been due first has landed or shown progress: looking for the next one
        each time would cost as much as there are requests open.
        """
        if not self.open or self._held_since is not None:
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
        sent = self.open.get(number)
        if sent is None:
            return
        sent.pauses += 1
        if sent.paused_at is None:
            sent.paused_at = self._clock(now)
            sent.deadline += sent.pause_left
            sent.latest += sent.pause_left

    def resume(self, number: int, now: float) -> None:
        """Let the clock of one request run on, when nothing else stops it."""
        sent = self.open.get(number)
        if sent is None or sent.paused_at is None:
            return
        sent.pauses -= 1
        if sent.pauses > 0:
            return
        sent.pause_left -= min(self._clock(now) - sent.paused_at, sent.pause_left)
        sent.paused_at = None
        sent.deadline -= sent.pause_left
        sent.latest -= sent.pause_left
        self._soonest = min(self._soonest, sent.deadline)

    def _take(self, is_over: Callable[[SentRequest[K], float], bool], now: float) -> list[tuple[int, K]]:
        clock = self._clock(now)
        over = [(f.number, f.item) for f in self.open.values() if is_over(f, clock)]
        for number, _ in over:
            del self.open[number]
        return over

    def _clock(self, now: float) -> float:
        return (now if self._held_since is None else self._held_since) - self._lost
