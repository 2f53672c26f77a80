"""An HTTP server on loopback whose answers a test writes byte by byte, to misbehave in any way there is.

Runs in the test's own event loop. What a test does not define answers as a well-behaved Streamable HTTP server would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

SESSION = "session-1"
PATIENCE = 20.0


@dataclass
class Request:
    """What came in. ``message`` is the JSON-RPC message of a POST."""

    method: str
    path: str
    headers: dict[str, str]
    message: dict[str, Any]


class Peer:
    """One connection of a client, to answer on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def raw(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def head(self, status: int, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Test", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def body(self, content: bytes, status: int = 200, **headers: str) -> None:
        await self.head(status, content_length=str(len(content)), **headers)
        await self.raw(content)

    async def result(self, request: Request, result: Any, **headers: str) -> None:
        answer = {"jsonrpc": "2.0", "id": request.message["id"], "result": result}
        await self.body(to_json(answer), content_type="application/json", **headers)

    async def stream(self) -> None:
        """Begin an event stream."""
        await self.head(200, content_type="text/event-stream", transfer_encoding="chunked")

    async def chunk(self, content: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(content), content))

    async def event(self, message: Any, event_id: str = "", retry: int | None = None) -> None:
        """One event; no message makes one with an empty body."""
        text = b"id: " + event_id.encode() + b"\n" if event_id else b""
        text += b"retry: %d\n" % retry if retry is not None else b""
        text += b"data: " + (b"" if message is None else to_json(message)) + b"\n\n"
        await self.chunk(text)

    async def end(self) -> None:
        """End a chunked body."""
        await self.raw(b"0\r\n\r\n")

    async def cut(self) -> None:
        """Break the connection."""
        self.writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            while await self.reader.read(65536):
                pass


Reaction = Callable[[Peer, Request], Awaitable[None]]


def answer(request: Request, result: Any) -> dict[str, Any]:
    """The message that answers a request."""
    return {"jsonrpc": "2.0", "id": request.message["id"], "result": result}


class RawServer:
    """Reacts to a POST by the JSON-RPC method in it, to anything else by the HTTP method: see ``on``."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.connections = 0
        self._reactions: dict[str, list[Reaction]] = {}
        self._arrivals = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: set[Peer] = set()
        self._server: asyncio.Server | None = None

    def on(self, method: str, *reactions: Reaction) -> None:
        """React to this method: each reaction is used once, the last one from then on."""
        self._reactions[method] = list(reactions)

    async def arrived(self, method: str, times: int = 1) -> Request:
        """Wait until that many requests with this method have come; the last of them."""

        def found() -> list[Request]:
            return [r for r in self.requests if method in {r.method, r.message.get("method")}]

        async with asyncio.timeout(PATIENCE), self._arrivals:
            await self._arrivals.wait_for(lambda: len(found()) >= times)
        return found()[times - 1]

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=tls)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"

    async def stop(self) -> None:
        """Close the port and break every connection."""
        assert self._server is not None
        self._server.close()
        for peer in self._peers:
            peer.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        peer = Peer(reader, writer)
        self._peers.add(peer)
        try:
            while True:
                request = await _read(reader)
                async with self._arrivals:
                    self.requests.append(request)
                    self._arrivals.notify_all()
                await self._reaction(request)(peer, request)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            self._peers.discard(peer)

    def _reaction(self, request: Request) -> Reaction:
        method = request.message.get("method", request.method)
        reactions = self._reactions.get(method, [])
        if not reactions:
            return _well_behaved
        return reactions.pop(0) if len(reactions) > 1 else reactions[0]


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} was sent twice"
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, from_json(body) if body else {})


async def _well_behaved(peer: Peer, request: Request) -> None:
    if request.method == "GET":
        await peer.body(b"", 405)
    elif request.method == "DELETE":
        await peer.body(b"", 200)
    elif "id" not in request.message or "method" not in request.message:
        await peer.body(b"", 202)
    elif request.message["method"] == "initialize":
        version = request.message["params"]["protocolVersion"]
        result = {
            "protocolVersion": version,
            "capabilities": {},
            "serverInfo": {"name": "raw", "version": "1"},
        }
        await peer.result(request, result, mcp_session_id=SESSION)
    else:
        await peer.result(request, {"echo": request.message["params"]})


def offer_tool(server: RawServer, on_call: Reaction, name: str = "x") -> None:
    """Make it a server dmcp can call: it lists one tool, whose calls meet ``on_call``."""

    async def welcome(peer: Peer, request: Request) -> None:
        version = request.message["params"]["protocolVersion"]
        info = {"name": "raw", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        await peer.result(request, result, mcp_session_id=SESSION)

    async def listing(peer: Peer, request: Request) -> None:
        await peer.result(request, {"tools": [{"name": name, "inputSchema": {"type": "object"}}]})

    server.on("initialize", welcome)
    server.on("tools/list", listing)
    server.on("tools/call", on_call)


@asynccontextmanager
async def raw_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """A running server, stopped at the end."""
    server = RawServer()
    await server.start(tls=tls)
    try:
        yield server
    finally:
        await server.stop()
