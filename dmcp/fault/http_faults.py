"""Faults that only HTTP has: statuses, credentials, content types, cut streams, forgotten sessions.

Not here: what a fault does (``rewrite``) and when it is due (``plan``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dmcp.fault.limits import IN_HTTP, PHASES, Limits, Side, Table


class Status(Limits):
    """An HTTP status in the place of the answer; the request is not carried out."""

    ACTS: ClassVar[Table] = IN_HTTP
    SIDE: ClassVar[Side] = "arriving"
    fault: Literal["status"] = "status"
    status: int = Field(default=500, ge=200, le=599, description="The status.")
    retry_after: str | int | None = Field(
        default=None, description="The Retry-After header: seconds or an HTTP date."
    )
    content_type: str = Field(default="text/plain", description="The Content-Type header.")
    body: str = Field(default="failed on purpose", description="The body.")
    headers: dict[str, str] = Field(default={}, description="More headers, e.g. `Location`.")


class Unauthorized(Limits):
    """The HTTP request is refused for want of credentials."""

    ACTS: ClassVar[Table] = IN_HTTP
    SIDE: ClassVar[Side] = "arriving"
    fault: Literal["unauthorized"] = "unauthorized"
    status: Literal[401, 403] = Field(default=401, description="Not signed in, or not allowed.")
    challenge: str | None = Field(default="Bearer", description="The WWW-Authenticate header.")


class ContentType(Limits):
    """The answer comes with status 200 and the wrong Content-Type."""

    ACTS: ClassVar[Table] = IN_HTTP
    SIDE: ClassVar[Side] = "arriving"
    fault: Literal["content_type"] = "content_type"
    value: str = Field(default="text/html; charset=utf-8", description="The Content-Type header.")
    body: str | None = Field(
        default="<!doctype html><title>Sign in to the network</title>",
        description="The body, e.g. of a captive portal; null: the right answer.",
    )


class CutStream(Limits):
    """The HTTP connection ends in the middle of an event or of a JSON body."""

    ACTS: ClassVar[Table] = {"http": frozenset(PHASES)}
    fault: Literal["cut"] = "cut"
    abort: bool = Field(default=True, description="By a reset, or by an orderly close.")
    when: Literal["before", "during", "after"] = Field(
        default="during",
        description="Before anything of the answer, after half of it, or after it with the stream's end missing.",
    )


class ForgetSession(Limits):
    """The server forgets its HTTP sessions; the request and all later ones of them get 404."""

    ACTS: ClassVar[Table] = {"http": frozenset({"list", "call", "notify", "shutdown"})}
    SIDE: ClassVar[Side] = "arriving"
    fault: Literal["forget"] = "forget"
