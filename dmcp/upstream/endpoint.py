"""One remote server's address: what every HTTP request to it carries, and the answers that mean "ask again".

Owns configured headers, the ``Authorization`` header, cookies, redirects within the origin, and waiting for ``Retry-
After``. Not here: what a request or an answer says, sessions and streams (the links), connections (``pool``).
"""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from dmcp import log
from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol import encodings
from dmcp.protocol.categories import KEY_REFUSED
from dmcp.protocol.limits import MAX_COOKIE, MAX_COOKIES, MAX_FRAME
from dmcp.protocol.link import FaultKind
from dmcp.text import word_set
from dmcp.upstream import faults, pool, responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dmcp.config.model import RemoteServer
    from dmcp.protocol.link import Credentials, LinkFault
    from dmcp.upstream.connection import Connection
    from dmcp.upstream.responses import Header, Response, ResponseCallback

_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_LASTING: Final = frozenset({301, 308})
_MAX_REDIRECTS: Final = 5
_BUSY: Final = frozenset({429, 503})
_DENIED: Final = frozenset({401, 403})
_UNAUTHORIZED: Final = 401
_SHORTEST_WAIT: Final = 0.05
"""Seconds before a busy server is asked again, doubling: "Retry-After: 0" may come for ever."""
_LONGEST_SHORTEST_WAIT: Final = 10.0
_BODY_TIMEOUT: Final = 1.0
"""Seconds for the body of a refusal."""
_NOT_CONFIGURABLE: Final = word_set(
    "accept-encoding connection content-length last-event-id mcp-session-id transfer-encoding"
)


class Request(NamedTuple):
    """One HTTP request to a server, without what goes along with all of them."""

    method: str
    url: httpx.URL
    extra: tuple[Header, ...]
    body: bytes


