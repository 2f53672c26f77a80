"""Measures the calls of a client, for those who listen to events. Without a listener there is none of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dmcp.actors.runtime import post
from dmcp.messages.events import CallFinished

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.protocol.pending import CallId


class CallAudit:
    """Measures calls and tells the audit actor of those that have ended."""

    def __init__(self, audit: Address) -> None:
        self._audit = audit
        self._begun: dict[CallId, tuple[float, object]] = {}

    def __repr__(self) -> str:
        return f"<CallAudit {len(self._begun)} open>"

    def begin(self, call: CallId, operation: object) -> None:
        """Note that a call has come, or what it calls in the end."""
        started, _ = self._begun.get(call, (time.monotonic(), None))
        self._begun[call] = started, operation

    def end(self, call: CallId, group: str, outcome: str, size: int) -> None:
        """Tell that a call has ended, with an answer of so many bytes."""
        started, operation = self._begun.pop(call, (time.monotonic(), None))
        seconds = round(time.monotonic() - started, 6)
        name = getattr(operation, "name", None) or getattr(operation, "uri", "")
        kind = type(operation).__name__
        post(self._audit, CallFinished(*call, group, kind, str(name), seconds, size, outcome))
