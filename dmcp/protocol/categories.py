"""Why a server is not ready, in a few fixed words: what the model and a list of states may show. Pure.

A category is dmcp's own text: never a word of the server's, printable, at most 120 characters. What the server wrote
(its stderr, its errors) goes into the details beside it; only the log, ``dmcp check`` and a call's error show them.
"""

from __future__ import annotations

import re
from typing import Final

from dmcp.protocol.link import FaultKind

CONNECTING: Final = "connecting"
NEEDS_SIGN_IN: Final = "needs a sign-in"
NOT_REACHABLE: Final = "not reachable"
NOT_STARTED: Final = "could not be started"
TOO_SLOW: Final = "did not start in time"
REFUSED: Final = "refused to initialize"
NO_MCP: Final = "does not speak MCP"
HANGS: Final = "does not answer"
ENDED: Final = "ended"
SESSION_LOST: Final = "lost its session"
FAILED: Final = "dmcp failed"
KEY_REFUSED: Final = "refuses the Authorization header of its configuration"
NO_LISTING: Final = "could not be asked what it offers"

_OF_KIND: Final = {
    FaultKind.EXITED: ENDED,
    FaultKind.MISSING: NOT_STARTED,
    FaultKind.UNREACHABLE: NOT_REACHABLE,
    FaultKind.SESSION_LOST: SESSION_LOST,
    FaultKind.UNAUTHORIZED: NEEDS_SIGN_IN,
    FaultKind.PROTOCOL: NO_MCP,
    FaultKind.REJECTED: "refuses requests",
}
# Only what dmcp itself writes at the beginning of a reason (dmcp.upstream.processes), the number bounded.
_EXIT: Final = re.compile(r"exited with status -?\d{1,10}|was killed by (?:SIG[A-Z0-9]{1,12}|signal \d{1,6})")


def of_fault(kind: FaultKind | None, reason: str) -> str:
    """Return the category of a fault; ``kind`` is ``None`` when the server answered but could not be initialised."""
    if kind is None:
        return REFUSED
    if kind is FaultKind.UNAUTHORIZED and reason.startswith(KEY_REFUSED):
        return KEY_REFUSED  # no sign-in helps
    ended = _EXIT.match(reason) if kind is FaultKind.EXITED else None
    return ended.group() if ended else _OF_KIND[kind]
