"""What the auth actor knows about one group, and what follows from it. Pure: time is an argument, nothing waits.

The credentials themselves are opaque here (``HeldCredentials``): ``dmcp.auth`` makes them and gets better ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct, field

from dmcp.config.model import Secretive
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded
from dmcp.protocol.limits import MAX_CHALLENGE

if TYPE_CHECKING:
    from dmcp.config.model import RemoteServer

Kind = Literal["load", "refresh", "reauthorize"]
Awaited = Literal["", "person", "process"]
REFRESH_COOLDOWN: Final = 5.0
"""Seconds. What was renewed because of a refusal, and is refused again within this time, is not renewed again."""
MAX_REFRESHES: Final = 30
"""Renewals an hour because of a refusal; more do not help with a server that refuses everything."""
PROMPT_COOLDOWN: Final = 300.0
"""Seconds after a sign-in that failed before the person's browser is opened again unasked."""
_NEW = 1.0  # seconds
_STEP_UPS = 2  # for one and the same challenge ...
_STEP_UP_KINDS = 20  # different challenges that lead to a step-up ...
_STEP_UP_WINDOW = 600.0  # ... within so many seconds
_LONGEST_BACKOFF = 60.0  # seconds
_ASKS = 3  # times the browser is opened for one group ...
_REFUSED_AT_ONCE = 60.0
"""Seconds after a sign-in in which a refusal of what it brought means that the server refuses every token."""
_HOUR = 3600.0  # ... within so many seconds, whatever the server says
_UNAUTHORIZED, _FORBIDDEN = 401, 403


class HeldCredentials(Protocol):
    """Credentials as the auth actor sees them."""

    @property
    def authorization(self) -> str:
        """Return the header value."""

    def needs_refresh(self, now: float) -> bool:
        """Return whether to renew them."""

    def is_valid(self, now: float) -> bool:
        """Return whether they have not expired."""


class Answer(Secretive, frozen=True):
    """Say this at once."""

    hidden = frozenset({"authorization"})

    authorization: str | None


class Refuse(Struct, frozen=True):
    """Nothing better can be had."""

    error: AuthError


class WaitForJob(Struct, frozen=True):
    """Wait for the flight that is under way."""


class StartJob(Struct, frozen=True):
    """Begin a flight and wait for it. ``refresh`` and ``ask`` are for mending: see ``Authorizer.reauthorize``."""

    kind: Kind
    refresh: bool = True
    ask: bool = True


Decision = Answer | Refuse | WaitForJob | StartJob


