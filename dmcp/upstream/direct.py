"""HTTP/1.1 connections to one origin, without a proxy.

Why not httpx's: its pool looks at every connection for every request, so that with 64 requests in flight it manages
some 700 a second where this one manages 25,000 (docs/performance.md). Parsing is httptools'; TLS contexts and errors
are httpx's. Owns which connection is free. Not here: one connection's bytes (``connection``),
redirects, credentials, anything of MCP.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from dmcp.protocol.limits import MAX_CONNECTIONS, MAX_IDLE_CONNECTIONS
from dmcp.upstream import dialing
from dmcp.upstream.answer import Answer
from dmcp.upstream.connection import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dmcp.upstream.answer import Header, Heard
    from dmcp.upstream.connection import Head

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
    ) -> Answer:
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
        return Answer(head.status, head.headers, Body(connection, self))

    def start(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, heard: Heard
    ) -> Connection | None:
        """See ``Transport``."""
        connection = self._reusable()
        if connection is None:
            return None

        def on_head(head: Head | httpx.HTTPError) -> None:
            if isinstance(head, httpx.HTTPError):
                heard(head)
            else:
                heard(Answer(head.status, head.headers, Body(connection, self)))

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
        try:
            async with asyncio.timeout(within):
                connection = await self._connected()
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:  # ssl.SSLError is one
            raise httpx.ConnectError(str(error)) from error
        finally:
            self._connecting -= 1
        self._all.add(connection)
        return connection

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        tls = await dialing.tls_context() if self._tls else None
        connected = await dialing.connect(self._host, self._port)
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


def let_go(answer: Answer) -> None:
    """Done with an answer: ``Answer.aclose`` for who cannot wait. Does nothing for one that came through a proxy."""
    if isinstance(answer.stream, Body):
        answer.stream.release()


class Body(httpx.AsyncByteStream):
    """The rest of an answer. Closed before all of it has come, it costs its connection."""

    def __init__(self, connection: Connection, pool: DirectTransport) -> None:
        self._connection: Connection | None = connection
        self._pool = pool

    def ready(self) -> bytes | None:
        """The whole body if it has come already and is short, else ``None``. It can be had again."""
        return None if self._connection is None else self._connection.whole()

    def release(self) -> None:
        """The answer is done with."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._connection
        while connection is not None and (chunk := await connection.chunk()):
            yield chunk

    async def aclose(self) -> None:
        """See ``release``."""
        self.release()
