"""Calls that are on their way through the stages of their server. Part of the frontend.

Exists only where a server has stages. A stage decides (``dmcp.stages.pipeline``); here is what follows from it: the
call goes to its server, is answered, waits, or the client is asked something first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dmcp import log
from dmcp.messages.frontend import HoldOver, ServerRequest, ServerRequestCancelled, Settled
from dmcp.protocol import jsonrpc, upstream_errors
from dmcp.protocol.limits import MAX_HOLD
from dmcp.protocol.operations import Error, Result
from dmcp.stages.pipeline import Answer, Ask, Continue, Hold, Passage, StagedCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.actors.client_questions import ClientQuestions
    from dmcp.messages import Address
    from dmcp.messages.upstream import AnswerServerRequest
    from dmcp.protocol.operations import Operation, Outcome
    from dmcp.protocol.pending import CallId
    from dmcp.stages.pipeline import Decision, Stage


class Owner(Protocol):
    """What staged calls ask of the frontend."""

    @property
    def actor_ref(self) -> Address:
        """Return where the client's answers to the questions of stages go."""

    def call_later(self, seconds: float, message: object) -> object:
        """See ``LoopActor.call_later``."""

    def submit(self, call: CallId, group: str, operation: Operation) -> None:
        """Send a call to its server."""

    def settle(self, settled: Settled) -> None:
        """Answer a call."""


class StagedCalls:
    """The calls of one client that pass stages.

    Args:
        owner: the frontend.
        questions: asks the client.
        stages: of each server that has any.
    """

    __slots__ = ("_calls", "_owner", "_questions", "stages")

    def __init__(
        self, owner: Owner, questions: ClientQuestions, stages: dict[str, tuple[Stage, ...]]
    ) -> None:
        self._owner = owner
        self._questions = questions
        self._calls: dict[CallId, Passage] = {}
        self.stages = stages

    def __repr__(self) -> str:
        return f"<StagedCalls {len(self._calls)} of {sorted(self.stages)}>"

    def begin(self, call: CallId, group: str, operation: Operation) -> bool:
        """Take a call on its way to a server; returns whether that server has stages."""
        stages = self.stages.get(group)
        if stages is None:
            return False
        passage = self._calls[call] = Passage(stages, StagedCall(group, operation))
        self._go_on(call, passage, passage.before)
        return True

    def resume(self, call: CallId) -> None:
        """Run the stage again that has made a call wait."""
        passage = self._calls.get(call)
        if passage is not None:
            self._go_on(call, passage, passage.before)

    def on_answer(self, answer: AnswerServerRequest) -> None:
        """Give the stage that asked the client the answer."""
        call = next((call for call in self._calls if _name(call) == answer.id), None)
        if call is not None:
            passage = self._calls[call]
            outcome = Error(answer.error) if answer.error is not None else Result(answer.result or b"{}")
            self._go_on(call, passage, lambda: passage.answered(outcome))

    def after(self, call: CallId, outcome: Outcome) -> Outcome:
        """Return what the stages make of the outcome of a call; of any other call the outcome as it is."""
        passage = self._calls.pop(call, None)
        if passage is None:
            return outcome
        try:
            return passage.after(outcome)
        except Exception as error:  # noqa: BLE001 - a bug in a stage ends this call and nothing else
            return Error(self._failed(passage, error, may_have_run=True))

    def forget(self, call: CallId) -> None:
        """Drop a call that the client has cancelled, and what the client was asked because of it."""
        if self._calls.pop(call, None) is not None:
            self._questions.withdraw(
                ServerRequestCancelled(self._owner.actor_ref, _name(call), "the call was cancelled")
            )

    def _go_on(self, call: CallId, passage: Passage, decide: Callable[[], Decision]) -> None:
        group = passage.call.group
        try:
            decision = decide()
        except Exception as error:  # noqa: BLE001 - as above
            decision = Answer(Error(self._failed(passage, error, may_have_run=False)))
        match decision:
            case Continue(operation):
                self._owner.submit(call, group, operation)
            case Answer(outcome):
                self._owner.settle(Settled(call, outcome))
            case Ask(question):
                self._questions.put(ServerRequest(_name(call), group, self._owner.actor_ref, call, question))
            case Hold(seconds, reason) if passage.held + seconds > MAX_HOLD:
                self._owner.settle(
                    Settled(call, Error(upstream_errors.connection_lost(group, reason, may_have_run=False)))
                )
            case Hold(seconds):
                passage.held += seconds
                self._owner.call_later(seconds, HoldOver(call))

    def _failed(self, passage: Passage, error: Exception, *, may_have_run: bool) -> bytes:
        reason = f"dmcp failed: {type(error).__name__}: {error}"
        log.error(f"a stage of its calls is broken: {passage!r}: {reason}", passage.call.group)
        run = "may have run" if may_have_run else "has not run"
        return jsonrpc.error_object(
            jsonrpc.INTERNAL_ERROR, f"{passage.call.group}: {log.mask(reason)}; the call {run}"
        )


def _name(call: CallId) -> bytes:
    """Return the id of what a stage asks because of a call: it asks one thing at a time."""
    return b"%d" % call.number
