"""The frontend's tables: what the client is waiting for, and what it has been asked.

They hold no payloads and decide nothing; they make sure that everything is answered once, under the right id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

A = TypeVar("A")
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
        progress_token: the client's, if it wants progress.
        meta: what else is in its ``_meta``.
        batch: the batch it came in.
    """

    __slots__ = ("batch", "group", "id", "meta", "progress_token", "upstream")

    def __init__(
        self,
        id: bytes,  # noqa: A002 - JSON-RPC's name for it
        progress_token: str | int | None = None,
        meta: JsonObject | None = None,
        batch: BatchAnswer | None = None,
    ) -> None:
        self.id = id
        self.upstream: A | None = None
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
    """

    __slots__ = ("_by_call", "_call_of", "_client", "_next")

    def __init__(self, client: int) -> None:
        self._client = client
        self._by_call: dict[CallId, PendingRequest[A]] = {}
        self._call_of: dict[bytes, CallId] = {}
        self._next = 1

    def __repr__(self) -> str:
        return f"<PendingRequests {list(self._by_call.values())}>"

    def __len__(self) -> int:
        return len(self._by_call)

    def __contains__(self, identifier: bytes) -> bool:
        return identifier in self._call_of

    def open(self, pending: PendingRequest[A]) -> CallId:
        """Add a request and return its name. Names are never used twice."""
        call = CallId(self._client, self._next)
        self._next += 1
        self._by_call[call] = pending
        self._call_of[pending.id] = call
        return call

    def get(self, call: CallId) -> PendingRequest[A] | None:
        """Return a request without taking it out."""
        return self._by_call.get(call)

    def close(self, call: CallId) -> PendingRequest[A] | None:
        """Take a request out; ``None`` when it was answered or cancelled before."""
        pending = self._by_call.pop(call, None)
        if pending is not None:
            del self._call_of[pending.id]
        return pending

    def call_of(self, identifier: bytes) -> CallId | None:
        """Return the name of the request with this id of the client's."""
        return self._call_of.get(identifier)

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
