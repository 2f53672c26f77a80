"""A token bucket: how many events a second pass, and how many at once. Pure."""

from __future__ import annotations


class Bucket:
    """Lets ``rate`` events a second pass, and ``burst`` at once after a pause.

    Args:
        rate: events a second.
        burst: events that may pass at once; the bucket begins full.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = max(1.0, burst)
        self._at: float | None = None

    def __repr__(self) -> str:
        return f"<Bucket {self._left:.1f} of {self._burst:g}, {self._rate:g} a second>"

    def change(self, rate: float, burst: float) -> None:
        """Use other numbers from now on."""
        self._rate, self._burst = rate, max(1.0, burst)
        self._left = min(self._left, self._burst)

    def take(self, now: float) -> bool:
        """Return whether one more event may pass at ``now``, in seconds of a monotonic clock, and count it if so."""
        if self._at is not None and now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
