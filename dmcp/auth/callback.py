"""The loopback address the browser comes back to (RFC 8252 section 7.3). It lives as long as one sign-in.

It knows no OAuth: it hands over the query that the flow says is its own and turns everything else away.
Nothing of a request is ever repeated in a page.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlsplit

from dmcp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
_HEAD_LIMIT = 16 * 1024  # bytes of a request's head
_HEAD_TIME = 10.0  # seconds for it to arrive
_CONNECTIONS = 16  # at once: a browser needs two or three
_PAGE = (
    "<!doctype html><html><head><meta charset=utf-8><title>dmcp</title></head>"
    "<body style='font-family:sans-serif;margin:3em'><p>{}</p></body></html>"
)
_DONE = "dmcp has the answer of your sign-in. You can close this page."
_STRANGER = "This does not belong to a sign-in that dmcp is waiting for. Nothing has been changed."


class PortTaken(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """The port the authorization server knows is in use on this machine."""


class Callback:
    """A tiny web server on ``127.0.0.1``. Use as an async context manager, on the event loop.

    Args:
        port: which one; 0 lets the operating system choose.
        insist: whether it has to be that port; otherwise any will do when it is taken.
    """

    def __init__(self, port: int = 0, insist: bool = True) -> None:
        self._port = port
        self._insist = insist
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._is_ours: Callable[[dict[str, str]], bool] | None = None
        self._found: asyncio.Future[dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<Callback port={self._port} connections={len(self._connections)}>"

    @property
    def redirect_uri(self) -> str:
        """The address to register and to send along; valid once entered."""
        return f"http://{HOST}:{self._port}{PATH}"

    async def __aenter__(self) -> Self:
        try:
            self._server = await self._listen(self._port)
        except OSError as error:
            if self._insist:
                raise PortTaken(
                    f"port {self._port} of this machine, where the sign-in is to come back to, cannot be used"
                    f" ({error.strerror}): end the program that uses it, or change `oauth.redirect_port`"
                ) from error
            self._server = await self._listen(0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        # The page is on its way while the flow already goes on: let it arrive, it is a few hundred bytes.
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=1.0)
            for connection in late:
                connection.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, is_ours: Callable[[dict[str, str]], bool], patience: float) -> dict[str, str]:
        """The query of the first callback that is ours.

        Args:
            is_ours: says so, by the ``state`` in it; strangers are turned away and do not end the wait.
            patience: seconds.

        Raises:
            TimeoutError: it did not come.
        """
        self._is_ours, self._found = is_ours, asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._found, patience)
        finally:
            self._is_ours = self._found = None

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, HOST, port, limit=_HEAD_LIMIT)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            async with asyncio.timeout(_HEAD_TIME):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # not a browser, or one that left: nobody is there to be told
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _respond(self, head: bytes) -> bytes:
        method, _, rest = head.decode("latin-1").partition(" ")
        target = urlsplit(rest.partition(" ")[0])
        if method != "GET" or target.path != PATH:
            return _page("404 Not Found", "There is nothing here.")
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        if self._is_ours is None or self._found is None or self._found.done() or not self._is_ours(query):
            return _page("400 Bad Request", _STRANGER)
        self._found.set_result(query)
        return _page("200 OK", _DONE)


def _page(status: str, text: str) -> bytes:
    body = _PAGE.format(text).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
