"""The frontend's tables: what the client is waiting for, and what it has been asked.

They hold no payloads and decide nothing; they make sure that everything is answered once, under the right id.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

A = TypeVar("A")
_LONGEST = 18  # digits of an id: more of them are slow to read, and nobody's


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


class Exchange(Generic[A]):
    """A request of the client that is not answered yet.

    Attributes:
        id: the client's id, encoded.
        upstream: who has it; ``None`` while the catalog has.
        progress_token: the client's, if it wants progress.
        batch: the batch it came in.
    """

    __slots__ = ("batch", "group", "id", "method", "progress_token", "upstream")

    def __init__(
        self,
        id: bytes,  # noqa: A002 - JSON-RPC's name for it
        method: str,
        progress_token: str | int | None = None,
        batch: BatchAnswer | None = None,
    ) -> None:
        self.id = id
        self.method = method
        self.upstream: A | None = None
        self.group = ""
        self.progress_token = progress_token
        self.batch = batch

    def __repr__(self) -> str:
        return f"<Exchange {self.id.decode()} {self.method} {self.group}>"


class ExchangeTable(Generic[A]):
    """The client's requests in flight, by ticket and by id."""

    __slots__ = ("_by_ticket", "_next", "_ticket_of")

    def __init__(self) -> None:
        self._by_ticket: dict[int, Exchange[A]] = {}
        self._ticket_of: dict[bytes, int] = {}
        self._next = 1

    def __repr__(self) -> str:
        return f"<ExchangeTable {list(self._by_ticket.values())}>"

    def __len__(self) -> int:
        return len(self._by_ticket)

    def __contains__(self, identifier: bytes) -> bool:
        return identifier in self._ticket_of

    def open(self, exchange: Exchange[A]) -> int:
        """Enter a request and return its ticket. Tickets are never used twice."""
        ticket = self._next
        self._next += 1
        self._by_ticket[ticket] = exchange
        self._ticket_of[exchange.id] = ticket
        return ticket

    def get(self, ticket: int) -> Exchange[A] | None:
        """Look without taking out."""
        return self._by_ticket.get(ticket)

    def close(self, ticket: int) -> Exchange[A] | None:
        """Take out; ``None`` when it was answered or cancelled before."""
        exchange = self._by_ticket.pop(ticket, None)
        if exchange is not None:
            del self._ticket_of[exchange.id]
        return exchange

    def ticket_of(self, identifier: bytes) -> int | None:
        """The ticket of the request with this id."""
        return self._ticket_of.get(identifier)

    def all(self) -> list[tuple[int, Exchange[A]]]:
        """Everything that is not answered yet, oldest first."""
        return list(self._by_ticket.items())

    def of_upstream(self, upstream: A) -> list[int]:
        """The tickets one upstream has."""
        return [ticket for ticket, exchange in self._by_ticket.items() if exchange.upstream is upstream]


class Asked(NamedTuple, Generic[A]):
    """A question the client has been asked on behalf of an upstream, or of dmcp itself (``upstream`` is ``None``)."""

    upstream: A | None
    question: bytes
    progress_token: str | int | None


class QuestionTable(Generic[A]):
    """Questions to the client in flight, by the id they were sent with."""

    __slots__ = ("_asked", "_next")

    def __init__(self) -> None:
        self._asked: dict[int, Asked[A]] = {}
        self._next = 1

    def __repr__(self) -> str:
        return f"<QuestionTable {sorted(self._asked)}>"

    def ask(self, asked: Asked[A]) -> int:
        """Enter a question that is about to be sent and return its id."""
        number = self._next
        self._next += 1
        self._asked[number] = asked
        return number

    def answered(self, identifier: bytes) -> Asked[A] | None:
        """Take out the question with this (encoded) id."""
        plain = identifier.isdigit() and len(identifier) <= _LONGEST
        return self._asked.pop(int(identifier), None) if plain else None

    def get(self, number: object) -> Asked[A] | None:
        """Look without taking out."""
        return self._asked.get(number) if isinstance(number, int) else None

    def withdraw(self, upstream: A | None, question: bytes | None) -> list[int]:
        """Take out an upstream's (or dmcp's own) question, or all of its questions, and return their ids."""
        gone = [
            number
            for number, asked in self._asked.items()
            if asked.upstream is upstream and (question is None or asked.question == question)
        ]
        for number in gone:
            del self._asked[number]
        return gone
