"""Restart policy: pure. Given how often a child has failed, when is it started again, or is it parked?

Terms as in OTP's supervisors: more than ``intensity`` failures within ``period`` seconds park the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from dmcp.config.model import RestartPolicy

PARKED_DELAY = 300.0
"""Seconds after which a parked child is tried again."""

UNAUTHORIZED_RETRY_DELAY = 3600.0
"""Seconds after which a server that wants credentials nobody has is tried again; its next use tries at once.

Never in a loop: vendors pause accounts for that.
"""

MISSING_DELAY = 10.0
"""Seconds after which it is looked again whether a command that was not there is there; its next use looks at once.

That is no failure of the server, which has not been started: nothing is counted.
"""

_STABLE = 30.0  # seconds a child has to stay up for its backoff to start from the beginning again
_RENEWALS = 3  # sessions in a row that are begun anew without a pause
_RENEWAL_PAUSE = 5.0  # seconds; the longest pause before another one


class History(Struct, frozen=True):
    """What is remembered of a child's failures.

    Attributes:
        failures: when it failed lately, as seconds of a monotonic clock, oldest first.
        streak: failures in a row without a stable life between them.
        ready_since: when it last became ready, ``None`` while it is not.
        parked: whether it has failed too often, and has not been ready since.
    """

    failures: tuple[float, ...] = ()
    streak: int = 0
    ready_since: float | None = None
    parked: bool = False

    def ready(self, now: float) -> History:
        """Return the history of a child that has become ready."""
        return History(self.failures, self.streak, now)

    def session_lost(self, now: float) -> tuple[History, float]:
        """Return the history after the loss of a session, and the seconds to wait for the next one.

        None at first: a server that has forgotten the session is there. One that forgets every session at once shall
        not be asked for new ones without a pause.
        """
        stable = self.ready_since is not None and now - self.ready_since >= _STABLE
        streak = 0 if stable else self.streak
        delay = 0.0 if streak < _RENEWALS else min(_RENEWAL_PAUSE, 0.1 * 2.0 ** min(streak - _RENEWALS, 60))
        return History(self.failures, streak + 1), delay


class Failure(NamedTuple):
    """Why the last connection was lost; empty when there was none, or when it was ready since.

    Attributes:
        reason: in words.
        category: see ``dmcp.protocol.categories``.
        missing: whether the command to start is not there.
    """

    reason: str = ""
    category: str = ""
    missing: bool = False


class RestartDecision(Struct, frozen=True):
    """Start the child again after ``delay`` seconds; ``parked`` says that it has failed too often."""

    delay: float
    parked: bool


def after_failure(
    policy: RestartPolicy, history: History, now: float, jitter: float
) -> tuple[History, RestartDecision]:
    """Decide what follows from a failure at ``now``.

    Args:
        policy: the server's policy.
        history: of its failures so far.
        now: seconds of a monotonic clock.
        jitter: a random number from 0 to 1; spreads the delay between ``backoff_min`` and its exponential bound.
    """
    recent = (*(at for at in history.failures if now - at < policy.period), now)[-(policy.intensity + 1) :]
    stable = history.ready_since is not None and now - history.ready_since >= _STABLE
    streak = 0 if stable else history.streak
    # A parked child that is tried and fails again stays parked: its old failures may have left the window meanwhile.
    if history.parked or len(recent) > policy.intensity:
        return History(recent, streak + 1, parked=True), RestartDecision(PARKED_DELAY, parked=True)
    return History(recent, streak + 1), RestartDecision(_backoff(policy, streak, jitter), parked=False)


def _backoff(policy: RestartPolicy, streak: int, jitter: float) -> float:
    # The exponent is clamped because 2.0 ** 1100 is an OverflowError, not a long time.
    bound = min(policy.backoff_max, policy.backoff_min * 2.0 ** min(streak, 60))
    return policy.backoff_min + (bound - policy.backoff_min) * jitter
