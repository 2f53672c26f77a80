"""The calls that wait until a server can be asked: bounded by their owner, in order, each with its own end of waiting.

Pure: it decides nothing about connections and answers nobody. What is taken out is the caller's to answer or send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.messages.upstream import Submit
    from dmcp.protocol.pending import CallId


class RequestQueue:
    """Calls that have not been sent, or are to be sent once more (``repeated``), oldest first."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: list[Submit] = []

    def __repr__(self) -> str:
        return f"<RequestQueue {len(self._requests)}>"

    def __len__(self) -> int:
        return len(self._requests)

    def append(self, request: Submit) -> None:
        """Add one call at the end."""
        self._requests.append(request)

    def put_first(self, requests: Iterable[Submit]) -> None:
        """Add calls before all others: they are older than what waits."""
        self._requests[:0] = requests

    def take_all(self) -> list[Submit]:
        """Take everything out."""
        requests, self._requests = self._requests, []
        return requests

    def take(self, call: CallId) -> Submit | None:
        """Take one call out, which was cancelled; ``None`` if it does not wait here."""
        for index, request in enumerate(self._requests):
            if request.call == call:
                return self._requests.pop(index)
        return None

    def of_client(self, client: int) -> list[CallId]:
        """Return the calls of one client."""
        return [request.call for request in self._requests if request.call.client == client]

    def take_expired(self, now: float) -> list[Submit]:
        """Take out what has waited for the server to come back for as long as it may (``wait_until``)."""
        expired = [request for request in self._requests if 0 < request.wait_until <= now]
        if expired:
            self._requests = [request for request in self._requests if not 0 < request.wait_until <= now]
        return expired

    def next_expiry(self) -> float | None:
        """Return when the next call has waited long enough, in seconds of the clock; ``None`` when none ever has."""
        return min((request.wait_until for request in self._requests if request.wait_until), default=None)

    def take_retryable(self, *, vanished: bool) -> list[Submit]:
        """Take out what may wait for yet another connection: it has lost one already, and has time left.

        Args:
            vanished: whether the server could not be reached at all. Then what it never got fails with the attempt;
                what may have run there still waits: the server is being restarted, and only another connection can
                tell the outcome.
        """
        retryable = [r for r in self._requests if r.wait_until and (r.may_have_run or not vanished)]
        if retryable:
            taken = {request.call for request in retryable}
            self._requests = [request for request in self._requests if request.call not in taken]
        return retryable