class Endpoint:
    """Sends requests to one server. Used on the event loop, by one link at a time."""

    def __init__(
        self,
        server: RemoteServer,
        credentials: Credentials | None,
        name: str = "",
        connect_timeout: float = 15.0,
        frame: int = MAX_FRAME,
    ) -> None:
        """Check the address and join the pool of its origin.

        Args:
            server: where to, and how.
            credentials: where the ``Authorization`` header comes from.
            name: the group's, for log lines; the host where there is none.
            connect_timeout: seconds until a connection must stand, TLS included.
            frame: bytes of one message of this server, uncompressed (``limits.frame``).

        Raises:
            LinkRefused: the URL or a configured header cannot be sent at all.
        """
        self.url = _checked_url(server.url)
        self._fixed = _fixed_headers(self.url, server.headers)
        # A key the user configured is never replaced by a token: if it is refused, that is what they have to hear.
        self._has_key = any(name == b"authorization" and value for name, value in self._fixed)
        self._credentials = None if self._has_key else credentials
        self._cookies = CookieJar(pool.key(self.url)[1], secure=self.url.scheme == "https")
        self._origin = pool.acquire(self.url, name)
        self.frame = frame
        self._connect_timeout = connect_timeout
        self._closed = False
        self.label = name or pool.key(self.url)[1]

    def __repr__(self) -> str:
        return f"<Endpoint {self.label}>"

    async def aclose(self) -> None:
        """Leave the pool of the origin; the last one to leave closes its connections. Idempotent."""
        if not self._closed:
            self._closed = True
            await pool.give_back(self._origin)

    def resolve(self, reference: str, base: httpx.URL | None = None) -> httpx.URL:
        """Return the absolute URL of a reference the server gave, relative to ``base``, or to the server's own URL.

        Raises:
            LinkFailure: it is none, or leads to another origin, where this server's credentials must not go.
        """
        try:
            url = (base or self.url).join(reference)
        except (httpx.InvalidURL, ValueError):
            raise faults.failure(
                FaultKind.PROTOCOL, "gave an address that is no URL", may_have_run=False
            ) from None
        if pool.key(url) != pool.key(self.url):
            reason = faults.other_origin(str(self.url), str(url), redirected=base is not None)
            raise faults.failure(FaultKind.REJECTED, reason, may_have_run=False)
        return url

    async def open(
        self,
        method: str,
        extra: Iterable[Header] = (),
        body: bytes = b"",
        *,
        url: httpx.URL | None = None,
        sign_in: bool = True,
    ) -> Response:
        """Send one request and return the answer, its body unread: the caller closes it.

        Redirects, refused credentials and ``Retry-After`` are dealt with. There is no deadline here: whoever waits
        cancels. ``url`` is another address of the same origin; without ``sign_in`` a 401 asks for no better
        credentials.

        Raises:
            LinkFailure: there is no answer, or one that no repetition mends.
        """
        request = Request(method, url or self.url, tuple(extra), body)
        authorization = await self._authorization()
        response = await self._send(request, authorization)
        return await self._settle(response, request, authorization, sign_in=sign_in)

    def start(self, request: Request, on_response: ResponseCallback) -> Connection | None:
        """Send a request at once, if nothing has to be waited for but the answer.

        ``on_response`` is told the answer, for which ``settle`` may be needed, or why there is none. Returned is the
        connection, to be closed by who gives the answer up; ``None`` if nothing was sent.
        """
        if self._cookies or (self._credentials is not None and self._credentials.needed):
            return None
        return self._origin.transport.start(
            request.method, request.url, self._headers(request, None), request.body, on_response
        )

    def fault(self, error: httpx.HTTPError) -> LinkFault:
        """Return the fault behind an exception of a request to this server; it names the proxy, if there is one."""
        return faults.from_exception(error, self._origin.transport.proxy)

    async def settle(self, answer: Response, request: Request) -> Response:
        """Return what ``open`` would have returned after this answer to a request of ``start``; raises as it does."""
        self._keep_cookies(answer, request)
        return await self._settle(answer, request, None, sign_in=True)

    async def _settle(
        self, response: Response, request: Request, authorization: str | None, *, sign_in: bool
    ) -> Response:
        redirects = waits = 0
        denied: set[int] = set()
        while True:
            status = response.status_code
            if status in _REDIRECTS:
                redirects += 1
                if redirects > _MAX_REDIRECTS:
                    await response.aclose()
                    reason = f"redirects more than {_MAX_REDIRECTS} times (HTTP {status}): check its url"
                    raise faults.failure(FaultKind.REJECTED, reason, may_have_run=False)
                request = request._replace(url=await self._redirected(response, request.url))
            elif status in _DENIED:
                said = await _words(response)
                names_session = any(name == b"mcp-session-id" for name, _ in request.extra)
                if (
                    names_session
                    and "www-authenticate" not in response.headers
                    and faults.is_session_expired(status, said.encode())
                ):
                    raise faults.LinkFailure(faults.NOT_RUN)
                if not sign_in or status in denied:
                    raise _auth_error(status, said, self._has_key)
                denied.add(status)
                authorization = await self._reauthorize(response, said, authorization)
            elif (
                status in _BUSY
                and (wait := faults.retry_after(response.headers.get("retry-after"))) is not None
            ):
                await response.aclose()
                log.debug(f"answered HTTP {status}, asks to wait {wait:.0f} s", self.label)
                await asyncio.sleep(max(wait, min(_SHORTEST_WAIT * 2**waits, _LONGEST_SHORTEST_WAIT)))
                waits = min(waits + 1, 10)
            else:
                if denied and authorization is not None and self._credentials is not None:
                    self._credentials.accepted(authorization)
                return response
            response = await self._send(request, authorization)

    async def _send(self, request: Request, authorization: str | None) -> Response:
        headers = self._headers(request, authorization)
        try:
            answer = await self._origin.transport.ask(
                request.method, request.url, headers, request.body, self._connect_timeout
            )
        except httpx.HTTPError as error:
            raise faults.LinkFailure(self.fault(error)) from error
        self._keep_cookies(answer, request)
        return answer

    def _headers(self, request: Request, authorization: str | None) -> list[Header]:
        headers = [*self._fixed, *request.extra]
        if authorization is not None:
            headers = [pair for pair in headers if pair[0] != b"authorization"]
            headers.append((b"authorization", authorization.encode()))
        if request.body:
            headers.append((b"content-length", b"%d" % len(request.body)))
        if self._cookies and (cookie := self._cookies.header(request.url.path)) is not None:
            headers.append((b"cookie", cookie))
        return headers

    def _keep_cookies(self, answer: Response, request: Request) -> None:
        if "set-cookie" in answer.headers:
            self._cookies.keep(answer.raw_headers, request.url.path)

    async def _authorization(self) -> str | None:
        if self._credentials is None:
            return None
        try:
            return await self._credentials.authorization()
        except AuthError as error:
            raise faults.failure(FaultKind.UNAUTHORIZED, str(error), may_have_run=False) from error

    async def _reauthorize(self, response: Response, said: str, rejected: str | None) -> str:
        """Return credentials in place of the ones just refused."""
        challenge = response.headers.get("www-authenticate", "")
        status = response.status_code
        if self._credentials is None or (status != _UNAUTHORIZED and "insufficient_scope" not in challenge):
            raise _auth_error(status, said, self._has_key)
        try:
            return await self._credentials.challenged(status, challenge, rejected)
        except AuthError as error:
            reason = f"{error} (it answered HTTP {status}: {said})" if said else str(error)
            raise faults.failure(FaultKind.UNAUTHORIZED, reason, may_have_run=False) from error

    async def _redirected(self, response: Response, asked: httpx.URL) -> httpx.URL:
        await response.aclose()
        target = self.resolve(response.headers.get("location", ""), asked)
        if response.status_code in _LASTING and asked == self.url:
            self.url = target
        return target


