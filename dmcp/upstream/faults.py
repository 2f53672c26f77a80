"""Put trouble on an HTTP connection, and what a server says when it refuses, into words and decisions. Pure.

A transport fails a request with the fault; its owner decides what follows. The words come from a stranger: they are
found by scanners, cut, and made safe to show.
"""

from __future__ import annotations

import html
import ipaddress
import re
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from dmcp.errors import UpstreamError
from dmcp.pipes import tls_trouble
from dmcp.protocol.categories import NOT_FOUND
from dmcp.protocol.limits import KIB, MAX_REFUSAL, MAX_RETRY_AFTER, MIB
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.proxies import is_loopback
from dmcp.protocol.wire import decode
from dmcp.text import printable, word_set
from dmcp.upstream.connection import BeyondLimitError, NotHttpError

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


SESSION_LOST: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=True)
NOT_RUN: Final = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=False)


def failure(kind: FaultKind, reason: str, *, may_have_run: bool, category: str = "") -> LinkFailure:
    """Return a failure to raise; the arguments are ``LinkFault``'s."""
    return LinkFailure(LinkFault(kind, reason, may_have_run, category))


def from_exception(error: httpx.HTTPError | httpx.InvalidURL, proxy: str = "") -> LinkFault:
    """Return the fault behind an exception of httpx; ``proxy`` is the address of the proxy it went through, if any.

    A request may have run unless the connection could not even be made: what was written may have been read.
    """
    if isinstance(error, BeyondLimitError | httpx.DecodingError):
        return LinkFault(FaultKind.PROTOCOL, str(error), may_have_run=True)
    through = f" through the proxy {proxy}" if proxy else ""
    if isinstance(error, httpx.ConnectTimeout):
        late = str(error) or "it does not accept the connection in time"
        reason = f"cannot be reached{through}: {late}"
    elif isinstance(error, _NOT_SENT):
        reason = f"cannot be reached{through}: {_cause(error)}"
    elif isinstance(error, NotHttpError):
        reason = str(error)
    else:
        reason = f"the connection{through} broke before the answer was complete"
    return LinkFault(FaultKind.UNREACHABLE, reason, not isinstance(error, _NOT_SENT))


