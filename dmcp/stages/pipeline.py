"""The stages a call passes: what they are, how they are built from the configuration, and how they are run.

A stage may change a call, answer it itself, have the client's user asked first, or make it wait; afterwards it may
change the outcome. It decides and does nothing: the frontend (``dmcp.actors.staged_calls``) asks, waits and sends. A
server without stages has an empty tuple, and its calls cost nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.config.model import ServerConfig
    from dmcp.protocol.operations import Error, Operation, Outcome, Question, Result


class StagedCall(NamedTuple):
    """A call as a stage sees it.

    Attributes:
        group: the server it is for.
        operation: what is asked, as the stages before have left it.
    """

    group: str
    operation: Operation


class Continue(NamedTuple):
    """Go on to the next stage, or to the server, with this operation."""

    operation: Operation


class Answer(NamedTuple):
    """Do not ask the server: this is the outcome. The stages that the call has passed see it."""

    outcome: Result | Error


class Ask(NamedTuple):
    """Ask the client first; the answer goes to the stage's ``answered``."""

    question: Question


class Hold(NamedTuple):
    """Let the call wait, then ask the stage's ``before`` again. Longer than ``MAX_HOLD`` in all no call waits.

    Attributes:
        seconds: until then.
        reason: why, as the end of a sentence about the call, for the error of one that has waited too long.
    """

    seconds: float
    reason: str


Decision: TypeAlias = Continue | Answer | Ask | Hold


class Stage(Protocol):
    """One step. It keeps nothing of a call between its methods, raises nothing, and returns within a millisecond."""

    def before(self, call: StagedCall) -> Decision:
        """Decide what becomes of a call on its way to the server."""

    def answered(self, call: StagedCall, answer: Result | Error) -> Decision:
        """Decide what becomes of a call after ``Ask``.

        Args:
            call: as in ``before``.
            answer: the client's; an error if it cannot be asked this, or does not want to be.
        """

    def after(self, call: StagedCall, outcome: Outcome) -> Outcome:
        """Return the outcome as it goes on to the client.

        Args:
            call: as it went to the server.
            outcome: its bytes may be many (``MAX_FRAME``): search no more than a bounded part of them.
        """


Builder: TypeAlias = "Callable[[ServerConfig], Stage | None]"
"""Makes the stage of one kind for a server; ``None`` where the configuration does not ask for it."""

STAGES: tuple[Builder, ...] = ()
"""The kinds of stages, in the order a call passes them."""


def build(config: ServerConfig) -> tuple[Stage, ...]:
    """Return the stages the calls to a server pass, in order; an empty tuple where none is configured."""
    built = (builder(config) for builder in STAGES)
    return tuple(stage for stage in built if stage is not None)


class Passage:
    """One call on its way through the stages of its server, there and back.

    Args:
        stages: of the server; not empty.
        call: as it came.

    Attributes:
        call: as it is now.
        held: seconds it has been made to wait so far.
    """

    __slots__ = ("_passed", "_stages", "call", "held")

    def __init__(self, stages: tuple[Stage, ...], call: StagedCall) -> None:
        self._stages = stages
        self._passed = 0  # stages that have let it through
        self.call = call
        self.held = 0.0

    def __repr__(self) -> str:
        return f"<Passage {self.call.group} {self._passed} of {len(self._stages)} stages>"

    def before(self) -> Decision:
        """Run the stages that are left until one does not let the call go on; ``Continue`` after the last."""
        while self._passed < len(self._stages):
            decision = self._stages[self._passed].before(self.call)
            if not isinstance(decision, Continue):
                return decision
            self._let_through(decision)
        return Continue(self.call.operation)

    def answered(self, answer: Result | Error) -> Decision:
        """Give the stage that asked the client's answer, and go on as in ``before``."""
        decision = self._stages[self._passed].answered(self.call, answer)
        if not isinstance(decision, Continue):
            return decision
        self._let_through(decision)
        return self.before()

    def after(self, outcome: Outcome) -> Outcome:
        """Run the stages the call has passed, the last one first, and return what they have made of the outcome."""
        while self._passed:
            self._passed -= 1
            outcome = self._stages[self._passed].after(self.call, outcome)
        return outcome

    def _let_through(self, decision: Continue) -> None:
        self._passed += 1
        if decision.operation is not self.call.operation:
            self.call = self.call._replace(operation=decision.operation)
