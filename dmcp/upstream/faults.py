"""How trouble on an HTTP connection is put into words, and what it says about a request. Pure.

Not here: what is done about it. A transport fails a request with the fault, its owner decides what follows.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from dmcp.errors import UpstreamError
from dmcp.protocol.categories import NOT_FOUND
from dmcp.protocol.limits import KIB, MAX_RETRY_AFTER, MIB
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.text import printable
from dmcp.upstream.connection import BeyondLimitError
from dmcp.upstream.refusals import words

_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
_PROXY_DENIED: Final = 407
_SERVER_ERROR: Final = 500
_NOT_FOUND: Final = 404
_LONGEST_DATE: Final = 64  # characters
_LONGEST_NUMBER: Final = 12  # digits


class LinkFailure(UpstreamError):  # noqa: N818 - what happened, like LinkRefused, and it carries a fault
    """One request, or one stream, of a link failed: ``fault`` says why. Never leaves ``dmcp.upstream``."""

    def __init__(self, fault: LinkFault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def failure(kind: FaultKind, reason: str, *, may_have_run: bool, category: str = "") -> LinkFailure:
    """A failure to raise; the arguments are ``LinkFault``'s."""
    return LinkFailure(LinkFault(kind, reason, may_have_run, category))


def from_exception(error: httpx.HTTPError | httpx.InvalidURL, proxy: str = "") -> LinkFault:
    """The fault behind an exception of httpx.

    A request may have run unless the connection could not even be made: what was written may have been read.

    Args:
        error: what happened.
        proxy: the address of the proxy the request went through, if it went through one.
    """
    if isinstance(error, BeyondLimitError | httpx.DecodingError):
        return LinkFault(FaultKind.PROTOCOL, str(error), may_have_run=True)
    through = f" through the proxy {proxy}" if proxy else ""
    if isinstance(error, httpx.ConnectTimeout):
        reason = f"cannot be reached{through}: it does not accept the connection in time"
    elif isinstance(error, _NOT_SENT):
        reason = f"cannot be reached{through}: {_cause(error)}"
    else:
        reason = f"the connection{through} broke before the answer was complete"
    return LinkFault(FaultKind.UNREACHABLE, reason, not isinstance(error, _NOT_SENT))


def _cause(error: BaseException) -> str:
    """The innermost reason the operating system or TLS gave, in its own words but without its numbers."""
    seen: BaseException | None = error
    text = str(error)
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return (
                f"its TLS certificate is not trusted ({seen.verify_message}); if it is signed by a private "
                "authority, name that authority's certificate in SSL_CERT_FILE"
            )
        if isinstance(seen, socket.gaierror):
            return "its host name is not known"
        if isinstance(seen, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(seen, OSError) and seen.strerror:
            text = seen.strerror.lower()
        seen = seen.__cause__ or seen.__context__
    return text or "the connection failed"


def from_status(status: int, body: bytes, proxy: str = "") -> LinkFault:
    """The fault behind a status that is no success, with what the server itself says about it.

    429 refuses before anything runs, and so do the other 4xx; after a 5xx nobody can tell.

    Args:
        status: of HTTP.
        body: of the answer, as much as was read.
        proxy: the address of the proxy it came through, if it did: it may be the proxy's answer.
    """
    reason = f"answered HTTP {status}"
    if status == _PROXY_DENIED:
        reason = f"cannot be reached: the proxy {proxy or 'in between'} wants credentials (HTTP {status}); "
        reason += "put them into its address in HTTP_PROXY or HTTPS_PROXY"
    elif proxy and status >= _SERVER_ERROR:
        reason += f" (through the proxy {proxy})"
    reason += f": {said}" if (said := words(body)) else ""
    if status >= _SERVER_ERROR or status == _PROXY_DENIED:
        return LinkFault(FaultKind.UNREACHABLE, reason, may_have_run=status != _PROXY_DENIED)
    category = NOT_FOUND if status == _NOT_FOUND else ""
    return LinkFault(FaultKind.REJECTED, reason, may_have_run=False, category=category)


def not_mcp(content_type: str) -> LinkFault:
    """The fault of an answer whose content type is neither JSON nor an event stream."""
    if content_type.partition(";")[0].strip().lower() in {"text/html", "application/xhtml+xml"}:
        reason = (
            "answered with a web page instead of MCP: the URL is wrong, or a sign-in page of this network "
            "stands in between"
        )
    else:
        shown = printable(content_type, 80) or "none"
        reason = f"answered with content type {shown!r} instead of JSON or an event stream"
    return LinkFault(FaultKind.PROTOCOL, reason, may_have_run=True)


def oversized(limit: int) -> LinkFailure:
    """A message of more than ``limit`` bytes."""
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // KIB} KiB"
    reason = f"sent a message of more than {size}; limits.frame of this server raises that limit"
    return failure(FaultKind.PROTOCOL, reason, may_have_run=True)


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a ``Retry-After`` header (RFC 9110, 10.2.3); ``None`` if it says nothing usable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(MAX_RETRY_AFTER, float(value[:_LONGEST_NUMBER]))
    try:
        moment = parsedate_to_datetime(value[:_LONGEST_DATE])
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(MAX_RETRY_AFTER, max(0.0, (moment - datetime.now(UTC)).total_seconds()))
