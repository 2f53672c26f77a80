"""Where one is in an event stream, and when to ask for the rest of it. Pure: it neither reads nor waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dmcp.protocol.link import FaultKind

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkFault

_FIRST_WAIT: Final = 0.5  # seconds
_SHORTEST_WAIT: Final = 0.05  # seconds: "retry: 0" shall not spin the loop
_LONGEST_WAIT: Final = 30.0  # seconds
_MAX_FAILURES: Final = 6


@dataclass(slots=True)
class Place:
    """A place in one stream, over all the connections it has been read from.

    Attributes:
        last_id: of the last event that had one; empty if the server cannot replay.
        retry: seconds the server asked to wait before the stream is taken up again, if it did.
        broken: whether the connection broke, rather than that the server ended the stream.
        failures: waits since the last event.
    """

    last_id: str = ""
    retry: float | None = None
    broken: bool = False
    failures: int = 0

    def note(self, event: ServerSentEvent) -> None:
        """An event was read whole."""
        self.last_id = event.id or self.last_id
        self.failures = 0
        if event.retry is not None:
            self.retry = max(event.retry / 1000, _SHORTEST_WAIT)

    def wait(self) -> float:
        """Seconds until the stream is asked for again: the server's wish, else from half a second up."""
        self.failures += 1
        if self.retry is not None and self.failures == 1:
            return self.retry
        doubled: float = (self.retry or _FIRST_WAIT) * 2 ** (self.failures - 1)
        return min(doubled, max(_LONGEST_WAIT, self.retry or 0.0))


def may_resume(fault: LinkFault, place: Place) -> bool:
    """Whether it is worth another try: the server is away, and has not been for long."""
    return fault.kind is FaultKind.UNREACHABLE and place.failures < _MAX_FAILURES
