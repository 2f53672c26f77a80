"""Where one is in an event stream, and when to ask for the rest of it. Pure: it neither reads nor waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dmcp.protocol.limits import MAX_HEADER_VALUE
from dmcp.protocol.link import FaultKind

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkFault

_FIRST_WAIT: Final = 0.5  # seconds
_SHORTEST_WAIT: Final = 0.05  # seconds: "retry: 0" shall not spin the loop
_LONGEST_WAIT: Final = 30.0  # seconds
_MAX_FAILURES: Final = 6
_LONGEST_RETRY: Final = 3600.0  # seconds of "retry:" that are believed
_PATIENT: Final = ((200, 2.0), (20, 0.5))
"""After so many connections for one stream the next waits at least so many seconds, whatever the server wishes."""


@dataclass(slots=True)
class Place:
    """A place in one stream, over all the connections it has been read from.

    Attributes:
        last_id: of the last event that had one; empty if the server cannot replay.
        retry: seconds the server asked to wait before the stream is taken up again, if it did.
        broken: whether the connection broke, rather than that the server ended the stream.
        failures: waits since the last event.
        connections: waits altogether.
    """

    last_id: str = ""
    retry: float | None = None
    broken: bool = False
    failures: int = 0
    connections: int = 0

    def note(self, event: ServerSentEvent) -> None:
        """An event was read whole."""
        # Of a longer one there is no way back: where the stream was cannot be said.
        self.last_id = (event.id or self.last_id) if len(event.id) <= MAX_HEADER_VALUE else ""
        self.failures = 0
        if event.retry is not None:
            self.retry = max(min(event.retry, _LONGEST_RETRY * 1000) / 1000, _SHORTEST_WAIT)

    def wait(self) -> float:
        """Seconds until the stream is asked for again: the server's wish, else from half a second up."""
        self.failures += 1
        self.connections += 1
        least = next((seconds for many, seconds in _PATIENT if self.connections > many), 0.0)
        if self.retry is not None and self.failures == 1:
            return max(self.retry, least)
        doubled: float = (self.retry or _FIRST_WAIT) * 2 ** min(self.failures - 1, 20)
        return max(least, min(doubled, max(_LONGEST_WAIT, self.retry or 0.0)))


def may_resume(fault: LinkFault, place: Place) -> bool:
    """Whether it is worth another try: the server is away, and has not been for long."""
    return fault.kind is FaultKind.UNREACHABLE and place.failures < _MAX_FAILURES
