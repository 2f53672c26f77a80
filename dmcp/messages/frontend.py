"""What the frontend accepts (besides the supervisor's ``Directory``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class ClientFrames:
    """From the downstream pipe: lines of the client; ``None`` stands for one that was too long to keep."""

    frames: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ClientGone:
    """From the downstream pipe: the client has closed its end, or stopped listening."""

    reading: bool


@dataclass(frozen=True, slots=True, eq=False)
class Writable:
    """From the downstream pipe: the client keeps up with reading, or does not."""

    writable: bool


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """The answer to a ticket. Exactly one of the two is set."""

    ticket: int
    result: bytes | None
    error: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """From the catalog: this group serves the ticket, with these params."""

    ticket: int
    group: str
    params: JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class Progressed:
    """An upstream reports progress on a ticket."""

    ticket: int
    params: JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An upstream asks the client something; the answer goes back as ``upstream.Respond``."""

    group: str
    upstream: Address
    question: bytes
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class QuestionWithdrawn:
    """The upstream no longer wants an answer; ``question`` is ``None`` for all of its questions."""

    upstream: Address
    question: bytes | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Announce:
    """Send the client a notification."""

    method: str
    params: JsonObject | None


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamGone:
    """An upstream actor has failed: answer what it still owes."""

    upstream: Address
    group: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class SignInOffered:
    """The person has to sign in to this server at this address."""

    group: str
    url: str


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """Take no new requests; end when the last is answered, or after ``grace`` seconds."""

    grace: float


@dataclass(frozen=True, slots=True, eq=False)
class GraceOver:
    """From a timer: stop waiting for requests in flight."""
