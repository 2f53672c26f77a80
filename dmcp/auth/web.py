"""The HTTP requests of a sign-in: bounded in time and size, redirected within one origin, to addresses that may be.

It knows no OAuth. Secrets go out in headers and forms only, and a POST is never redirected. Where requests may go is
checked when a host is looked up, and again at the address connected to. The second check is what counts: a name may
stand for one address when it is looked up and for another when it is connected to. Not here: the kinds of addresses
and the rule for them (``addresses``).
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpx
from pydantic_core import from_json

from dmcp.auth.addresses import described, kind_of_address, kind_of_host, may_name
from dmcp.auth.discovery import origin
from dmcp.errors import AuthError, AuthUnavailable
from dmcp.pipes import paced, tls_trouble
from dmcp.protocol import encodings, proxies
from dmcp.protocol.limits import KIB, MAX_DOCUMENT, MAX_HEADER_BYTES, MAX_HEADER_LINES
from dmcp.text import printable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from dmcp.auth.addresses import Kind

TIMEOUT: Final = 15.0
"""Seconds for a request, redirects and body included."""
_REDIRECTS = 3
_SERVER_ERROR, _TOO_MANY = 500, 429
_CHUNKS_A_TURN: Final = 256
_trust: dict[str, ssl.SSLContext] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. ``document`` is the parsed JSON; if the body is none, it is ``None`` and the body is in ``text``."""

    status: int
    document: Any = None
    challenge: str = ""
    text: str = ""

    @property
    def is_ok(self) -> bool:
        """Return whether the status says that all went well."""
        return self.status in range(200, 300)


