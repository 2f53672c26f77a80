"""The questions one server has put to the client and not got an answer to: sampling, elicitation, roots.

Part of an upstream's conversation. While one is open no deadline of that server's calls passes: over stdio nothing
says which call a question belongs to, and a person may need minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dmcp.actors.runtime import post
from dmcp.messages.frontend import Question, QuestionWithdrawn
from dmcp.messages.upstream import Tick
from dmcp.protocol import jsonrpc

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

    from dmcp.messages import Address
    from dmcp.messages.upstream import Respond

PATIENCE: Final = 1800.0
"""Seconds a person may take to answer a server's question."""


class Asker(Protocol):
    """The actor the questions come from."""

    @property
    def actor_ref(self) -> Address:
        """Where answers go."""

    def later(self, seconds: float, message: object) -> TimerHandle:
        """See ``LoopActor.later``."""

    def cancel(self, timer: TimerHandle | None) -> None:
        """See ``LoopActor.cancel``."""


class Questions:
    """A server's open questions, by the ids it gave them.

    Args:
        group: whose.
        asker: the upstream actor.
        frontend: who asks the client.
        transmit: sends a frame to the server.
        on_change: called when a question has come or gone.
    """

    __slots__ = ("_asker", "_frontend", "_group", "_on_change", "_open", "_transmit")

    def __init__(
        self,
        group: str,
        asker: Asker,
        frontend: Address,
        transmit: Callable[[bytes], None],
        on_change: Callable[[], None],
    ) -> None:
        self._group = group
        self._asker = asker
        self._frontend = frontend
        self._transmit = transmit
        self._on_change = on_change
        self._open: dict[bytes, TimerHandle] = {}  # each with the end of its patience

    def __repr__(self) -> str:
        return f"<Questions of {self._group}: {len(self._open)} open>"

    @property
    def pending(self) -> bool:
        """Whether a person is being waited for."""
        return bool(self._open)

    def put(self, call: jsonrpc.Call) -> None:
        """The server asks: pass it on."""
        self._asker.cancel(self._open.get(call.id))
        self._open[call.id] = self._asker.later(PATIENCE, Tick(("question", call.id)))
        self._on_change()
        post(self._frontend, Question(self._group, self._asker.actor_ref, call.id, call.method, call.params))

    def respond(self, answer: Respond) -> None:
        """The client has answered."""
        if not self._close(answer.question):
            return
        if answer.error is not None:
            self._transmit(jsonrpc.failure(answer.question, answer.error))
        else:
            self._transmit(jsonrpc.result(answer.question, answer.result or b"{}"))

    def withdraw(self, question: bytes, reason: str) -> None:
        """The server no longer wants the answer."""
        if self._close(question):
            post(self._frontend, QuestionWithdrawn(self._asker.actor_ref, question, reason))

    def withdraw_all(self, reason: str) -> None:
        """The server is gone."""
        for timer in self._open.values():
            self._asker.cancel(timer)
        self._open.clear()
        post(self._frontend, QuestionWithdrawn(self._asker.actor_ref, None, reason))

    def expire(self, question: bytes) -> None:
        """The person has not answered in all this time."""
        if question in self._open:
            text = jsonrpc.error_object(jsonrpc.INTERNAL_ERROR, "the person did not answer in time")
            self._transmit(jsonrpc.failure(question, text))
            self.withdraw(question, "timed out")

    def _close(self, question: bytes) -> bool:
        timer = self._open.pop(question, None)
        if timer is None:
            return False
        self._asker.cancel(timer)
        self._on_change()
        return True
