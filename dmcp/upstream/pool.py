"""HTTP/1.1 connections to one origin, shared by the links of one server.

Why not httpx's: its pool looks at every connection for every request, so that with 64 requests in flight it manages
some 700 a second where this one manages 25,000 (docs/performance.md). Parsing is httptools'; TLS contexts and errors
are httpx's, and so is the way through a proxy. Two servers share no connection, of the same origin neither: what one
of them leaves on it answers no request of the other's. Not here: one connection's bytes (``connection``), redirects,
credentials, anything of MCP.

Names are resolved and TLS is prepared off the loop. uvloop's ``create_connection`` tries one address after the other,
so that a first address which swallows packets costs the whole connect timeout. Here the next address is tried a quarter
of a second later (RFC 8305, "Happy Eyeballs").
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
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
from dmcp.upstream.connection import BeyondLimitError, Connection
from dmcp.upstream.responses import Body, Response
from dmcp.upstream.spawning import off_loop

if TYPE_CHECKING:
    import ssl

    from dmcp.upstream.connection import ResponseHead
    from dmcp.upstream.responses import Header, ResponseCallback, Transport

_KEEP_ALIVE: Final = 60.0
"""Seconds a connection stays open unused."""


class DirectTransport:
    """Connections to one origin: as many as there are requests at a time, kept for the next ones."""

    proxy = ""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        """Connect nothing yet; ``tls`` says whether to speak TLS, and verify it."""
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
        for connection in tuple(self._all):
            connection.close()

    def release(self, connection: Connection) -> None:
        """Keep the connection of a request that is over if it can carry another; close it if not."""
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
                tls = await tls_context() if self._tls else None
                connected = await connect(self._host, self._port)
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
        tls = await tls_context()
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
        if self._way is not None:
            await self._way.aclose()


_STAGGER: Final = 0.25
"""Seconds an address gets before the next one is tried as well (RFC 8305, section 5)."""
_MOST_ADDRESSES: Final = 16
"""Addresses of one name that are tried."""

Address: TypeAlias = "tuple[int, tuple[Any, ...]]"
"""A family and a socket address of it."""

_trust: dict[tuple[str | None, str | None], ssl.SSLContext] = {}
_trust_lock = threading.Lock()


async def tls_context() -> ssl.SSLContext:
    """Return the context that trusts what httpx does, SSL_CERT_FILE and SSL_CERT_DIR included.

    Reading the certificates takes a thread 20 ms and more; it is done once for all servers.
    """
    place = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    found = _trust.get(place)
    return found if found is not None else await asyncio.to_thread(_read_trust, place)


def _read_trust(place: tuple[str | None, str | None]) -> ssl.SSLContext:
    with _trust_lock:
        if place not in _trust:
            _trust[place] = httpx.create_ssl_context(trust_env=True)
        return _trust[place]


async def connect(host: str, port: int) -> socket.socket:
    """Connect to the first address of the host that accepts. The caller sets the deadline by cancelling.

    Raises:
        OSError: the name is not known (``socket.gaierror``), or no address accepts: the most telling reason.
    """
    addresses = await _resolve(host, port)
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    waiting = addresses[::-1]
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect_one(waiting.pop())))
            done, running = await asyncio.wait(
                running, timeout=_STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            connected = [task for task in done if task.exception() is None]
            if connected:
                running.update(connected[1:])
                return connected[0].result()
            errors += [error for task in done if isinstance(error := task.exception(), OSError)]
    finally:
        for task in running:
            _drop(task)
    # That somebody refused says more than that there is no way to an address of the other family.
    raise next((e for e in errors if isinstance(e, ConnectionRefusedError)), errors[0])


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Give up an attempt; one that has just succeeded is closed."""
    if not task.cancel() and not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_one(address: Address) -> socket.socket:
    family, where = address
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, where)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a name, the families in turn (RFC 8305, section 4).

    Raises:
        OSError: there are none.
    """
    with suppress(ValueError):
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    first: list[Address] = []
    second: list[Address] = []
    found = await _look_up(host, port)
    for address in found:
        (first if address[0] == found[0][0] else second).append(address)
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None][:_MOST_ADDRESSES]


async def _look_up(host: str, port: int) -> list[Address]:
    """Ask the system in a thread of its own: one that hangs keeps neither another server nor dmcp's end waiting."""

    def ask() -> list[Address]:
        try:
            every = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label that is too long, or empty
            raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
        if not every:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return [(family, where) for family, _, _, _, where in every]

    return await off_loop(ask)