class CredentialState(Struct, eq=False):
    """The credentials for one group's server and what has been tried for them.

    Attributes:
        held: the credentials in use.
        loaded: whether the store has been asked.
        job: the flight under way.
        awaits: whether that flight waits for a person now, or for another dmcp process that has asked one.
        failure: why the last flight failed, until one succeeds.
        retry_at: not before this time is the authorization server asked again.
        prompt_not_before: not before this time is the person asked again.
        asked: when the person was asked, in the last hour.
        refreshing: whether the flight may bring renewed credentials in place of refused ones.
        refreshes: when it did, in the last hour. A renewal that failed is none.
        proven: whether the server has taken what is held since it was renewed.
        signed_in: when the person last signed in.
        new_until: until when what is held is used whatever its dates say, because it has just come.
        step_ups: when more permissions were asked for, by challenge.
    """

    server: RemoteServer
    held: HeldCredentials | None = None
    loaded: bool = False
    job: Kind | None = None
    awaits: Awaited = ""
    failure: AuthError | None = None
    failures: int = 0
    retry_at: float = 0.0
    prompt_not_before: float = 0.0
    asked: list[float] = field(default_factory=list)
    refreshing: bool = False
    proven: bool = False
    signed_in: float = float("-inf")
    new_until: float = 0.0
    refreshes: list[float] = field(default_factory=list)
    step_ups: dict[str, list[float]] = field(default_factory=dict)

    def authorize(self, now: float) -> Decision:
        """Return what to say to a request that is about to be sent. It never waits for a person."""
        if self.job is not None and not self.awaits:
            return WaitForJob()
        held = self.held
        if self.job is None:
            if not self.loaded:
                return StartJob("load")
            if (
                held is not None
                and held.needs_refresh(now)
                and now >= self.retry_at
                and not self._is_new(now)
            ):
                return StartJob("refresh")
        if held is not None and (held.is_valid(now) or self._is_new(now)):
            return Answer(held.authorization)
        if held is not None and isinstance(self.failure, AuthUnavailable) and now < self.retry_at:
            return Refuse(self.failure)
        # The server will say what it wants; that answer leads to a sign-in.
        return Answer(None)

    def challenged(
        self, now: float, status: int, challenge: str, rejected: str | None, *, in_use: bool = True
    ) -> Decision:
        """Decide what to say to a request that was refused. The person is asked only while the server is in use."""
        held = self.held
        if held is not None and held.authorization != rejected and held.is_valid(now):
            return Answer(held.authorization)  # somebody else was refused first, and has mended it
        if self.job is not None:
            return WaitForJob()
        if self.failure is not None and now < self.retry_at and not isinstance(self.failure, SignInNeeded):
            return Refuse(self.failure)
        if status == _FORBIDDEN and in_use and not self._may_step_up(challenge[:MAX_CHALLENGE], now):
            return Refuse(
                AuthError("it asks for more permissions than a sign-in gives, even when asked for them")
            )
        self.refreshes = [t for t in self.refreshes if now - t < _HOUR]
        fresh = (
            held is not None
            and held.authorization == rejected
            and not self.proven
            and self._refreshed_since(now - REFRESH_COOLDOWN)
        )
        refresh = status == _UNAUTHORIZED and not fresh and len(self.refreshes) < MAX_REFRESHES
        self.refreshing = refresh and held is not None
        refuses_all = held is not None and held.authorization == rejected and not self.proven
        if status == _UNAUTHORIZED and refuses_all and now - self.signed_in < _REFUSED_AT_ONCE:
            # Another sign-in would bring the same; the person may still do it by a command.
            self.prompt_not_before = max(self.prompt_not_before, now + _HOUR)
        ask = in_use and now >= self.prompt_not_before and sum(now - t < _HOUR for t in self.asked) < _ASKS
        return StartJob("reauthorize", refresh=refresh, ask=ask)

    def _is_new(self, now: float) -> bool:
        # A clock that jumps, or a lifetime that is over on arrival, must not make a loop of renewals.
        return self.new_until - _NEW <= now < self.new_until

    def _refreshed_since(self, time: float) -> bool:
        return bool(self.refreshes) and self.refreshes[-1] > time

    def _may_step_up(self, challenge: str, now: float) -> bool:
        tried = [t for t in self.step_ups.get(challenge, []) if now - t < _STEP_UP_WINDOW]
        # Bounded: challenges that have aged are dropped whenever one is added, and there are only so many.
        kept = {c: times for c, times in self.step_ups.items() if now - times[-1] < _STEP_UP_WINDOW}
        if len(tried) >= _STEP_UPS or len(kept) >= _STEP_UP_KINDS:
            return False
        self.step_ups = kept | {challenge: [*tried, now]}
        return True

    def job_started(self, kind: Kind) -> None:
        """A flight has begun."""
        self.job, self.awaits = kind, ""

    def prompted(self, now: float) -> None:
        """The flight waits for the person now."""
        self.awaits = "person"
        self.asked = [*(t for t in self.asked if now - t < _HOUR), now]

    def job_waits_for_other_process(self) -> None:
        """The flight waits for another dmcp process now: the person is being asked already."""
        self.awaits = "process"

    def accepted(self, authorization: str) -> None:
        """Note that the server has taken this."""
        if self.held is not None and self.held.authorization == authorization:
            self.proven = True

    def job_succeeded(self, held: HeldCredentials | None, now: float) -> None:
        """The flight brought this; ``None`` only from the store."""
        if self.refreshing and not self.awaits:
            self.refreshes.append(now)
        if self.job != "load":
            self.new_until = now + _NEW
        if self.awaits == "person":
            self.signed_in = now
        self.held, self.loaded, self.refreshing, self.proven = held, True, False, False
        self.job, self.awaits = None, ""
        self.failure, self.failures, self.retry_at, self.prompt_not_before = None, 0, 0.0, 0.0

    def job_failed(self, error: AuthError, now: float) -> None:
        """Note that the job failed. What is held stays in use as long as it is good."""
        asked = self.awaits == "person"
        self.refreshing = False
        self.job, self.awaits, self.failure = None, "", error
        self.failures += 1
        backoff = min(_LONGEST_BACKOFF, 2.0 ** min(self.failures, 10) / 2)
        self.retry_at = float("inf") if isinstance(error, SignInNeeded) else now + backoff
        if asked:
            self.prompt_not_before = now + PROMPT_COOLDOWN
