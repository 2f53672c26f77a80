"""The faults a script may name: where and how often each one acts, and its own arguments.

Not here: what a fault does (``rewrite``) and when it is due (``plan``). A class's docstring and the descriptions of its
fields are the text of ``dmcp fault --list``, of the schema and of docs/faults.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from random import Random

Phase: TypeAlias = Literal["connect", "initialise", "list", "call", "notify", "shutdown"]
Transport: TypeAlias = Literal["stdio", "http"]

Side: TypeAlias = Literal["arriving", "departing", "both"]
"""Whether a fault is about what comes in, what goes out, or either. It matters for notifications only."""

PHASES: tuple[Phase, ...] = get_args(Phase)
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

Table: TypeAlias = "Mapping[Transport, Collection[Phase]]"
"""In which phases of which transport a fault means anything."""

SPOKEN: tuple[Phase, ...] = ("initialise", "list", "call", "notify")


def _over_both(*phases: Phase) -> Table:
    return dict.fromkeys(TRANSPORTS, phases)


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
        """Check that there is one distribution. Raises ``ValueError``: there is none, or more than one."""
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

    ACTS: ClassVar[Table] = _over_both(*PHASES)
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
        """Return whether this kind of fault means anything in a phase over a transport."""
        return phase in cls.ACTS.get(transport, ())


class _Outgoing(Limits):
    """A fault of what the server sends."""

    ACTS: ClassVar[Table] = _over_both(*SPOKEN)
    SIDE: ClassVar[Side] = "departing"


class _Refusing(Limits):
    """A fault in the place of the right HTTP response."""

    ACTS: ClassVar[Table] = {"http": (*SPOKEN, "shutdown")}
    SIDE: ClassVar[Side] = "arriving"


When: TypeAlias = Literal["before", "unanswered", "during", "after"]
_WHEN = (
    "`before` the request is carried out; `unanswered`: carried out, and nothing of the answer is sent; "
    "`during`: half of the answer is sent; `after` the answer."
)


class Refuse(Limits):
    """Does not let anybody in.

    Over stdio the process says why on stderr and exits, over HTTP each new connection is reset.
    """

    ACTS: ClassVar[Table] = _over_both("connect")
    fault: Literal["refuse"] = "refuse"
    reason: str = Field(default="refused on purpose", description="The line on stderr.")
    status: int = Field(default=1, ge=0, le=255, description="The exit status, over stdio.")


class Exit(Limits):
    """The process exits."""

    fault: Literal["exit"] = "exit"
    status: int = Field(default=3, ge=0, le=255, description="The exit status.")
    when: When = Field(default="before", description=_WHEN)


class Crash(Limits):
    """The process is killed by a signal."""

    fault: Literal["crash"] = "crash"
    signal: Literal["KILL", "SEGV", "ABRT", "TERM"] = Field(
        default="KILL", description="Which; where there are signals."
    )
    when: When = Field(default="before", description=_WHEN)


class Hang(Limits):
    """Nothing happens any more."""

    fault: Literal["hang"] = "hang"
    scope: Literal["server", "request"] = Field(
        default="server",
        description="Whether everything stands still, reading included, or this exchange only.",
    )
    seconds: Seconds = Field(default=3600, description="How long. A hung server ends by signals only.")
    ignore_sigterm: bool = Field(default=False, description="Only SIGKILL ends it.")
    when: When = Field(default="before", description=_WHEN)


class Slow(Limits):
    """Each step takes a while."""

    fault: Literal["slow"] = "slow"
    delay: Delay = Field(default=Delay(uniform=(0.05, 0.5)), description="How long.")


class Flood(Limits):
    """Far more notifications or lines on stderr than anybody wants, before the message."""

    fault: Literal["flood"] = "flood"
    of: Literal["notifications", "stderr"] = Field(default="notifications", description="Of what.")
    count: int = Field(default=1000, ge=1, le=1_000_000, description="How many.")
    size: int = Field(default=100, ge=0, le=1_000_000, description="Bytes of text in each.")
    what: str = Field(default="notifications/message", description="The method of the notifications.")


class Ask(Limits):
    """The server asks the client something on its own account, and waits for no answer."""

    ACTS: ClassVar[Table] = _over_both("list", "call")
    fault: Literal["ask"] = "ask"
    what: str = Field(default="ping", description="The method of the request.")
    params: dict[str, Any] = Field(default={}, description="Its params.")
    count: int = Field(default=1, ge=1, le=100_000, description="How many requests.")


class CloseOutput(Limits):
    """stdout is closed, the process lives on."""

    ACTS: ClassVar[Table] = {"stdio": PHASES}
    fault: Literal["close_output"] = "close_output"


class Deaf(Limits):
    """The server stops reading its input; what it has read already is answered."""

    ACTS: ClassVar[Table] = {"stdio": ("connect", *SPOKEN)}
    fault: Literal["deaf"] = "deaf"
    seconds: Seconds = Field(default=3600, description="How long.")


class Orphan(Limits):
    """The server starts a process that is still there when the server has gone."""

    fault: Literal["orphan"] = "orphan"
    seconds: Seconds = Field(default=600, description="How long it lives if nobody ends it.")
    ignore_sigterm: bool = Field(default=True, description="Only SIGKILL ends it.")
    holds_output: bool = Field(default=False, description="Whether it keeps the server's stdout open.")


class Drip(_Outgoing):
    """The message trickles out a few bytes at a time, and nothing else gets past it."""

    fault: Literal["drip"] = "drip"
    size: int = Field(
        default=8, ge=1, description="Bytes of each write; more for a message of over 4096 writes."
    )
    pause: Seconds = Field(default=0.01, description="Between two writes, in seconds.")


class Garbage(_Outgoing):
    """Lines that are no messages, before or after the right one."""

    ACTS: ClassVar[Table] = {"stdio": PHASES, "http": ("connect", *SPOKEN)}
    fault: Literal["garbage"] = "garbage"
    kind: Literal["text", "binary", "json", "empty"] = Field(
        default="text", description="What stands on the lines."
    )
    lines: int = Field(default=3, ge=1, le=100_000, description="How many.")
    when: Literal["before", "after"] = Field(default="before", description="Before or after the message.")


class Half(_Outgoing):
    """Only the first half of the message is sent, without its end."""

    fault: Literal["half"] = "half"


class Split(_Outgoing):
    """The message is written in pieces that end inside multi-byte characters (one is added if need be)."""

    fault: Literal["split"] = "split"
    pause: Seconds = Field(default=0.02, description="Between two writes, in seconds.")


class Oversize(_Outgoing):
    """A message that is too long."""

    fault: Literal["oversize"] = "oversize"
    size: int = Field(default=64 * 1024 * 1024 + 1, ge=1, le=1024**3, description="Bytes that are added.")
    valid: bool = Field(
        default=True, description="Whether it is the real message padded, or a junk line before it."
    )


class Duplicate(_Outgoing):
    """The message is sent more than once."""

    fault: Literal["duplicate"] = "duplicate"
    copies: int = Field(default=1, ge=1, le=1000, description="How many more.")


class Reorder(_Outgoing):
    """The message is held back until others have overtaken it."""

    fault: Literal["reorder"] = "reorder"
    behind: int = Field(default=1, ge=1, le=1000, description="How many others go first.")
    at_most: Seconds = Field(
        default=1.0, description="It is sent after so many seconds even if no other comes."
    )


class Drop(_Outgoing):
    """The request is carried out and the message is never sent; over HTTP its stream ends without it."""

    fault: Literal["drop"] = "drop"


class Late(_Outgoing):
    """The message is sent long after, even if the request has been cancelled meanwhile."""

    fault: Literal["late"] = "late"
    delay: Delay = Field(default=Delay(fixed=5.0), description="How long after.")


class Misaddress(_Outgoing):
    """The answer has a wrong id."""

    ACTS: ClassVar[Table] = _over_both("initialise", "list", "call")
    fault: Literal["misaddress"] = "misaddress"
    to: Literal["unknown", "null_id", "retyped", "no_id"] = Field(
        default="unknown",
        description="An id never used, null, the right id as the other JSON type, or no id.",
    )
    extra: bool = Field(default=False, description="Whether the right answer follows.")


class Malformed(_Outgoing):
    """The message is JSON, or nearly, but not what the protocol allows."""

    fault: Literal["malformed"] = "malformed"
    how: Literal[
        "no_version",
        "both",
        "neither",
        "not_object",
        "wrong_type",
        "truncated",
        "invalid_utf8",
        "lone_surrogate",
        "deep",
        "nameless",
        "twins",
    ] = Field(
        default="wrong_type",
        description="In which way; `nameless` and `twins` are about the entries of a listing.",
    )


class Version(_Outgoing):
    """The server answers initialize with a protocol version of its own."""

    ACTS: ClassVar[Table] = _over_both("initialise")
    fault: Literal["version"] = "version"
    version: Any = Field(default="1999-12-31", description="What it answers; any JSON value.")


class Loop(_Outgoing):
    """A listing never ends."""

    ACTS: ClassVar[Table] = _over_both("list")
    fault: Literal["loop"] = "loop"
    cursor: Literal["same", "new"] = Field(
        default="same", description="Each page has the same next cursor, or a new one."
    )


class Refusal(_Outgoing):
    """The request is answered with a JSON-RPC error and not carried out."""

    ACTS: ClassVar[Table] = _over_both("initialise", "list", "call")
    fault: Literal["error"] = "error"
    code: int = Field(default=-32603, description="The JSON-RPC error code.")
    message: str = Field(default="failed on purpose", description="The error's message.")
    details: Any = Field(default=None, description="The error's `data`.")


class Status(_Refusing):
    """An HTTP status in the place of the answer; the request is not carried out."""

    fault: Literal["status"] = "status"
    status: int = Field(default=500, ge=200, le=599, description="The status.")
    retry_after: str | int | None = Field(
        default=None, description="The Retry-After header: seconds or an HTTP date."
    )
    content_type: str = Field(default="text/plain", description="The Content-Type header.")
    body: str = Field(default="failed on purpose", description="The body.")
    headers: dict[str, str] = Field(default={}, description="More headers, e.g. `Location`.")


class Unauthorized(_Refusing):
    """The HTTP request is refused for want of credentials."""

    fault: Literal["unauthorized"] = "unauthorized"
    status: Literal[401, 403] = Field(default=401, description="Not signed in, or not allowed.")
    challenge: str | None = Field(default="Bearer", description="The WWW-Authenticate header.")


class ContentType(_Refusing):
    """The answer comes with status 200 and the wrong Content-Type."""

    fault: Literal["content_type"] = "content_type"
    value: str = Field(default="text/html; charset=utf-8", description="The Content-Type header.")
    body: str | None = Field(
        default="<!doctype html><title>Sign in to the network</title>",
        description="The body, e.g. of a captive portal; null: the right answer.",
    )


class CutStream(Limits):
    """The HTTP connection ends in the middle of an event or of a JSON body."""

    ACTS: ClassVar[Table] = {"http": PHASES}
    fault: Literal["cut"] = "cut"
    abort: bool = Field(default=True, description="By a reset, or by an orderly close.")
    when: Literal["before", "during", "after"] = Field(
        default="during",
        description="Before anything of the answer, after half of it, or after it with the stream's end missing.",
    )


class ForgetSession(_Refusing):
    """The server forgets its HTTP sessions; the request and all later ones of them get 404."""

    ACTS: ClassVar[Table] = {"http": ("list", "call", "notify", "shutdown")}
    fault: Literal["forget"] = "forget"


Fault: TypeAlias = Annotated[
    Union[  # noqa: UP007 - get_args below needs the members of a real Union
        Refuse,
        Exit,
        Crash,
        Hang,
        Slow,
        Drip,
        Garbage,
        Half,
        Split,
        Oversize,
        Duplicate,
        Reorder,
        Drop,
        Late,
        Misaddress,
        Malformed,
        Version,
        Loop,
        Flood,
        Refusal,
        Ask,
        CloseOutput,
        Deaf,
        Orphan,
        Status,
        Unauthorized,
        ContentType,
        CutStream,
        ForgetSession,
    ],
    Field(discriminator="fault"),
]  # fmt: skip - one name a line would say no more

KINDS: Mapping[str, type[Limits]] = {
    kind.model_fields["fault"].default: kind for kind in get_args(get_args(Fault)[0])
}
"""Every kind of fault by its name in a script."""


def table() -> str:
    """Return every fault with what it does, where it acts and what it can be told; for a terminal."""
    blocks = []
    for name, kind in KINDS.items():
        lines = [f"{name}: {summary(kind)}"]
        lines += [f"    {transport + ':':<7}{phases}" for transport, phases in places(kind)]
        lines += [f"    {argument} = {default}" for argument, default, _ in arguments(kind)]
        blocks.append("\n".join(lines) + "\n")
    limits = [f"    {name} = {default}" for name, default, _ in fields(Limits)]
    return "\n".join([*blocks, "every fault also takes:\n" + "\n".join(limits) + "\n"])


def summary(kind: type[Limits]) -> str:
    """Return what the fault does, on one line."""
    return " ".join((kind.__doc__ or "").split())


def places(kind: type[Limits]) -> Iterator[tuple[Transport, str]]:
    """Yield for each transport the phases in which the fault acts."""
    for transport in kind.ACTS:
        yield transport, ", ".join(phase for phase in PHASES if kind.acts(phase, transport))


def arguments(kind: type[Limits]) -> Iterator[tuple[str, str, str]]:
    """Yield the fault's own arguments: name, default, meaning."""
    return fields(kind, {"fault", *Limits.model_fields})


def fields(kind: type[Limits], without: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield the arguments of a fault, or the limits all have: name, default, meaning."""
    for name, field in kind.model_fields.items():
        if name not in without:
            default = "required" if field.is_required() else _shown(field.get_default())
            yield name, default, (field.description or "").replace("|", "\\|")


def _shown(default: Any) -> str:
    if isinstance(default, Delay):
        default = default.model_dump(exclude_defaults=True)
    return to_json(default).decode()
