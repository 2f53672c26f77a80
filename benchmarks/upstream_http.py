"""A Streamable HTTP MCP server with next to no work of its own, and a count of the connections made to it.

Usage: ``upstream_http.py``; prints its port. ``POST /json`` answers as JSON, ``POST /sse`` as a stream with one event,
``GET /connections`` with the number of connections so far, any other GET with 405, DELETE with 200. Requests on one
connection may be pipelined. It is no model of a good HTTP server: it reads what the measured clients send.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from benchmarks.upstream import answer, tools

_LISTINGS: Final = {"tools/list": tools(3)}
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s"
_SESSION: Final = b"mcp-session-id: bench\r\n"


class Server(asyncio.Protocol):
    """One connection."""

    connections = 0

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        self._transport = transport
        Server.connections += 1

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            head, rest = self._rest.split(b"\r\n\r\n", 1)
            size = body_size(head)
            if len(rest) < size:
                return
            self._rest = rest[size:]
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.write(respond(head.split(b" ", 2)[:2], rest[:size]))


def body_size(head: bytes) -> int:
    """The ``Content-Length`` of a request."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def respond(target: list[bytes], body: bytes) -> bytes:
    """The whole HTTP response to a request."""
    method, path = target
    if method == b"GET" and path == b"/connections":
        count = str(Server.connections).encode()
        return _OK % (b"text/plain", b"", len(count), count)
    if method == b"GET":
        return b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n"
    if method == b"DELETE":
        return _OK % (b"text/plain", b"", 0, b"")
    message = json.loads(body)
    if "id" not in message:
        return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
    _, result = answer(message, _LISTINGS)
    session = _SESSION if message["method"] == "initialize" else b""
    frame = b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (json.dumps(message["id"]).encode(), result)
    if path == b"/json":
        return _OK % (b"application/json", session, len(frame), frame)
    event = b"event: message\ndata: " + frame + b"\n\n"
    return _OK % (b"text/event-stream", session, len(event), event)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
