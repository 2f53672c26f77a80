"""What a misbehaving server can do, one step at a time. Deciding code returns them, serving code performs them.

Not here: why a step is taken (``rewrite``) and how (``performer``, ``stdio``, ``http``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Send:
    """One whole message."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Noise:
    """Something in the place of a message that is none; without its line ending."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A message in pieces.

    Attributes:
        frame: the whole message.
        cuts: ascending byte offsets in the frame where one write ends and the next begins.
        pause: seconds between two writes.
        whole: whether what follows the last cut is sent too.
    """

    frame: bytes
    cuts: tuple[int, ...]
    pause: float
    whole: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, in this exchange only."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing for a long time: of the whole server, reading included, or of this exchange."""

    seconds: float
    whole_server: bool
    ignore_sigterm: bool


@dataclass(frozen=True, slots=True)
class AwaitOthers:
    """Wait until this many other messages have gone out, but not longer than ``at_most`` seconds."""

    count: int
    at_most: float


@dataclass(frozen=True, slots=True)
class Die:
    """The process ends now: with a status, or by the signal of this name ("KILL")."""

    status: int = 1
    signal: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Lines on stderr."""

    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Cut:
    """The way to the client ends: stdout is closed, or the connection is (``abort``: by a reset)."""

    abort: bool = False


@dataclass(frozen=True, slots=True)
class Respond:
    """A whole HTTP response in the place of the right one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """All HTTP sessions are unknown from now on."""


@dataclass(frozen=True, slots=True)
class Deaf:
    """Stop reading from the client; everything else goes on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Orphan:
    """Start a child that does not end by itself with its parent."""

    seconds: float
    ignore_sigterm: bool
    holds_output: bool


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Let this client not in: the process exits with this status, or the connection is reset."""

    reason: str
    status: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more of this exchange; the request is not carried out."""


Step: TypeAlias = (
    "Send | Noise | Part | Wait | Hang | AwaitOthers | Die | Diagnose | Cut | Respond | Forget | Deaf | Orphan"
    " | TurnAway | Stop"
)