def _auth_error(status: int, said: str, has_key: bool) -> faults.LinkFailure:
    wish = "wants credentials" if status == _UNAUTHORIZED else "refuses access"
    advice = "sign in, or set an Authorization header for it in the configuration"
    category = KEY_REFUSED if has_key else ""
    if has_key:
        wish, advice = KEY_REFUSED, "put a valid one there, or remove it to sign in"
    reason = f"{wish} (HTTP {status}{f': {said}' if said else ''}): {advice}"
    return faults.failure(FaultKind.UNAUTHORIZED, reason, may_have_run=False, category=category)


async def _words(response: Response) -> str:
    """Return what the server says with a refusal, if it says it soon. Closes the answer."""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            body, _ = await responses.refusal(response, _ALWAYS)
    except TimeoutError:
        return ""
    return faults.words(body)


class _Always(asyncio.Event):
    """For what is read of a paused link too: it is short, and ends it."""

    def is_set(self) -> bool:
        return True


_ALWAYS: Final = _Always()


def _checked_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise LinkRefused(f"the configured url is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise LinkRefused("the configured url must start with http:// or https:// and name a host")
    return url.copy_with(fragment=None)


def _fixed_headers(url: httpx.URL, configured: Mapping[str, str]) -> tuple[Header, ...]:
    """Return what goes along with every request. Configured headers win, but for those that frame the message."""
    chosen = {
        "host": url.netloc.decode("ascii"),
        "user-agent": "dmcp",
        "accept": "application/json, text/event-stream",
        "accept-encoding": encodings.ACCEPTED,
        "content-type": "application/json",
    }
    if url.userinfo:
        pair = f"{url.username}:{url.password}".encode()
        chosen["authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    for name, value in configured.items():
        if any(char in name + value for char in "\r\n\0"):
            raise LinkRefused(f"the configured header {name!r} holds a line end, which no header can")
        if name.lower() not in _NOT_CONFIGURABLE:
            chosen[name.lower()] = value
    return tuple((name.encode(), value.strip().encode()) for name, value in chosen.items())


_LONGEST_NUMBER: Final = 12  # digits of a Max-Age


class CookieJar:
    """The cookies of one server by name and path, oldest first: kept as bytes, sent back as they came, few and small.

    Sticky sessions behind a load balancer live on them. A jar belongs to one origin, so a cookie needs no domain; what
    is for another host is not kept. Nothing is stored. Source: RFC 6265, section 5.
    """

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
    """Return whether a cookie is to be deleted. One with time left is kept for the link's life, which is short."""
    age = attributes.get(b"max-age")
    if age is not None and age.removeprefix("-").isdecimal():
        return age.startswith("-") or (len(age) <= _LONGEST_NUMBER and int(age) == 0)
    moment = faults.http_date(attributes.get(b"expires", ""))
    return moment is not None and moment <= datetime.now(UTC)
