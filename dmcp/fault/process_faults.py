"""Faults of the server as a process: how it starts, stands still, floods and ends.

Not here: what a fault does (``rewrite``) and when it is due (``plan``).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from dmcp.fault.limits import ALL, ANYWHERE, SPOKEN, Delay, Limits, Seconds, Table

When: TypeAlias = Literal["before", "unanswered", "during", "after"]
_WHEN = (
    "`before` the request is carried out; `unanswered`: carried out, and nothing of the answer is sent; "
    "`during`: half of the answer is sent; `after` the answer."
)


class Refuse(Limits):
    """Does not let anybody in.

    Over stdio the process says why on stderr and exits, over HTTP each new connection is reset.
    """

    ACTS: ClassVar[Table] = {"stdio": frozenset({"connect"}), "http": frozenset({"connect"})}
    fault: Literal["refuse"] = "refuse"
    reason: str = Field(default="refused on purpose", description="The line on stderr.")
    status: int = Field(default=1, ge=0, le=255, description="The exit status, over stdio.")


class Exit(Limits):
    """The process exits."""

    ACTS: ClassVar[Table] = ANYWHERE
    fault: Literal["exit"] = "exit"
    status: int = Field(default=3, ge=0, le=255, description="The exit status.")
    when: When = Field(default="before", description=_WHEN)


class Crash(Limits):
    """The process is killed by a signal."""

    ACTS: ClassVar[Table] = ANYWHERE
    fault: Literal["crash"] = "crash"
    signal: Literal["KILL", "SEGV", "ABRT", "TERM"] = Field(
        default="KILL", description="Which; where there are signals."
    )
    when: When = Field(default="before", description=_WHEN)


class Hang(Limits):
    """Nothing happens any more."""

    ACTS: ClassVar[Table] = ANYWHERE
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

    ACTS: ClassVar[Table] = ANYWHERE
    fault: Literal["slow"] = "slow"
    delay: Delay = Field(default=Delay(uniform=(0.05, 0.5)), description="How long.")


class Flood(Limits):
    """Far more notifications or lines on stderr than anybody wants, before the message."""

    ACTS: ClassVar[Table] = ANYWHERE
    fault: Literal["flood"] = "flood"
    of: Literal["notifications", "stderr"] = Field(default="notifications", description="Of what.")
    count: int = Field(default=1000, ge=1, le=1_000_000, description="How many.")
    size: int = Field(default=100, ge=0, le=1_000_000, description="Bytes of text in each.")
    what: str = Field(default="notifications/message", description="The method of the notifications.")


class Ask(Limits):
    """The server asks the client something on its own account, and waits for no answer."""

    ACTS: ClassVar[Table] = {"stdio": frozenset({"list", "call"}), "http": frozenset({"list", "call"})}
    fault: Literal["ask"] = "ask"
    what: str = Field(default="ping", description="The method of the request.")
    params: dict[str, Any] = Field(default={}, description="Its params.")
    count: int = Field(default=1, ge=1, le=100_000, description="How many requests.")


class CloseOutput(Limits):
    """stdout is closed, the process lives on."""

    ACTS: ClassVar[Table] = {"stdio": ALL}
    fault: Literal["close_output"] = "close_output"


class Deaf(Limits):
    """The server stops reading its input; what it has read already is answered."""

    ACTS: ClassVar[Table] = {"stdio": SPOKEN | {"connect"}}
    fault: Literal["deaf"] = "deaf"
    seconds: Seconds = Field(default=3600, description="How long.")


class Orphan(Limits):
    """The server starts a process that is still there when the server has gone."""

    ACTS: ClassVar[Table] = ANYWHERE
    fault: Literal["orphan"] = "orphan"
    seconds: Seconds = Field(default=600, description="How long it lives if nobody ends it.")
    ignore_sigterm: bool = Field(default=True, description="Only SIGKILL ends it.")
    holds_output: bool = Field(default=False, description="Whether it keeps the server's stdout open.")
