"""Reads a ``WWW-Authenticate`` header. Pure; what follows from a challenge is decided elsewhere.

Source: RFC 9110 section 11.6.1 (the grammar), RFC 6750 section 3 (``scope``, ``error``), RFC 9728 section 5.1
(``resource_metadata``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM = re.compile(
    rf"""[\s,]*(?:
        (?P<name>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>{_WORD}))(?=\s*(?:,|$))
      | (?P<scheme>{_WORD})(?:\s+(?P<token68>[A-Za-z0-9._~+/-]+=*)(?=\s*(?:,|$)))?(?=[\s,]|$)
    )""",
    re.VERBOSE,
)
_LONGEST = 8192  # characters read of a header; a server that sends more is not taken at its word


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for.

    Attributes:
        resource_metadata: where the protected resource metadata is, if the server says so.
        scopes: the scopes this request needs; empty when the server does not say.
        error: RFC 6750's error code: ``invalid_token``, ``insufficient_scope``, ...
    """

    resource_metadata: str | None = None
    scopes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def wants_more_scope(self) -> bool:
        """Whether the token was good and allows too little."""
        return self.error == "insufficient_scope"

    @property
    def missing(self) -> tuple[str, ...]:
        """The scopes that a token needs to be better than the one it refuses."""
        return self.scopes if self.wants_more_scope else ()


def parse(header: str) -> Challenge:
    """The Bearer challenge in a header that may hold several challenges; an empty one when there is none.

    Never raises: a header that cannot be read says nothing, and discovery goes on without it.
    """
    parameters: dict[str, str] = {}
    in_bearer, position, text = False, 0, header[:_LONGEST]
    while match := _ITEM.match(text, position):
        position = match.end()
        if match["scheme"] is not None:
            in_bearer = match["scheme"].lower() == "bearer"
        elif in_bearer:
            quoted = match["quoted"]
            value = match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            # The first one counts: a second Bearer challenge must not overwrite the first.
            parameters.setdefault(match["name"].lower(), value)
    return Challenge(
        resource_metadata=parameters.get("resource_metadata") or None,
        scopes=tuple(dict.fromkeys(parameters.get("scope", "").split())),
        error=parameters.get("error") or None,
    )
