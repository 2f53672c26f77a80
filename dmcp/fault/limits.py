"""When a fault acts: the phases of a session, and the limits every fault of a script can be given.

Not here: what the faults are (``faults``) and the counting (``plan``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

Phase: TypeAlias = Literal["connect", "initialise", "list", "call", "notify", "shutdown"]
Transport: TypeAlias = Literal["stdio", "http"]

Side: TypeAlias = Literal["arriving", "departing", "both"]
"""Whether a fault is about what comes in, what goes out, or either. It matters for notifications only."""

PHASES: tuple[Phase, ...] = get_args(Phase)
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

Table: TypeAlias = "Mapping[Transport, frozenset[Phase]]"
"""In which phases of which transport a fault means anything."""

ALL: frozenset[Phase] = frozenset(PHASES)
SPOKEN: frozenset[Phase] = frozenset({"initialise", "list", "call", "notify"})
_ANSWERED: frozenset[Phase] = frozenset({"initialise", "list", "call"})
REQUESTED: frozenset[Phase] = frozenset({*SPOKEN, "shutdown"})
ANYWHERE: Table = {"stdio": ALL, "http": ALL}
IN_ANSWERS: Table = {"stdio": _ANSWERED, "http": _ANSWERED}
IN_MESSAGES: Table = {"stdio": SPOKEN, "http": SPOKEN}
IN_HTTP: Table = {"http": REQUESTED}

Seconds: TypeAlias = Annotated[float, Field(ge=0, le=86_400)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]


class Strict(BaseModel):
    """A part of a script: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Delay(Strict):
    """How long something takes. Exactly one distribution; samples are kept between 0 and `max` seconds."""

    fixed: Seconds | None = None
    uniform: tuple[Seconds, Seconds] | None = Field(
        default=None, description="The shortest and the longest, in seconds."
    )
    normal: tuple[Seconds, Seconds] | None = Field(
        default=None, description="Mean and deviation, in seconds."
    )
    exponential: Seconds | None = Field(default=None, description="The mean, in seconds.")
    pareto: tuple[Seconds, Annotated[float, Field(gt=0)]] | None = Field(
        default=None, description="The shortest in seconds, and the shape: the smaller, the longer the tail."
    )
    max: Seconds = Field(default=60.0, description="No sample is longer, in seconds.")

    def model_post_init(self, _context: object, /) -> None:
        """Check that there is one distribution.

        Raises:
            ValueError: there is none, or more than one.
        """
        named = self.model_dump(exclude={"max"}, exclude_none=True)
        if len(named) != 1:
            raise ValueError("give exactly one of fixed, uniform, normal, exponential and pareto")

    def sample(self, random: Random) -> float:
        """Draw one delay, in seconds."""
        return min(max(0.0, self._draw(random)), self.max)

    def _draw(self, random: Random) -> float:
        if self.fixed is not None:
            return self.fixed
        if self.uniform is not None:
            return random.uniform(*self.uniform)
        if self.normal is not None:
            return random.gauss(*self.normal)
        if self.pareto is not None:
            return self.pareto[0] * random.paretovariate(self.pareto[1])
        return random.expovariate(1 / self.exponential) if self.exponential else 0.0


class Limits(Strict):
    """What all faults have in common: the moments they act at, and when they have acted enough."""

    ACTS: ClassVar[Table] = {}
    SIDE: ClassVar[Side] = "both"

    on: Phase = Field(description="The phase of the session in which the fault acts.")
    method: str | None = Field(
        default=None,
        description="Only at messages of this method; `*` and `?` match as in file names. "
        "Over HTTP also GET and DELETE.",
    )
    tool: str | None = Field(
        default=None, description="Only at calls of this tool; `*` and `?` match as in file names."
    )
    after: Count = Field(default=0, description="Let this many fitting moments pass first.")
    times: Count | None = Field(default=None, description="Act this many times, then never again.")
    probability: float = Field(
        default=1.0, ge=0, le=1, description="How likely it acts at a fitting moment, 0 to 1."
    )
    while_exists: str | None = Field(default=None, description="Act only while this file exists.")
    until_exists: str | None = Field(default=None, description="Act only until this file exists.")
    transport: Transport | None = Field(default=None, description="Act over this transport only.")

    @classmethod
    def acts(cls, phase: Phase, transport: Transport) -> bool:
        """Whether this kind of fault means anything in a phase over a transport."""
        return phase in cls.ACTS.get(transport, frozenset())
