"""Faults of single messages: cut, garbled, repeated, out of order, untrue.

Not here: what a fault does (``rewrite``) and when it is due (``plan``).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dmcp.fault.limits import ALL, IN_ANSWERS, IN_MESSAGES, SPOKEN, Delay, Limits, Seconds, Side, Table


class Drip(Limits):
    """The message trickles out a few bytes at a time, and nothing else gets past it."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["drip"] = "drip"
    size: int = Field(
        default=8, ge=1, description="Bytes of each write; more for a message of over 4096 writes."
    )
    pause: Seconds = Field(default=0.01, description="Between two writes, in seconds.")


class Garbage(Limits):
    """Lines that are no messages, before or after the right one."""

    ACTS: ClassVar[Table] = {"stdio": ALL, "http": SPOKEN | {"connect"}}
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["garbage"] = "garbage"
    kind: Literal["text", "binary", "json", "empty"] = Field(
        default="text", description="What stands on the lines."
    )
    lines: int = Field(default=3, ge=1, le=100_000, description="How many.")
    when: Literal["before", "after"] = Field(default="before", description="Before or after the message.")


class Half(Limits):
    """Only the first half of the message is sent, without its end."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["half"] = "half"


class Split(Limits):
    """The message is written in pieces that end inside multi-byte characters (one is added if need be)."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["split"] = "split"
    pause: Seconds = Field(default=0.02, description="Between two writes, in seconds.")


class Oversize(Limits):
    """A message that is too long."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["oversize"] = "oversize"
    size: int = Field(default=64 * 1024 * 1024 + 1, ge=1, le=1024**3, description="Bytes that are added.")
    valid: bool = Field(
        default=True, description="Whether it is the real message padded, or a junk line before it."
    )


class Duplicate(Limits):
    """The message is sent more than once."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["duplicate"] = "duplicate"
    copies: int = Field(default=1, ge=1, le=1000, description="How many more.")


class Reorder(Limits):
    """The message is held back until others have overtaken it."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["reorder"] = "reorder"
    behind: int = Field(default=1, ge=1, le=1000, description="How many others go first.")
    at_most: Seconds = Field(
        default=1.0, description="It is sent after so many seconds even if no other comes."
    )


class Drop(Limits):
    """The request is carried out and the message is never sent; over HTTP its stream ends without it."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["drop"] = "drop"


class Late(Limits):
    """The message is sent long after, even if the request has been cancelled meanwhile."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["late"] = "late"
    delay: Delay = Field(default=Delay(fixed=5.0), description="How long after.")


class Misaddress(Limits):
    """The answer has a wrong id."""

    ACTS: ClassVar[Table] = IN_ANSWERS
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["misaddress"] = "misaddress"
    to: Literal["unknown", "null_id", "retyped", "no_id"] = Field(
        default="unknown",
        description="An id never used, null, the right id as the other JSON type, or no id.",
    )
    extra: bool = Field(default=False, description="Whether the right answer follows.")


class Malformed(Limits):
    """The message is JSON, or nearly, but not what the protocol allows."""

    ACTS: ClassVar[Table] = IN_MESSAGES
    SIDE: ClassVar[Side] = "departing"
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


class Version(Limits):
    """The server answers initialize with a protocol version of its own."""

    ACTS: ClassVar[Table] = {"stdio": frozenset({"initialise"}), "http": frozenset({"initialise"})}
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["version"] = "version"
    version: Any = Field(default="1999-12-31", description="What it answers; any JSON value.")


class Loop(Limits):
    """A listing never ends."""

    ACTS: ClassVar[Table] = {"stdio": frozenset({"list"}), "http": frozenset({"list"})}
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["loop"] = "loop"
    cursor: Literal["same", "new"] = Field(
        default="same", description="Each page has the same next cursor, or a new one."
    )


class Refusal(Limits):
    """The request is answered with a JSON-RPC error and not carried out."""

    ACTS: ClassVar[Table] = IN_ANSWERS
    SIDE: ClassVar[Side] = "departing"
    fault: Literal["error"] = "error"
    code: int = Field(default=-32603, description="The JSON-RPC error code.")
    message: str = Field(default="failed on purpose", description="The error's message.")
    details: Any = Field(default=None, description="The error's `data`.")
