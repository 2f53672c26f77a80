"""The requests one server has made of the client and not got an answer to: sampling, elicitation, roots.

Part of a connection. Only what a person answers stops a clock, and only that of the call it belongs to:
over HTTP the stream a request came on says which that is, over stdio it is the oldest call in flight. A call that is
cancelled takes its server's requests with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dmcp.actors.runtime import post
from dmcp.actors.startup import Timers
from dmcp.messages.frontend import SendNotification, ServerRequest, ServerRequestCancelled
from dmcp.protocol import jsonrpc, server_requests, wire
from dmcp.protocol.eras.handshake import read_question
from dmcp.protocol.limits import MAX_ELICITATIONS, PERSON_TIMEOUT, REQUEST_BURST, ROOTS_TIMEOUT
from dmcp.protocol.operations import ANSWERED_BY_USER
from dmcp.protocol.timing import Bucket
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

    from dmcp.actors.in_flight import InFlight
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import AnswerServerRequest
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.operations import ElicitationCompleted, Question


_NOBODY: Final = (
    "dmcp serves several clients and cannot tell which of them this request is for: send it on the stream of the call "
    "it belongs to, or while only one client has calls in flight"
)


class Owner(Timers, Protocol):
    """The connection the requests come over.

    Attributes:
        number: of the connection: two connections of a server may use the same ids.
    """

    number: int

    def transmit(self, frame: bytes) -> None:
        """Send a frame to the server."""


class _Open(NamedTuple):
    """A request that waits for the client.

    Attributes:
        timer: the end of its time.
        client: who was asked.
        address: of its frontend.
        call: the number of the call it belongs to, if it belongs to one.
        guessed: whether the link could not say which call that is.
        by_person: whether a person answers it.
    """

    timer: TimerHandle
    client: int
    address: Address
    call: int | None
    guessed: bool
    by_person: bool


class ServerRequests:
    """A server's open requests, by the ids it gave them.

    Args:
        config: of the server.
        owner: the connection.
        calls: the requests that are in flight on it.
        address: of the upstream actor, where answers go.
        clients: one of them is asked.
        clock: seconds of a monotonic clock.

    Attributes:
        pending: what waits for the client, by the server's id; changed here only.
    """

    __slots__ = (
        "_address",
        "_bucket",
        "_calls",
        "_clients",
        "_clock",
        "_config",
        "_elicitations",
        "_group",
        "_owner",
        "_prefix",
        "pending",
    )

    def __init__(
        self,
        config: ServerConfig,
        owner: Owner,
        calls: InFlight,
        address: Address,
        *,
        clients: Clients[Address],
        clock: Callable[[], float],
    ) -> None:
        self._group = config.name
        self._config = config
        self._owner = owner
        self._calls = calls
        self._prefix = b"%d/" % owner.number
        self._address = address
        self._clients = clients
        self._clock = clock
        self._bucket = Bucket(*_rate(config))
        self.pending: dict[bytes, _Open] = {}
        # The ids of addresses a person was sent to, oldest first, and by which client.
        self._elicitations: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<ServerRequests of {self._group}: {len(self.pending)} open>"

    def reconfigure(self, config: ServerConfig) -> None:
        """Use these limits from now on."""
        self._config = config
        self._bucket.change(*_rate(config))

    def put(self, call: jsonrpc.Request, size: int, during: int | None = None) -> None:
        """Pass a request of the server on, or refuse it.

        Args:
            call: the request.
            size: bytes of the frame it came in.
            during: the number of the call on whose stream it came, if the link knows.
        """
        question = read_question(call.method, call.params)
        asked: Question | server_requests.Refusal
        if question is None:
            asked = server_requests.unknown(call.method)
        else:
            asked = server_requests.prepare(self._group, question, self._config.features, size)
        if isinstance(asked, server_requests.Refusal):
            self._refuse(call.id, asked.code, asked.text)
        elif call.id in self.pending:
            text = "Invalid request: a request with this id is waiting for its answer already"
            self._refuse(call.id, jsonrpc.INVALID_REQUEST, text)
        elif len(self.pending) >= self._config.limits.server_requests or not self._bucket.take(self._clock()):
            text = (
                f"dmcp passes on {self._config.limits.server_requests} requests of a server at once, and as many a "
                "second; a person can raise limits.server_requests in its configuration"
            )
            self._refuse(call.id, jsonrpc.UPSTREAM_FAILED, text)
        else:
            client = self._pass_on(call.id, asked, during)
            if client is not None and question is not None and asked.params.get("mode") == "url":
                self.expect_completion(str(question.params["elicitationId"]), client)

    def _pass_on(self, identifier: bytes, question: Question, during: int | None) -> int | None:
        """Give a question to the client it is for, and return which one that is; ``None`` if there is none."""
        by_person = isinstance(question, ANSWERED_BY_USER)
        known = self._calls.call_id(during) if during is not None else None
        client = self._clients.asked_by(
            known.client if known is not None else None, self._calls.calling() if by_person else ()
        )
        address = self._clients.get(client) if client is not None else None
        if client is None or address is None:
            self._refuse(identifier, jsonrpc.UPSTREAM_FAILED, _NOBODY)
            return None
        seconds = PERSON_TIMEOUT if by_person else ROOTS_TIMEOUT
        timer = self._owner.start_timer(seconds, ("server request", identifier))
        number = self._calls.oldest_call() if during is None else during
        self.pending[identifier] = _Open(timer, client, address, number, during is None, by_person)
        if by_person and number is not None:
            self._calls.pause_call(number)
        post(address, ServerRequest(self._prefix + identifier, self._group, self._address, known, question))
        return client

    def _refuse(self, identifier: bytes, code: int, text: str) -> None:
        self._owner.transmit(jsonrpc.failure(identifier, jsonrpc.error_object(code, text)))

    def respond(self, answer: AnswerServerRequest) -> None:
        """Pass the client's answer on."""
        identifier = answer.id.removeprefix(self._prefix)
        if self._close(identifier) is None:
            return
        if answer.error is not None:
            self._owner.transmit(jsonrpc.failure(identifier, answer.error))
        else:
            self._owner.transmit(jsonrpc.result(identifier, answer.result or b"{}"))

    def withdraw(self, identifier: object, reason: object) -> None:
        """The server no longer wants an answer (``notifications/cancelled``); of another id nothing is told."""
        if isinstance(identifier, bool) or not isinstance(identifier, int | str | float):
            return
        question = wire.encode(identifier)
        one = self._close(question)
        if one is not None:
            text = printable(reason) if isinstance(reason, str) else ""
            post(one.address, ServerRequestCancelled(self._address, self._prefix + question, text))

    def withdraw_all(self, reason: str) -> None:
        """Withdraw everything: the server is gone."""
        for question, one in self.pending.items():
            self._owner.cancel_timer(one.timer)
            post(one.address, ServerRequestCancelled(self._address, self._prefix + question, reason))
        self.pending.clear()

    def client_left(self, client: int) -> None:
        """Refuse what was asked of a client that is gone."""
        for question in [question for question, one in self.pending.items() if one.client == client]:
            self._abort(question, "the client has left")
        for identifier in [key for key, asked in self._elicitations.items() if asked == client]:
            del self._elicitations[identifier]

    def expire(self, question: bytes) -> None:
        """Refuse a request the client has not answered in all this time."""
        if question in self.pending:
            self._abort(question, "there was no answer in time")

    def call_landed(self, number: int) -> None:
        """A call has its answer. What was only guessed to belong to it may belong to the oldest of the others."""
        for question, one in self._of_call(number):
            other = self._calls.oldest_call() if one.guessed else None
            self.pending[question] = one._replace(call=other)
            if other is not None and one.by_person:
                self._calls.pause_call(other)

    def call_ended(self, number: int, reason: str) -> None:
        """A call was cancelled, or its time is over: nobody waits for what its server asked on its account."""
        for question, _ in self._of_call(number):
            self._abort(question, f"the call it belongs to has ended: {reason}")

    def _of_call(self, number: int) -> list[tuple[bytes, _Open]]:
        return [(question, one) for question, one in self.pending.items() if one.call == number]

    def _abort(self, question: bytes, reason: str) -> None:
        one = self._close(question)
        self._refuse(question, jsonrpc.INTERNAL_ERROR, reason)
        if one is not None:
            post(one.address, ServerRequestCancelled(self._address, self._prefix + question, reason))

    def _close(self, question: bytes) -> _Open | None:
        one = self.pending.pop(question, None)
        if one is not None:
            self._owner.cancel_timer(one.timer)
            if one.by_person and one.call is not None:
                self._calls.resume_call(one.call)
        return one

    # Elicitation in URL mode --------------------------------------------------------------------------------------

    def expect_completion(self, identifier: str, client: int) -> None:
        """A client sends its user to an address: the server may say of this id of its own that it is done."""
        if len(self._elicitations) >= MAX_ELICITATIONS:
            del self._elicitations[next(iter(self._elicitations))]
        self._elicitations[identifier] = client

    def completed(self, news: ElicitationCompleted) -> None:
        """Tell the client that was asked, under the id it knows, that an elicitation is done."""
        identifier = news.elicitation
        client = self._elicitations.pop(identifier, None) if isinstance(identifier, str) else None
        address = self._clients.get(client) if client is not None else None
        if address is not None:
            known = server_requests.elicitation_id(self._group, str(identifier))
            post(address, SendNotification(news._replace(elicitation=known)))


def connection_of(identifier: bytes) -> int:
    """Return the number of the connection a server request came over, from the id its client knows it by."""
    return int(identifier.partition(b"/")[0])


def _rate(config: ServerConfig) -> tuple[float, float]:
    rate = float(config.limits.server_requests)
    return rate, rate * REQUEST_BURST
