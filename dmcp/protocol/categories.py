"""Why a server is not ready, in a few fixed words: what the model and a list of states may show. Pure.

A category is dmcp's own text: never a word of the server's, printable, at most 120 characters. What the server wrote
(its stderr, its errors) goes into the details beside it; only the log, ``dmcp check`` and a call's error show them.
"""

from __future__ import annotations

from typing import Final

from dmcp.protocol.link import FaultKind

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
NOT_FOUND: Final = "is not found at its address"

_OF_KIND: Final = {
    FaultKind.EXITED: ENDED,
    FaultKind.MISSING: NOT_STARTED,
    FaultKind.UNREACHABLE: NOT_REACHABLE,
    FaultKind.SESSION_LOST: SESSION_LOST,
    FaultKind.UNAUTHORIZED: NEEDS_SIGN_IN,
    FaultKind.PROTOCOL: NO_MCP,
    FaultKind.REJECTED: "refuses requests",
}


def of_kind(kind: FaultKind | None) -> str:
    """Return the category of a fault that has none of its own; ``None``: the server answered, but to refuse."""
    return REFUSED if kind is None else _OF_KIND[kind]
