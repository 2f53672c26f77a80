"""Serves Streamable HTTP on loopback: one endpoint, many sessions (spec 2025-11-25, Transports).

It decides which session and which output a request gets, and refuses what a correct server refuses; all that goes
wrong on purpose comes out of the session and the plan.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dmcp.errors import ConfigError
from dmcp.fault.http_wire import SSE_HEAD, Events, Json, RawOutput, Replay, StandaloneStream, Wire
from dmcp.fault.plan import FaultPoint
from dmcp.protocol import jsonrpc
from dmcp.protocol.eras import handshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.fault.http_wire import Request
    from dmcp.fault.script import Server
    from dmcp.fault.session import Session
    from dmcp.fault.steps import Output, Process

PATH: Final = "/mcp"
_MAX_SESSIONS: Final = 1000
_JSON: Final = (("content-type", "application/json"),)


class Visit:
    """One HTTP session: its MCP session, its standalone stream and what can be replayed of it."""

    def __init__(self, begin: Callable[[Output], Session], *, resumable: bool) -> None:
        self.id = secrets.token_urlsafe(16)
        self.standalone = StandaloneStream()
        self.replay = Replay(keeps=resumable)
        self.session = begin(self.standalone)


class HttpServer:
    """The endpoint. Runs on the event loop."""

    def __init__(self, settings: Server, begin: Callable[[Output], Session]) -> None:
        self._settings = settings
        self._begin = begin
        self._visits: dict[str, Visit] = {}
        self._no_session = begin(StandaloneStream())  # for moments outside of any session
        self._closing: set[asyncio.Task[None]] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<HttpServer sessions={len(self._visits)} connections={len(self._handlers)}>"

    def forget(self) -> None:
        """Drop all sessions, as a restarted server has."""
        for visit in self._visits.values():
            self._close(visit)
        self._visits.clear()

    async def serve(self, process: Process, port: int) -> None:
        """Serve until SIGTERM or SIGINT. Raises ``ConfigError``: the port cannot be had."""
        ended = asyncio.Event()
        process.on_signals(ended.set)
        try:
            server = await asyncio.start_server(
                lambda r, w: self._connected(process, Wire(r, w)), "127.0.0.1", port
            )
        except OSError as error:
            raise ConfigError(
                f"port {port}: {error.strerror or error}; choose another, or 0 for any free one"
            ) from None
        actual = server.sockets[0].getsockname()[1]
        process.diagnose(f"dmcp fault: listening on http://127.0.0.1:{actual}{PATH}")
        await ended.wait()
        await self._no_session.reach(FaultPoint("shutdown"), StandaloneStream())
        server.close()
        self.forget()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(
            *self._closing, *self._handlers, self._no_session.aclose(), return_exceptions=True
        )

    async def _connected(self, process: Process, wire: Wire) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        await process.awake()
        try:
            if not await self._no_session.reach(FaultPoint("connect"), RawOutput(wire)):
                return
            while (request := await wire.next_request()) is not None:
                await process.awake()
                await self._request(request, wire)
                if not wire.renew():
                    return
        finally:
            await wire.close()

    async def _request(self, request: Request, wire: Wire) -> None:
        refusal = _refusal(request)
        if refusal is not None:
            await wire.whole(*refusal)
        elif request.method == "POST":
            await self._post(request, wire)
        else:
            visit = await self._visit(request, wire)
            if visit is None:
                return
            output = RawOutput(wire)
            if request.method == "GET":
                if await visit.session.reach(FaultPoint("notify", "GET"), output):
                    await self._get(request, wire, visit)
            elif await visit.session.reach(FaultPoint("shutdown", "DELETE"), output):
                self._visits.pop(visit.id, None)
                self._close(visit)
                await wire.whole(204)

    async def _post(self, request: Request, wire: Wire) -> None:
        message = jsonrpc.read(request.body)
        if isinstance(message, jsonrpc.Malformed):
            body = jsonrpc.failure(message.id, jsonrpc.error_object(message.code, message.message))
            await wire.whole(400, _JSON, body)
            return
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(message, jsonrpc.Request) and message.method == "initialize":
            visit: Visit | None = self._enter()
            headers = (("mcp-session-id", visit.id),) if visit else ()
        else:
            visit = await self._visit(request, wire)
        if visit is None:
            return
        if not _expects_answer(message):
            await visit.session.arrived(request.body, RawOutput(wire))
            await wire.whole(202)
            return
        output: Events | Json
        if self._settings.answers == "sse":
            output = Events(wire, visit.replay.open(), headers)
        else:
            output = Json(wire, visit.standalone, headers)
        await visit.session.arrived(request.body, output)
        await output.finish()

    async def _get(self, request: Request, wire: Wire, visit: Visit) -> None:
        found = visit.replay.find(request.headers.get("last-event-id", ""))
        if found is not None:
            await wire.head(200, SSE_HEAD)
            async for event in found[0].after(found[1]):
                await wire.body(event)
            await wire.end()
            return
        events = await visit.standalone.attach(wire, visit.replay.open())
        try:
            await wire.next_request()  # nothing may come on this connection but its end
        finally:
            visit.standalone.detach(events)

    async def _visit(self, request: Request, wire: Wire) -> Visit | None:
        """Return the session a request belongs to; without one, answer what is wrong."""
        name = request.headers.get("mcp-session-id")
        if name is None:
            await wire.whole(400, _JSON, _error("Bad request: the header Mcp-Session-Id is missing"))
        elif name not in self._visits:
            await wire.whole(404, _JSON, _error("Not found: there is no such session; initialize again"))
        else:
            return self._visits[name]
        return None

    def _enter(self) -> Visit:
        visit = Visit(self._begin, resumable=self._settings.resumable)
        self._visits[visit.id] = visit
        if len(self._visits) > _MAX_SESSIONS:
            self._close(self._visits.pop(next(iter(self._visits))))
        return visit

    def _close(self, visit: Visit) -> None:
        task = asyncio.create_task(visit.session.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _refusal(  # noqa: PLR0911 - one line for each reason
    request: Request,
) -> tuple[int, tuple[tuple[str, str], ...], bytes] | None:
    """Return what a correct server answers to a request that is wrong whatever is in it."""
    headers = request.headers
    accept = headers.get("accept", "*/*")
    origin = headers.get("origin")
    if not _is_local(headers.get("host", "")):
        # A page of the web whose name leads to this machine is no client (DNS rebinding).
        return 421, _JSON, _error("Misdirected request: the Host header does not name this machine")
    if request.path != PATH:
        return 404, _JSON, _error(f"Not found: the endpoint is {PATH}")
    if origin is not None and not _is_local(origin.partition("://")[2]):
        return 403, _JSON, _error("Forbidden: this origin is not local")
    if request.method not in {"GET", "POST", "DELETE"}:
        return 405, (("allow", "GET, POST, DELETE"), *_JSON), _error("Method not allowed")
    wanted = {"POST": ("application/json", "text/event-stream"), "GET": ("text/event-stream",)}
    if "*/*" not in accept and not all(kind in accept for kind in wanted.get(request.method, ())):
        return 406, _JSON, _error("Not acceptable: see the transport's rules for Accept")
    if request.method == "POST" and headers.get("content-type", "").partition(";")[0] != "application/json":
        return 415, _JSON, _error("Unsupported media type: send application/json")
    if not handshake.is_known(headers.get("mcp-protocol-version", handshake.LATEST)):
        return 400, _JSON, _error("Bad request: unknown MCP-Protocol-Version")
    return None


def _is_local(authority: str) -> bool:
    """Return whether a host, perhaps with a port, is a name of this machine that no DNS server gives out."""
    try:
        return urlsplit(f"//{authority}").hostname in {"127.0.0.1", "localhost", "::1"}
    except ValueError:
        return False


def _expects_answer(message: jsonrpc.Message) -> bool:
    if isinstance(message, jsonrpc.Batch):
        return not message.messages or any(
            not isinstance(m, jsonrpc.Notification | jsonrpc.Response) for m in message.messages
        )
    return isinstance(message, jsonrpc.Request)


def _error(message: str) -> bytes:
    return jsonrpc.failure(b"null", jsonrpc.error_object(jsonrpc.UPSTREAM_FAILED, message))
