"""What an authorization server gave, and when to ask for more. Pure; keeping it is ``dmcp.auth.store``'s."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from dmcp.errors import AuthError

AHEAD: Final = 300.0
"""Seconds before expiry at which tokens are renewed, if a tenth of their lifetime is not shorter."""
_CLOCK_STEP = 60.0  # seconds a clock may go back before what it said of an expiry is not believed any more
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
        """The value of the ``Authorization`` header."""
        return f"Bearer {self.access}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return (self.access, self.refresh) if self.refresh else (self.access,)

    @property
    def renew_at(self) -> float | None:
        """When to ask for new ones, in seconds since the epoch; ``None`` when they do not expire."""
        if self.expires_at is None:
            return None
        lifetime = self.expires_at - self.obtained_at
        return self.expires_at - (min(AHEAD, max(lifetime, 0.0) / 10) if self.obtained_at else AHEAD)

    def is_due(self, now: float) -> bool:
        """Whether to renew them now. After a clock went back their expiry means nothing, and they are due."""
        renew_at = self.renew_at
        return renew_at is not None and (now >= renew_at or now < self.obtained_at - _CLOCK_STEP)

    def is_good(self, now: float) -> bool:
        """Whether they have not expired."""
        return self.expires_at is None or now < self.expires_at


def read_token_response(
    document: object, now: float, asked: tuple[str, ...], before: Tokens | None = None
) -> Tokens:
    """Tokens from a token endpoint's answer (RFC 6749 section 5.1).

    Args:
        document: the parsed body.
        now: seconds since the epoch.
        asked: the scopes asked for, which are the granted ones if the answer does not name any.
        before: the renewed tokens; their refresh token stays in use if the answer brings no new one.

    Raises:
        AuthError: this is no token response.
    """
    fault = "the authorization server's answer is not a token response: "
    if not isinstance(document, dict):
        raise AuthError(f"{fault}it is no JSON object")
    access = document.get("access_token")
    if not isinstance(access, str) or not _HEADER_SAFE.fullmatch(access):
        raise AuthError(f"{fault}`access_token` is missing or not fit for a header")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise AuthError(f"{fault}`token_type` is not Bearer, the only kind dmcp knows")
    refresh = document.get("refresh_token")
    if not isinstance(refresh, str) or not refresh:
        refresh = before.refresh if before else None
    scope = document.get("scope")
    lifetime = _seconds(document.get("expires_in"))
    return Tokens(
        access=access,
        refresh=refresh,
        obtained_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        scopes=tuple(scope.split()) if isinstance(scope, str) else (before.scopes if before else asked),
    )


def _seconds(value: Any) -> float | None:
    # Some servers send the number as a string; a value that is no number is as good as none.
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
