"""The cookies of one server: kept as bytes, sent back as they came, few and small.

Sticky sessions behind a load balancer live on them. A jar belongs to one origin, so a cookie needs no domain; what is
for another host is not kept. Not here: storage, and everything that only browsers need. Source: RFC 6265, section 5.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from dmcp.protocol.limits import MAX_COOKIE, MAX_COOKIES

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_DATE: Final = 64  # characters
_LONGEST_NUMBER: Final = 12  # digits of a Max-Age


class CookieJar:
    """Cookies by name and path, the oldest first. Used on the event loop."""

    __slots__ = ("_cookies", "_host", "_secure")

    def __init__(self, host: str, *, secure: bool) -> None:
        """Keep the cookies of this host; ``secure`` says whether it is reached by https."""
        self._host = host.lower()
        self._secure = secure
        self._cookies: dict[tuple[bytes, str], bytes] = {}

    def __repr__(self) -> str:
        return f"<CookieJar {len(self._cookies)} of {self._host}>"

    def __bool__(self) -> bool:
        return bool(self._cookies)

    def header(self, path: str) -> bytes | None:
        """Return the value of the ``Cookie`` header for a request to this path, ``None`` if there is none."""
        fitting = [
            (where, name + b"=" + value)
            for (name, where), value in self._cookies.items()
            if _is_within(path, where)
        ]
        fitting.sort(key=lambda pair: -len(pair[0]))  # longer paths first (RFC 6265, 5.4)
        return b"; ".join(pair for _, pair in fitting) or None

    def keep(self, raw_headers: Iterable[tuple[bytes, bytes]], path: str) -> None:
        """Take the ``Set-Cookie`` headers of an answer to a request for this path. Never raises."""
        for name, value in raw_headers:
            if name.lower() == b"set-cookie" and len(value) <= 2 * MAX_COOKIE:
                self._keep(value, path)
        while len(self._cookies) > MAX_COOKIES:
            del self._cookies[next(iter(self._cookies))]

    def _keep(self, header: bytes, path: str) -> None:
        pair, *rest = header.split(b";", 20)
        name, equals, value = pair.partition(b"=")
        name, value = name.strip(), value.strip()
        if not name or not equals or len(name) + len(value) > MAX_COOKIE:
            return
        attributes = {}
        for each in rest:
            key, _, content = each.partition(b"=")
            attributes[key.strip().lower()] = content.strip().decode("latin-1")
        domain = attributes.get(b"domain", "").removeprefix(".").lower()
        if domain and self._host != domain and not self._host.endswith("." + domain):
            return
        if b"secure" in attributes and not self._secure:
            return
        where = attributes.get(b"path", "")
        if not where.startswith("/"):
            where = path.rpartition("/")[0] or "/"
        self._cookies.pop((name, where), None)
        if not _has_expired(attributes):
            self._cookies[name, where] = value


def _is_within(path: str, where: str) -> bool:
    """Return whether a request's path is one a cookie is for (RFC 6265, 5.1.4)."""
    return path == where or (path.startswith(where) and (where.endswith("/") or path[len(where)] == "/"))


def _has_expired(attributes: dict[bytes, str]) -> bool:
    """Whether a cookie is to be deleted. One with time left is kept for as long as the link: that is short enough."""
    age = attributes.get(b"max-age")
    if age is not None and age.removeprefix("-").isdecimal():
        return age.startswith("-") or (len(age) <= _LONGEST_NUMBER and int(age) == 0)
    date = attributes.get(b"expires", "")
    if not date or len(date) > _LONGEST_DATE:
        return False
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, IndexError, OverflowError):
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= datetime.now(UTC)
