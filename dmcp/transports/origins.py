"""Connection pools, one for each origin and event loop, shared by all links of the process.

Owns who uses a pool, how it gets out (directly or through the environment's proxy) and when it is closed. Not
here: what is sent over the connections.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from dmcp.transports.answer import Answer
from dmcp.transports.direct import DirectTransport

if TYPE_CHECKING:
    from dmcp.transports.answer import Header, Transport

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_KEEP_ALIVE: Final = 60.0
"""Seconds an idle connection is kept; many servers close theirs after that."""

Key = tuple[str, str, int]


@dataclass(slots=True)
class Origin:
    """One origin's pool and the number of links that use it."""

    place: tuple[int, Key]
    transport: Transport
    users: int = 0


_origins: dict[tuple[int, Key], Origin] = {}


def key(url: httpx.URL) -> Key:
    """Scheme, host and port: two URLs with the same key are of the same origin (RFC 6454)."""
    return (url.scheme, url.host.lower(), url.port or _DEFAULT_PORTS.get(url.scheme, 0))


def join(url: httpx.URL) -> Origin:
    """The pool of this URL's origin; every ``join`` needs its ``leave``. On the event loop."""
    place = (id(asyncio.get_running_loop()), key(url))
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
    if _proxied(url):
        # 300: the 256 calls an upstream may have in flight, and its streams.
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=300, keepalive_expiry=_KEEP_ALIVE
        )
        return _Proxied(httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(None), trust_env=True))
    scheme, host, port = key(url)
    # The context honours SSL_CERT_FILE and SSL_CERT_DIR.
    tls = httpx.create_ssl_context(trust_env=True) if scheme == "https" else None
    return DirectTransport(host, port, tls)


def _proxied(url: httpx.URL) -> bool:
    """Whether ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` send this URL by proxy."""
    proxies = getproxies()
    return (url.scheme in proxies or "all" in proxies) and not proxy_bypass(url.host)


class _Proxied:
    """A way out through the environment's proxy: httpx's client knows how to choose and speak to it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Answer:
        """See ``Transport``."""
        extensions = {"timeout": httpx.Timeout(None, connect=connect_timeout).as_dict()}
        stream = httpx.ByteStream(body)
        request = httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        return Answer(
            response.status_code, response.headers.raw, cast("httpx.AsyncByteStream", response.stream)
        )

    def start(self, *_: object) -> None:
        """See ``Transport``: httpx's client cannot."""

    async def aclose(self) -> None:
        """See ``Transport``."""
        await self._client.aclose()