def _cause(error: BaseException) -> str:
    """Return the innermost reason the operating system or TLS gave, in its own words but without its numbers."""
    if trouble := tls_trouble(error):
        return trouble
    seen: BaseException | None = error
    text = str(error)
    while seen is not None:
        if isinstance(seen, socket.gaierror):
            return "its host name is not known"
        if isinstance(seen, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(seen, OSError) and seen.strerror:
            text = seen.strerror.lower()
        seen = seen.__cause__ or seen.__context__
    return text or "the connection failed"


def from_status(status: int, body: bytes, proxy: str = "") -> LinkFault:
    """Return the fault behind a status that is no success, with what the server itself says about it.

    429 refuses before anything runs, and so do the other 4xx; after a 5xx nobody can tell. ``proxy`` is the address of
    the proxy it came through, if it did: it may be the proxy's answer.
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
    """Return the fault of an answer whose content type is neither JSON nor an event stream."""
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
    """Return the failure of a message of more than ``limit`` bytes."""
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // KIB} KiB"
    reason = f"sent a message of more than {size}; limits.frame of this server raises that limit"
    return failure(FaultKind.PROTOCOL, reason, may_have_run=True)


def retry_after(value: str | None) -> float | None:
    """Return seconds to wait by a ``Retry-After`` header (RFC 9110, 10.2.3); ``None`` if it says nothing usable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(MAX_RETRY_AFTER, float(value[:_LONGEST_NUMBER]))
    moment = http_date(value)
    return (
        None
        if moment is None
        else min(MAX_RETRY_AFTER, max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    )


def http_date(text: str) -> datetime | None:
    """Return the moment a header names (RFC 9110, 5.6.7); ``None`` for what is no date."""
    try:
        moment = parsedate_to_datetime(text[:_LONGEST_DATE])
    except (ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


SHOWN: Final = 300
"""Characters of a refusal that are shown."""
_UNSUPPORTED_VERSION: Final = -32022  # of JSON-RPC, in later revisions
_SESSION_STATUS: Final = frozenset({400, 401, 403, 404, 409, 410, 422, 500, 503})
"""Statuses a server that no longer knows a session has been seen to answer with; all but 404 need the words as well."""
_RAW: Final = 4000  # characters that are made printable: much of them may be space
_DEPTH: Final = 3  # objects within objects that are looked into
_KEYS: Final = ("error_description", "message", "detail", "title", "error", "msg", "errors", "reason")
_ENVELOPE: Final = 2048  # bytes; an answer that says that a session is lost is no longer

_WORD: Final = re.compile(r"[a-z0-9_'-]+")  # one class: linear
_SESSION: Final = frozenset(
    {"session", "sessions", "session-id", "session_id", "sessionid", "mcp-session-id", "session's"}
)
_LOST: Final = word_set(
    "absent closed dead deleted destroyed ended expired gone inactive invalid lost missing no non-existent"
    " nonexistent obsolete removed required stale terminated timed unknown unrecognised unrecognized without"
    " doesn't isn't"
)
_NEGATED: Final = word_set(
    "active available exist exists found initialised initialized known present find locate resolve provided"
    " recognised recognized specified supplied valid"
)
_ABOUT_ARGUMENTS: Final = frozenset(
    {"argument", "arguments", "field", "parameter", "parameters", "params", "property", "quota"}
)
_BEGIN_ANEW: Final = frozenset({"re-initialize", "reinitialize", "uninitialised", "uninitialized"})
_NEAR: Final = 5  # words between "session" and what has become of it
_MOST_WORDS: Final = 60
_VERSION: Final = re.compile(r"\b20\d\d-\d\d-\d\d\b")


def words(body: bytes) -> str:
    """Return what a refusal's body says to a user, ready to be shown; empty where it says nothing.

    Taken from the usual members of a JSON document, from plain text, or from the title of a web page.
    """
    body = body[:MAX_REFUSAL]
    try:
        said = _from_document(decode(body), _DEPTH)
    except ValueError:
        said = _from_text(body)
    return printable(" ".join(said[:_RAW].split()), SHOWN)


def is_session_expired(status: int, body: bytes) -> bool:
    """Return whether a refusal of a request that named its session means that there is no such session any more.

    A 404 says so (MCP 2025-11-25, basic/transports, "Session Management"). Many servers say it with another status, the
    official examples among them: then the text has to speak of a session that is unknown, expired or missing.
    """
    return status == _NOT_FOUND or (status in _SESSION_STATUS and says_session_is_lost(body))


def says_session_is_lost(body: bytes) -> bool:
    """Return whether a refusal's text speaks of a session that is unknown, expired or missing."""
    return _says_session_is_lost(words(body))


def response_expires_session(frame: bytes) -> bool:
    """Return whether an answer with HTTP 200 is the error of a server that no longer knows the session."""
    if len(frame) > _ENVELOPE or b'"error"' not in frame or not (b"ession" in frame or b"nitiali" in frame):
        return False
    try:
        message = decode(frame)
    except ValueError:
        return False
    error = message.get("error") if isinstance(message, dict) else None
    # -32602 and -32603 are about the call: its parameters, its failure.
    if not isinstance(error, dict) or error.get("code") in {-32602, -32603}:
        return False
    return says_session_is_lost(frame)


def refuses_revision(body: bytes) -> bool:
    """Return whether a refusal of ``initialize`` is about the protocol's revision: it may be asked with another one."""
    error = error_of(body) or {}
    data = error.get("data")
    if error.get("code") == _UNSUPPORTED_VERSION or (isinstance(data, dict) and "supported" in data):
        return True
    said = words(body).lower()
    return "version" in said or "revision" in said or _VERSION.search(said) is not None


def error_of(body: bytes) -> dict[str, Any] | None:
    """Return the error object of a refusal that is a JSON-RPC error, whatever id it bears."""
    try:
        content = decode(body)
    except ValueError:
        return None
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return error if isinstance(error.get("message"), str) else None


def _from_document(content: Any, depth: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        content = content[0] if content else None
    if isinstance(content, str):
        return content
    if not isinstance(content, dict) or depth == 0:
        return ""
    found = (_from_document(content[key], depth - 1) for key in _KEYS if key in content)
    return next((said for said in found if said.strip()), "")


def _from_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        # What is no text is not worth showing.
        return "" if "\0" in text or text.count("\ufffd") > len(text) // 10 else text[:_RAW]
    lower = text.lower()
    start = lower.find("<title")
    opened = lower.find(">", start) if start >= 0 else -1
    closed = lower.find("</title", opened) if opened >= 0 else -1
    return html.unescape(text[opened + 1 : min(closed, opened + 1 + _RAW)]) if closed >= 0 else ""


def _says_session_is_lost(said: str) -> bool:
    found = _WORD.findall(said.lower())[:_MOST_WORDS]
    if ("initialized" in found and "not" in found) or ("initialization" in found and "before" in found):
        return True
    if not _BEGIN_ANEW.isdisjoint(found):
        return True
    if not _ABOUT_ARGUMENTS.isdisjoint(found) and "mcp-session-id" not in found:
        return False
    for at, word in enumerate(found):
        if word in _SESSION:
            near = found[max(0, at - _NEAR) : at + _NEAR + 1]
            negated = "not" in near or "cannot" in near or "could" in near
            if not _LOST.isdisjoint(near) or (negated and not _NEGATED.isdisjoint(near)):
                return True
    return False


_SHOWN: Final = 200
_PRIVATE_SUFFIXES: Final = (
    ".local",
    ".internal",
    ".lan",
    ".home",
    ".localdomain",
    ".intranet",
    ".corp",
    ".svc",
)


def other_origin(own: str, target: str, *, redirected: bool) -> str:
    """Return the reason for not following a server to another origin, and what to do about it.

    Args:
        own: the server's address, as configured.
        target: where it points to; its query is not shown, because it may hold a secret.
        redirected: whether it is a redirect; else the address an HTTP+SSE server names for messages.
    """
    here, there = urlsplit(own), urlsplit(target)
    shown = _shown(there.scheme, there.netloc, there.path)
    points = f"points to another origin ({shown})"
    if there.scheme not in {"http", "https"}:
        return f"{points}, which is no address of HTTP; that server has to be mended"
    same_host = here.hostname == there.hostname
    if same_host and there.scheme == "https":
        return f"{points}; put {shown} into the configuration as its url"
    downgraded = same_host and here.scheme == "https"
    if not downgraded and (is_private_host(here.hostname or "") or not is_private_host(there.hostname or "")):
        return (
            f"{points}; if that is where the server lives now, put {shown} into the configuration as its url"
        )
    meant = _shown(here.scheme, here.netloc, there.path)
    known = "does not know by which address it is reached"
    if redirected and there.path != here.path:
        return f"{points}, which is not reached from here: it {known}; put {meant} into the configuration as its url"
    if redirected:
        return (
            f"{points}, which is not reached from here: it {known}; the url in the configuration is right, and"
            f" the server or the proxy in front of it must be told that it is {meant}"
        )
    return (
        f"{points}, which is not reached from here: it {known}; the server must be told that messages go to {meant},"
        " or be reached over Streamable HTTP, where it names no address"
    )


def is_private_host(host: str) -> bool:
    """Return whether a host is one only its own network knows: a private address, or a name without a domain."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return is_loopback(host) or "." not in host or host.endswith(_PRIVATE_SUFFIXES) or ".svc." in host
    return not address.is_global


def _shown(scheme: str, netloc: str, path: str) -> str:
    return printable(urlunsplit((scheme, netloc.rpartition("@")[2], path, "", "")), _SHOWN)
