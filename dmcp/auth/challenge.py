"""Reads a ``WWW-Authenticate`` header. Pure; what follows from a challenge is decided elsewhere.

A scanner that looks at each character once, because a stranger wrote the header. It takes what servers send beside what
the grammar has: values without quotes or in single ones, several schemes, the header repeated.

Source: RFC 9110 section 11.6.1 (the grammar), RFC 6750 section 3 (``scope``, ``error``), RFC 9728 section 5.1
(``resource_metadata``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE: Final = " \t\r\n\f\v"
_QUOTES: Final = "\"'"
_LONGEST: Final = 8192  # characters read of a header; a server that sends more is not taken at its word


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
        """Return whether the token was good and allows too little."""
        return self.error == "insufficient_scope"

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the scopes that a token needs to be better than the one it refuses."""
        return self.scopes if self.wants_more_scope else ()


def parse(header: str) -> Challenge:
    """Return the Bearer challenge in a header that may hold several challenges; an empty one when there is none.

    Never raises: a header that cannot be read says nothing, and discovery goes on without it.
    """
    parameters: dict[str, str] = {}
    in_bearer = False
    for name, value in _items(header[:_LONGEST]):
        if value is None:
            in_bearer = name.lower() == "bearer"
        elif in_bearer:
            # The first one counts: a second Bearer challenge must not overwrite the first.
            parameters.setdefault(name.lower(), value)
    return Challenge(
        resource_metadata=parameters.get("resource_metadata") or None,
        scopes=tuple(dict.fromkeys(parameters.get("scope", "").split())),
        error=parameters.get("error") or None,
    )


def _items(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the schemes of a header, with ``None``, and their parameters, up to the first thing that is neither."""
    at = 0
    while (at := _skip(text, at, _SPACE + ",;")) < len(text):
        end = _word_end(text, at, _SPACE + ",;=" + _QUOTES)
        name, after = text[at:end], _skip(text, end, _SPACE)
        if not name:
            return
        if text[after : after + 1] != "=":
            yield name, None
            at = _skip_token68(text, end)
            continue
        at = _skip(text, after + 1, _SPACE)
        if text[at : at + 1] and text[at] in _QUOTES:
            value, at = _quoted(text, at)
            if value is None:
                return
        else:
            # Up to the comma or a space: an address without quotes has "=" and much else in it.
            end = _word_end(text, at, _SPACE + ",")
            value, at = text[at:end], end
        yield name, value


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _word_end(text: str, at: int, stops: str) -> int:
    while at < len(text) and text[at] not in stops:
        at += 1
    return at


def _skip_token68(text: str, at: int) -> int:
    """Pass over what some schemes have in place of parameters: ``Negotiate YWJj==``."""
    start = _skip(text, at, _SPACE)
    end = _word_end(text, start, _SPACE + ",=" + _QUOTES)
    padded = _skip(text, end, "=")
    after = _skip(text, padded, _SPACE)
    is_last = after == len(text) or text[after] == ","
    return padded if end > start and is_last else at


def _quoted(text: str, at: int) -> tuple[str | None, int]:
    """Return the content of a quoted string and where it ends; ``None`` where it never does."""
    parts: list[str] = []
    quote, at = text[at], at + 1
    while at < len(text):
        char = text[at]
        if char == quote:
            return "".join(parts), at + 1
        if char == "\\" and at + 1 < len(text):
            at += 1
            char = text[at]
        parts.append(char)
        at += 1
    return None, at
