"""HTTP/1.1 connections to one origin, shared by the links of one server.

Why not httpx's: its pool looks at every connection for every request, so that with 64 requests in flight it manages
some 700 a second where this one manages 25,000 (docs/performance.md). Parsing is httptools'; TLS contexts and errors
are httpx's, and so is the way through a proxy. Two servers share no connection, of the same origin neither: what one
of them leaves on it answers no request of the other's. Not here: one connection's bytes (``connection``), redirects,
credentials, anything of MCP.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpx

from dmcp.errors import LinkRefused
from dmcp.pipes import paced
from dmcp.protocol import proxies
from dmcp.protocol.limits import (
    KIB,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
    MAX_HEADER_LINES,
    MAX_IDLE_CONNECTIONS,
)
from dmcp.upstream import dialing
from dmcp.upstream.connection import BeyondLimitError, Connection
from dmcp.upstream.responses import Body, Response

if TYPE_CHECKING:
    import socket
    import ssl

    from dmcp.upstream.connection import ResponseHead
    from dmcp.upstream.responses import Header, ResponseCallback, Transport

_KEEP_ALIVE: Final = 60.0
"""Seconds a connection stays open unused."""


class DirectTransport:
    """Connections to one origin: as many as there are requests at a time, kept for the next ones."""

    proxy = ""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        """Connect nothing yet.

        Args:
            host: its name or address.
            port: its port.
            tls: whether to speak TLS with it, and verify it.
        """
        self._host = host
        self._port = port
        self._tls = tls
        self._all: set[Connection] = set()
        self._free: list[Connection] = []  # the most recently used last
        self._connecting = 0

    def __repr__(self) -> str:
        return f"<DirectTransport {self._host}:{self._port}, {len(self._free)} of {len(self._all)} free>"

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Response:
        """See ``Transport``.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.ReadError, httpx.RemoteProtocolError: something was sent, and no answer can be had.
        """
        connection = self._reusable() or await self._connect(connect_timeout)
        try:
            head = await connection.ask(_encoded(method, url, headers, body))
        except BaseException:
            connection.close()
            raise
        return Response(head.status, head.headers, Body(connection, self))

    def start(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, on_response: ResponseCallback
    ) -> Connection | None:
        """See ``Transport``."""
        connection = self._reusable()
        if connection is None:
            return None

        def on_head(head: ResponseHead | httpx.HTTPError) -> None:
            if isinstance(head, httpx.HTTPError):
                on_response(head)
            else:
                on_response(Response(head.status, head.headers, Body(connection, self)))

        connection.start(_encoded(method, url, headers, body), on_head)
        return connection

    async def aclose(self) -> None:
        """See ``Transport``."""
        for connection in tuple(self._all):
            connection.close()

    def release(self, connection: Connection) -> None:
        """A request is over: keep its connection if it can carry another, close it if not."""
        if not connection.idle:
            connection.close()
            return
        now = asyncio.get_running_loop().time()
        while self._free and now - self._free[0].since > _KEEP_ALIVE:
            self._free.pop(0).close()
        connection.since = now
        self._free.append(connection)
        if len(self._free) > MAX_IDLE_CONNECTIONS:
            self._free.pop(0).close()

    def _reusable(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._free:
            connection = self._free.pop()
            if connection.idle and now - connection.since <= _KEEP_ALIVE and not connection.is_over:
                return connection
            connection.close()
        return None

    async def _connect(self, within: float) -> Connection:
        if len(self._all) + self._connecting >= MAX_CONNECTIONS:
            raise httpx.PoolTimeout(f"{MAX_CONNECTIONS} connections to it are in use, the most dmcp makes")
        self._connecting += 1
        late = ""
        try:
            async with asyncio.timeout(within):
                tls = await dialing.tls_context() if self._tls else None
                connected = await dialing.connect(self._host, self._port)
                late = (
                    "it accepts the connection, and does not finish the TLS handshake in time" if tls else ""
                )
                connection = await self._connected(connected, tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(late) from error
        except OSError as error:  # ssl.SSLError is one
            raise httpx.ConnectError(str(error)) from error
        finally:
            self._connecting -= 1
        self._all.add(connection)
        return connection

    async def _connected(self, connected: socket.socket, tls: ssl.SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._all.discard),
                sock=connected,
                ssl=tls,
                server_hostname=self._host if tls else None,
            )
        except BaseException:
            connected.close()
            raise
        return connection


def _encoded(method: str, url: httpx.URL, headers: list[Header], body: bytes) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), url.raw_path, b"".join(lines), body)


_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Key = tuple[str, str, int]
StreamPosition = tuple[int, str, Key]


@dataclass(slots=True)
class Origin:
    """One server's pool for one origin and the number of links that use it."""

    place: StreamPosition
    transport: Transport
    users: int = 0


