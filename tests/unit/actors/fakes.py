"""What the unit tests of actors put in the place of everything an actor talks to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pykka

from dmcp.messages.upstream import CallContext, Submit
from dmcp.protocol.eras.handshake import read_request
from dmcp.protocol.operations import Result
from dmcp.protocol.pending import CallId
from dmcp.protocol.subscriptions import Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.messages import Address
    from dmcp.messages.frontend import Settled

CLIENT = 1
"""The client of the tests that have only one."""


def call_id(number: int, client: int = CLIENT) -> CallId:
    """A request of a client."""
    return CallId(client, number)


def asked(method: str, params: dict[str, Any]) -> Any:
    """The operation of a request of the client."""
    return read_request(method, params).operation


def answer_of(settled: Settled) -> tuple[bytes | None, bytes | None]:
    """How a call has ended: its result and its error, one of which there is not."""
    outcome: Any = settled.outcome
    return (outcome.body, None) if isinstance(outcome, Result) else (None, outcome.body)


def submit(
    number: int,
    method: str,
    params: dict[str, Any],
    reply_to: Address,
    *,
    wants_progress: bool = False,
    **more: Any,
) -> Submit:
    """A call as the frontend of the client hands it to an upstream."""
    return Submit(call_id(number), asked(method, params), CallContext(reply_to, wants_progress), **more)


def subscribed(*uris: str, client: int = CLIENT) -> frozenset[Subscription]:
    """The subscriptions of one client."""
    return frozenset(Subscription(client, uri) for uri in uris)


class Inbox:
    """An address that keeps what it is told. After ``end`` it behaves as the ref of an actor that has ended."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.ended = False

    def tell(self, message: object) -> None:
        if self.ended:
            raise pykka.ActorDeadError("has ended")
        self.told.append(message)

    def of(self, kind: type) -> list[Any]:
        """The messages of one class, in order."""
        return [message for message in self.told if isinstance(message, kind)]

    def end(self) -> None:
        self.ended = True


class ClientPipe:
    """A link to a client that keeps what is sent, decoded."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.held = False

    def write(self, frame: bytes) -> None:
        self.written.append(json.loads(frame))

    def write_parts(self, parts: tuple[bytes | memoryview, ...]) -> None:
        self.write(b"".join(parts))

    def hold(self, hold: bool) -> None:
        self.held = hold


class DeafLink:
    """A link that keeps what it is given to send, and says nothing."""

    backlog = 0
    pid = None

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.abandoned: list[int] = []
        self.paused = False
        self.closed = False

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        self.sent.append(frame)

    def abandon(self, request_id: int) -> None:
        self.abandoned.append(request_id)

    def established(self, revision: str) -> None: ...

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def stderr_tail(self) -> Sequence[str]:
        return ()

    async def aclose(self, grace: float) -> None:
        self.closed = True
