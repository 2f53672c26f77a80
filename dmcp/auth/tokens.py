"""What an authorization server gave, and when to ask for more. Pure; keeping it is ``dmcp.auth.store``'s."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard, cast

from dmcp.auth.discovery import usable_scopes
from dmcp.errors import AuthError
from dmcp.protocol.limits import MAX_SCOPE, MAX_SCOPES, MAX_TOKEN

AHEAD: Final = 300.0
"""Seconds before expiry at which tokens are renewed, if a tenth of their lifetime is not shorter."""
_CLOCK_STEP = 60.0  # seconds a clock may go back before what it said of an expiry is not believed any more
_BOUND = frozenset({"dpop", "mac", "pop"})  # kinds that are worth nothing without a key
_SCOPE_TEXT = MAX_SCOPE * MAX_SCOPES  # characters
_NUMBER = 40  # characters of a number
_LONGEST = 1e11  # seconds; the calendar ends before
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")  # a token goes into a header: no spaces, no line ends


@dataclass(frozen=True, slots=True)
class Tokens:
    """One answer of a token endpoint.

    Attributes:
        obtained_at: when it came, in seconds since the epoch by this machine's clock; 0 when unknown.
        expires_at: the same clock; ``None`` when the server did not say. Reckoned from ``expires_in`` by our
            own clock, so the server's clock does not matter.
        scopes: what was granted.
    """

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    obtained_at: float = 0.0
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()

    @property
    def authorization(self) -> str:
        """Return the value of the ``Authorization`` header."""
        return f"Bearer {self.access}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the values that must never be shown."""
        return (self.access, self.refresh) if self.refresh else (self.access,)

    @property
    def refresh_at(self) -> float | None:
        """Return when to ask for new ones, in seconds since the epoch; ``None`` when they do not expire."""
        if self.expires_at is None:
            return None
        lifetime = self.expires_at - self.obtained_at
        return self.expires_at - (min(AHEAD, max(lifetime, 0.0) / 10) if self.obtained_at else AHEAD)

    def needs_refresh(self, now: float) -> bool:
        """Return whether to renew them now. After a clock went back their expiry means nothing, and they are due."""
        refresh_at = self.refresh_at
        return refresh_at is not None and (now >= refresh_at or now < self.obtained_at - _CLOCK_STEP)

    def is_valid(self, now: float) -> bool:
        """Return whether they have not expired."""
        return self.expires_at is None or now < self.expires_at


def read_token_response(
    document: object, now: float, asked: tuple[str, ...], before: Tokens | None = None
) -> Tokens:
    """Return the tokens of a token endpoint's answer (RFC 6749 section 5.1), which came ``now``.

    The scopes ``asked`` for are the granted ones if the answer does not name any. The refresh token of the tokens
    ``before`` stays in use if the answer brings no new one.

    Raises:
        AuthError: this is no token response.
    """
    fault = "the authorization server's answer is not a token response: "
    if not isinstance(document, dict):
        raise AuthError(f"{fault}it is no JSON object")
    document = _innermost(document)
    access = document.get("access_token")
    if not is_usable_token(access):
        raise AuthError(f"{fault}`access_token` is missing or not fit for a header")
    kind = document.get("token_type")
    # Some leave it out, send null, or say whose it is ("user", "bot"): a bearer token all the same.
    if kind is not None and (not isinstance(kind, str) or kind.lower() in _BOUND):
        raise AuthError(f"{fault}`token_type` is not Bearer, the only kind dmcp knows")
    refresh = document.get("refresh_token")
    if not isinstance(refresh, str) or not refresh or len(refresh) > MAX_TOKEN:
        refresh = before.refresh if before else None
    scope = document.get("scope")
    if isinstance(scope, list):
        scope = " ".join(s for s in scope[:MAX_SCOPES] if isinstance(s, str))
    lifetime = _seconds(document.get("expires_in"))
    return Tokens(
        access=access,
        refresh=refresh,
        obtained_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        scopes=usable_scopes(tuple(scope[:_SCOPE_TEXT].replace(",", " ").split()))
        if isinstance(scope, str)
        else (before.scopes if before else asked),
    )


def _seconds(value: Any) -> float | None:
    # Some servers send the number as a string. What is no number, and a lifetime that is over before it begins, says
    # nothing: to renew by it would be a loop.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value[:_NUMBER] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST) if seconds >= 1 else None


def is_usable_token(value: object) -> TypeGuard[str]:
    """Return whether this can stand in a header: printable ASCII of bearable length."""
    return isinstance(value, str) and len(value) <= MAX_TOKEN and bool(_HEADER_SAFE.fullmatch(value))


def _innermost(document: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an answer that has the token: a user's token at Slack stands in ``authed_user``."""
    if document.get("access_token"):
        return document
    inner = [v for v in document.values() if isinstance(v, dict) and v.get("access_token")]
    named = document.get("authed_user")
    if named in inner:
        return cast("dict[str, Any]", named)
    return inner[0] if len(inner) == 1 else document