_origins: dict[StreamPosition, Origin] = {}


def key(url: httpx.URL) -> Key:
    """Return scheme, host and port: two URLs with the same key are of the same origin (RFC 6454).

    The host is the one of the ``Host`` header, in ASCII. ``URL.host`` decodes it, which raises for a name that only
    looks encoded (``xn--a``), and which the resolver would encode in another way (``ß`` as ``ss``).
    """
    return (url.scheme, url.raw_host.decode("ascii").lower(), url.port or _DEFAULT_PORTS.get(url.scheme, 0))


def acquire(url: httpx.URL, server: str = "") -> Origin:
    """Return the server's pool for this URL's origin; every ``acquire`` needs its ``give_back``. On the event loop.

    Raises:
        LinkRefused: the proxy of the environment cannot be used.
    """
    place = (id(asyncio.get_running_loop()), server, key(url))
    origin = _origins.get(place)
    if origin is None:
        origin = _origins[place] = Origin(place, _transport(url))
    origin.users += 1
    return origin


async def give_back(origin: Origin) -> None:
    """Give the pool back; the last user's leaving closes its connections."""
    origin.users -= 1
    if origin.users == 0:
        _origins.pop(origin.place, None)
        await origin.transport.aclose()


def _transport(url: httpx.URL) -> Transport:
    # Where the environment names no proxy, the system's settings may (macOS, Windows), with exceptions of their own.
    scheme, host, port = key(url)
    excepted = not getproxies_environment() and proxy_bypass(host)
    try:
        proxy = None if excepted else proxies.choose(str(url), getproxies())
    except proxies.ProxyError as error:
        raise LinkRefused(str(error)) from None
    if proxy is not None:
        return _Proxied(proxy)
    return DirectTransport(host, port, tls=scheme == "https")


def _too_many_headers() -> BeyondLimitError:
    return BeyondLimitError(
        f"sent more than {MAX_HEADER_LINES} header lines or {MAX_HEADER_BYTES // KIB} KiB of them"
    )


class _Proxied:
    """A way out through a proxy: httpx's transport knows how to speak to it."""

    def __init__(self, proxy: str) -> None:
        self.proxy = proxies.shown(proxy)
        self._address = proxy
        self._way: httpx.AsyncHTTPTransport | None = None

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Response:
        """See ``Transport``."""
        way = self._way or await self._open()
        timeout = httpx.Timeout(None, connect=connect_timeout).as_dict()
        extensions = {"timeout": timeout, "trace": paced(_too_many_headers)}
        stream = httpx.ByteStream(body)
        request = httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)
        response = await way.handle_async_request(request)
        raw = response.headers.raw
        if len(raw) > MAX_HEADER_LINES or sum(len(n) + len(v) for n, v in raw) > MAX_HEADER_BYTES:
            await response.aclose()
            raise _too_many_headers()
        return Response(response.status_code, raw, cast("httpx.AsyncByteStream", response.stream), self.proxy)

    async def _open(self) -> httpx.AsyncHTTPTransport:
        tls = await dialing.tls_context()
        if self._way is None:  # another request may have been faster meanwhile
            self._way = self._made(tls)
        return self._way

    def _made(self, tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE,
        )
        try:
            return httpx.AsyncHTTPTransport(verify=tls, limits=limits, proxy=self._address, trust_env=False)
        except ImportError:
            raise httpx.ProxyError(
                "a SOCKS proxy needs the package socksio, which is not installed beside dmcp"
                " (pip install 'dmcp[socks]'; pipx inject dmcp socksio; uvx --with socksio dmcp)"
            ) from None

    def start(self, *_: object) -> None:
        """See ``Transport``: httpx's transport cannot."""

    async def aclose(self) -> None:
        """See ``Transport``."""
        if self._way is not None:
            await self._way.aclose()
