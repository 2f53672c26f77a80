"""Connection pools, one for each server and origin, shared by the links of that server.

Owns who uses a pool, how it gets out (directly or through the environment's proxy) and when it is closed. Two servers
share no connection, of the same origin neither: what one of them leaves on it answers no request of the other's. Not
here: what is sent over the connections.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpx

from dmcp.errors import LinkRefused
from dmcp.protocol import proxies
from dmcp.protocol.limits import (
    KIB,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
    MAX_HEADER_LINES,
    MAX_IDLE_CONNECTIONS,
)
from dmcp.upstream import dialing
from dmcp.upstream.answer import Answer
from dmcp.upstream.connection import BeyondLimitError
from dmcp.upstream.direct import DirectTransport

if TYPE_CHECKING:
    import ssl

    from dmcp.upstream.answer import Header, Transport

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_KEEP_ALIVE: Final = 60.0
"""Seconds an idle connection is kept; many servers close theirs after that."""

Key = tuple[str, str, int]
Place = tuple[int, str, Key]


@dataclass(slots=True)
class Origin:
    """One server's pool for one origin and the number of links that use it."""

    place: Place
    transport: Transport
    users: int = 0


_origins: dict[Place, Origin] = {}


def key(url: httpx.URL) -> Key:
    """Scheme, host and port: two URLs with the same key are of the same origin (RFC 6454)."""
    return (url.scheme, url.host.lower(), url.port or _DEFAULT_PORTS.get(url.scheme, 0))


def join(url: httpx.URL, server: str = "") -> Origin:
    """Return the server's pool for this URL's origin; every ``join`` needs its ``leave``. On the event loop.

    Raises:
        LinkRefused: the proxy of the environment cannot be used.
    """
    place = (id(asyncio.get_running_loop()), server, key(url))
    origin = _origins.get(place)
    if origin is None:
        origin = _origins[place] = Origin(place, _transport(url))
    origin.users += 1
    return origin


async def leave(origin: Origin) -> None:
    """Give the pool back; the last user's leaving closes its connections."""
    origin.users -= 1
    if origin.users == 0:
        _origins.pop(origin.place, None)
        await origin.transport.aclose()


def _transport(url: httpx.URL) -> Transport:
    # Where the environment names no proxy, the system's settings may (macOS, Windows), with exceptions of their own.
    excepted = not getproxies_environment() and proxy_bypass(url.host)
    try:
        proxy = None if excepted else proxies.choose(str(url), getproxies())
    except proxies.ProxyError as error:
        raise LinkRefused(str(error)) from None
    if proxy is not None:
        return _Proxied(proxy)
    scheme, host, port = key(url)
    return DirectTransport(host, port, tls=scheme == "https")


class _Proxied:
    """A way out through a proxy: httpx's transport knows how to speak to it."""

    def __init__(self, proxy: str) -> None:
        self.proxy = proxies.shown(proxy)
        self._address = proxy
        self._way: httpx.AsyncHTTPTransport | None = None

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Answer:
        """See ``Transport``."""
        way = self._way or await self._open()
        extensions = {"timeout": httpx.Timeout(None, connect=connect_timeout).as_dict()}
        stream = httpx.ByteStream(body)
        request = httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)
        response = await way.handle_async_request(request)
        raw = response.headers.raw
        if len(raw) > MAX_HEADER_LINES or sum(len(n) + len(v) for n, v in raw) > MAX_HEADER_BYTES:
            await response.aclose()
            raise BeyondLimitError(
                f"sent more than {MAX_HEADER_LINES} header lines or {MAX_HEADER_BYTES // KIB} KiB of them"
            )
        return Answer(response.status_code, raw, cast("httpx.AsyncByteStream", response.stream), self.proxy)

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
                " (pip install socksio; pipx inject dmcp socksio; uvx --with socksio dmcp)"
            ) from None

    def start(self, *_: object) -> None:
        """See ``Transport``: httpx's transport cannot."""

    async def aclose(self) -> None:
        """See ``Transport``."""
        if self._way is not None:
            await self._way.aclose()
