"""The loopback address the browser comes back to (RFC 8252 section 7.3). It lives as long as one sign-in.

It knows no OAuth: it hands over the query that the flow says is its own and turns everything else away with a 4xx.
Nothing of a request is ever repeated in a page. Every program and web page on this machine can connect: a request that
is slow, too large, malformed or meant for another host costs a connection of few, which the newest may take over.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlsplit

from dmcp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
_HEAD_LIMIT = 16 * 1024  # bytes of a request's head; a body is not read at all
_HEAD_TIME = 10.0  # seconds for it to arrive
_CONNECTIONS = 16  # at once: a browser needs two or three. Another one ends the oldest
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TRIES = 5  # ports the system chooses; one is enough unless another program has it by IPv6
_PAGE = (
    "<!doctype html><html><head><meta charset=utf-8><title>dmcp</title></head>"
    "<body style='font-family:sans-serif;margin:3em'><p>{}</p></body></html>"
)
_DONE = "dmcp has the answer of your sign-in. You can close this page."
_FIELDS = 64  # of a query: an answer has four or five
_FOREIGN = "This does not belong to a sign-in that dmcp is waiting for. Nothing has been changed."


class PortTaken(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """The port the authorization server knows is in use on this machine."""


class Callback:
    """A tiny web server on ``127.0.0.1``. Use as an async context manager, on the event loop.

    Args:
        port: which one; 0 lets the operating system choose.
        insist: whether it has to be that port; otherwise any will do when it is taken.
        host: what the address says, as it was registered: ``127.0.0.1``, or ``localhost``, where some browsers go by
            IPv6.
        path: of the address.
    """

    def __init__(self, port: int = 0, insist: bool = True, host: str = HOST, path: str = PATH) -> None:
        self._port = port
        self._insist = insist
        self._host = host
        self._path = path
        self._server: asyncio.Server | None = None
        self._second: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._is_ours: Callable[[dict[str, str]], bool] | None = None
        self._found: asyncio.Future[dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<Callback port={self._port} connections={len(self._connections)}>"

    @property
    def redirect_uri(self) -> str:
        """Return the address to register and to send along; valid once entered."""
        return f"http://{self._host}:{self._port}{self._path}"

    async def __aenter__(self) -> Self:
        tries = [self._port] if self._insist else [self._port, *[0] * _TRIES]
        for place, port in enumerate(tries, 1):
            try:
                await self._listen(port)
            except OSError as error:
                if place < len(tries):
                    continue
                raise PortTaken(
                    f"port {port} of this machine, where the sign-in is to come back to, cannot be used"
                    f" ({error.strerror}): end the program that uses it, or change `oauth.redirect_port`"
                ) from error
            break
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for server in (self._server, self._second):
            if server is not None:
                server.close()
        # The page is on its way while the flow already goes on: let it arrive, it is a few hundred bytes.
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=1.0)
            for connection in late:
                connection.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, is_ours: Callable[[dict[str, str]], bool], wait_timeout: float) -> dict[str, str]:
        """Return the query of the first callback that ``is_ours``; others are turned away and do not end the wait.

        Raises:
            TimeoutError: it did not come in these seconds.
        """
        self._is_ours, self._found = is_ours, asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._found, wait_timeout)
        finally:
            self._is_ours = self._found = None

    async def _listen(self, port: int) -> None:
        """Listen at this port of every address the browser may take the host for. Raises OSError."""
        first = await asyncio.start_server(self._serve, HOST, port, limit=_HEAD_LIMIT)
        port = first.sockets[0].getsockname()[1]
        if self._host != HOST:
            try:
                self._second = await asyncio.start_server(self._serve, "::1", port, limit=_HEAD_LIMIT)
            except OSError as error:
                # Without IPv6 on this machine no browser goes there. Where another program has the port it would get
                # the code: then it has to be another port.
                if error.errno == errno.EADDRINUSE:
                    first.close()
                    raise
        self._server, self._port = first, port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            writer.close()
            return
        if len(self._connections) >= _CONNECTIONS:
            # Idle connections of somebody else must not keep the browser out.
            next(iter(self._connections)).cancel()
        self._connections[task] = None
        try:
            async with asyncio.timeout(_HEAD_TIME):
                writer.write(await self._read_and_respond(reader))
                await writer.drain()
        except asyncio.CancelledError:
            pass  # its place was wanted, or the sign-in is over; nobody awaits this task
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # not a browser, or one that left: nobody is there to be told
        finally:
            self._connections.pop(task, None)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read_and_respond(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _page("431 Request Header Fields Too Large", _FOREIGN)
        return self._respond(head)

    def _respond(self, head: bytes) -> bytes:
        request, *fields = head.decode("latin-1").split("\r\n")
        status, query = _understood(request, fields, self._path)
        if status is not None:
            return _page(status, _FOREIGN)
        if self._is_ours is None or self._found is None or self._found.done() or not self._is_ours(query):
            return _page("400 Bad Request", _FOREIGN)
        self._found.set_result(query)
        return _page("200 OK", _DONE)


def _understood(request: str, fields: list[str], path: str) -> tuple[str | None, dict[str, str]]:
    """Return the query of a request to the one address there is, or the status that any other is answered with."""
    words = request.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
        return "400 Bad Request", {}
    if not _is_for_loopback(fields):
        return "421 Misdirected Request", {}
    try:
        target = urlsplit(words[1])
        query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        return "400 Bad Request", {}
    if target.path != path or words[0] != "GET":
        return "404 Not Found", {}
    return None, query


def _is_for_loopback(fields: list[str]) -> bool:
    """Return whether the Host field names this machine; a page behind a rebound name sends its own.

    A request without one is no browser's, and has no page behind it.
    """
    hosts = [
        value.strip().lower()
        for name, _, value in (f.partition(":") for f in fields)
        if name.lower() == "host"
    ]
    if len(hosts) != 1:
        return not hosts
    name, colon, port = hosts[0].rpartition(":")
    return (name if colon and port.isdigit() else hosts[0]) in _LOOPBACK


def _page(status: str, text: str) -> bytes:
    body = _PAGE.format(text).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
