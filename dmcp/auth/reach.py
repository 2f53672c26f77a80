"""Where the requests of one sign-in may go: checked when a host is looked up, and again at the address connected to.

The second check is what counts: a name may stand for one address when it is looked up and for another when it is
connected to. Not here: the kinds of addresses and the rule for them (``addresses``), and the requests (``web``).
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dmcp.auth.addresses import described, kind_of_address, kind_of_host, may_name
from dmcp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dmcp.auth.addresses import Kind


class Reach:
    """The addresses that one server's documents may make dmcp speak to. On the event loop.

    Args:
        server_url: the MCP server the person configured. Its own host may be spoken to whatever it is.
        named: further addresses the person named in the configuration.
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