class AuthHttpClient:
    """A client for the requests of one flow. Use as an async context manager, on the event loop.

    Args:
        timeout: seconds for each request.
        server_url: the MCP server whose documents say where they go; empty: nothing is checked.
        named: further addresses the user named.
    """

    def __init__(self, timeout: float = TIMEOUT, server_url: str = "", *named: str) -> None:
        self._timeout = timeout
        self.server_url = server_url
        self._reach = Reach(server_url, *named) if server_url else None
        self._proxies: dict[str, str] | None = None
        self._clients: dict[str | None, httpx.AsyncClient] = {}

    def __repr__(self) -> str:
        return f"<Web {'closed' if self._proxies is None else 'open'} timeout={self._timeout}s>"

    async def __aenter__(self) -> Self:
        if "context" not in _trust:
            # Reading the certificates takes long enough to be noticed by everything else on the loop.
            _trust["context"] = await asyncio.to_thread(httpx.create_ssl_context)
        self._proxies = getproxies()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        clients, self._clients, self._proxies = self._clients, {}, None
        for client in clients.values():
            await client.aclose()

    def _client(self, url: str) -> tuple[httpx.AsyncClient, str | None]:
        """Return the client for this address, and the proxy it goes through: the rules are the servers'.

        Raises:
            AuthUnavailable: there is a proxy, and it cannot be used.
        """
        if self._proxies is None:
            raise RuntimeError("a Web is used inside `async with`")
        proxy: str | None = None
        try:
            # Where the environment names no proxy, the system's settings may, with exceptions of their own.
            if getproxies_environment() or not proxy_bypass(urlsplit(url).hostname or ""):
                proxy = proxies.choose(url, self._proxies)
            if proxy not in self._clients:
                inner = httpx.AsyncHTTPTransport(verify=_trust["context"], proxy=proxy, trust_env=False)
                self._clients[proxy] = httpx.AsyncClient(
                    transport=_Guarded(inner),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=self._timeout,
                    headers={
                        "User-Agent": "dmcp",
                        "Accept": "application/json",
                        "Accept-Encoding": encodings.ACCEPTED,
                    },
                )
        except proxies.ProxyError as error:
            raise AuthUnavailable(str(error)) from None
        except ImportError:
            raise AuthUnavailable(
                f"the proxy {proxies.shown(proxy or '')} needs the package socksio, which is not installed beside dmcp"
                " (pip install 'dmcp[socks]'; pipx inject dmcp socksio; uvx --with socksio dmcp)"
            ) from None
        return self._clients[proxy], proxy

    @property
    def home(self) -> Kind | None:
        """Return what kind of address the server itself has, as far as it is known."""
        return self._reach.home if self._reach is not None else None

    async def check(self, url: str) -> None:
        """See to it that an address may be spoken to, by a browser too.

        Raises:
            AuthError: the server may not name it.
        """
        if self._client(url)[1] is None:  # else the proxy looks the host up, and connects
            await self._look_up(url)

    async def _look_up(self, url: str) -> None:
        if self._reach is not None:
            with suppress(TimeoutError):  # a name that is not known is left to the connection to tell
                async with asyncio.timeout(self._timeout):
                    await self._reach.check(url)

    async def get(self, url: str) -> Answer:
        """Fetch a document. A redirect to another origin is not followed and counts as "not there".

        Raises:
            AuthUnavailable: no answer in time, an answer that is too large, or a server error.
        """
        for _ in range(_REDIRECTS):
            answer, location = await self._request("GET", url)
            if not location:
                return answer
            try:
                target = urljoin(url, location)
                is_elsewhere = origin(target) != origin(url)
            except ValueError:
                return Answer(404)
            if is_elsewhere:
                return Answer(404)
            url = target
        return Answer(404)

    async def post(
        self,
        url: str,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a form or a JSON document.

        Raises:
            AuthUnavailable: no answer in time, an answer that is too large, or a server error.
        """
        answer, _ = await self._request("POST", url, data=form, json=json, headers=headers)
        return answer

    async def probe(self, url: str) -> Answer:
        """Ask an MCP server without credentials, to learn its challenge; the body is not read.

        Raises:
            AuthUnavailable: no answer in time.
        """
        answer, _ = await self._request("GET", url, headers={"Accept": "text/event-stream"}, bodiless=True)
        return answer

    async def _request(
        self, method: str, url: str, *, bodiless: bool = False, **parts: Any
    ) -> tuple[Answer, str]:
        where = origin(url)
        client, proxy = self._client(url)
        through = f" through the proxy {proxies.shown(proxy)}" if proxy else ""
        tracer = None
        if self._reach is not None and proxy is None:
            await self._look_up(url)
            tracer = self._reach.tracer(url)
        parts["extensions"] = {"trace": paced(_too_many_headers, tracer)}
        try:
            async with asyncio.timeout(self._timeout), client.stream(method, url, **parts) as response:
                status, headers = response.status_code, response.headers
                body = b"" if bodiless else await _bounded(response, where)
        except TimeoutError as error:
            raise AuthUnavailable(f"{where} did not answer{through} within {self._timeout:g} s") from error
        except (encodings.UnsupportedEncodingError, encodings.DamagedEncodingError) as error:
            raise AuthUnavailable(f"{where} {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AuthUnavailable(f"{where} cannot be reached{through}: {_cause(error)}") from error
        except ValueError as error:
            raise AuthError(f"{where} has an address that cannot be requested") from error
        if not bodiless and (status >= _SERVER_ERROR or status == _TOO_MANY):
            raise AuthUnavailable(f"{where} answered with HTTP status {status}")
        try:
            document = from_json(body) if body else None
        except ValueError:
            document = None
        location = headers.get("location", "") if status in range(300, 400) else ""
        text = "" if document is not None else body.decode(errors="replace")
        return Answer(status, document, ", ".join(headers.get_list("www-authenticate")), text), location


def _cause(error: BaseException) -> str:
    """Return what is to be told of a connection that failed."""
    if trouble := tls_trouble(error):
        return trouble
    if isinstance(error, httpx.RemoteProtocolError | httpx.ProxyError) and str(error):
        return printable(str(error), 200)
    return type(error).__name__


async def _bounded(response: httpx.Response, where: str) -> bytes:
    """Read the body, decompressed in steps; it has one encoding at most."""
    body = bytearray()
    undo = encodings.decoder(response.headers.get("content-encoding", ""))
    chunks = 0
    async for chunk in response.aiter_raw():
        chunks += 1
        if chunks % _CHUNKS_A_TURN == 0:
            await asyncio.sleep(0)
        for part in (chunk,) if undo is None else undo.steps(chunk):
            body += part
            if len(body) > MAX_DOCUMENT:
                raise AuthUnavailable(
                    f"{where} sent more than {MAX_DOCUMENT // KIB} KiB where a small document was expected"
                )
    return bytes(body)


def _too_many_headers() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(
        f"it sent more than {MAX_HEADER_LINES} header lines or {MAX_HEADER_BYTES // KIB} KiB of them"
    )


class _Guarded(httpx.AsyncBaseTransport):
    """The way out of a ``AuthHttpClient``: too many headers are an error, and cookies are not for it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        raw = response.headers.raw
        if (
            len(raw) > MAX_HEADER_LINES
            or sum(len(name) + len(value) for name, value in raw) > MAX_HEADER_BYTES
        ):
            await response.aclose()
            raise _too_many_headers()
        response.headers = httpx.Headers([pair for pair in raw if pair[0].lower() != b"set-cookie"])
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class Reach:
    """The addresses that one server's documents may make dmcp speak to. On the event loop.

    Args:
        server_url: the MCP server the user configured. Its own host may be spoken to whatever it is.
        named: further addresses the user named in the configuration.
    """

    def __init__(self, server_url: str, *named: str) -> None:
        self._own = _host(server_url)
        self._named = frozenset(map(_host, (server_url, *named)))
        self.home: Kind | None = kind_of_host(self._own)

    def __repr__(self) -> str:
        return f"<Reach of a server at {self.home or 'an address that is not known yet'}>"

    async def check(self, url: str) -> None:
        """Look up a host and refuse what may not be named. A host that is not known is left to the connection to tell.

        Raises:
            AuthError: the server may not name this address.
        """
        host = _host(url)
        if host in self._named:
            return
        kind = kind_of_host(host)
        if kind is not None:
            self._allow(host, kind)
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        for *_, address in found:
            self._allow(host, kind_of_address(str(address[0])))

    def tracer(self, url: str) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
        """Return what httpx is given as its ``trace`` extension for a request that goes out directly.

        It ends a connection before anything is sent over it, and learns what kind of address the server itself has
        once its certificate has shown that it is the server.
        """
        host, plain = _host(url), urlsplit(url).scheme == "http"
        connected: Kind | None = None

        async def trace(event: str, details: dict[str, Any]) -> None:
            nonlocal connected
            if event == "connection.connect_tcp.complete":
                stream = details["return_value"]
                address = stream.get_extra_info("server_addr")
                connected = kind_of_address(str(address[0])) if address else None
                if connected is not None and host not in self._named:
                    try:
                        self._allow(host, connected)
                    except AuthError:
                        await stream.aclose()
                        raise
            stands = event.endswith("connect_tcp.complete") if plain else event.endswith("start_tls.complete")
            if stands and host == self._own and self.home is None:
                self.home = connected

        return trace

    def _allow(self, host: str, kind: Kind) -> None:
        if not may_name(self.home or "public", kind):
            raise AuthError(
                f"it names {described(host, kind)} as a place to sign in at, which a server elsewhere may not;"
                " nothing was sent there. If that is right, put the address of its authorization server into"
                " `oauth.issuer` of the configuration"
            )


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removesuffix(".")
