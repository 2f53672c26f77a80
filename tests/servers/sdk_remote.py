"""The server of ``sdk_stdio.py`` over HTTP, in a process of its own, with a journal of what reaches it.

Usage: ``sdk_remote.py --mode MODE [--name NAME] [--port PORT] [--life LIFE] [--journal FILE]`` with a mode of
``http``, ``json``, ``stateless`` and ``sse``. Prints its URL on the first line; ends when its stdin closes. In its
first life the tools ``peek`` and ``poke`` never answer their first call; a restarted server is given another life.

The journal holds one JSON object a line: ``{"http": METHOD, "method": ..., "session": ..., "connection": ...}`` for
each request as it is answered, ``{"call": TOOL}`` for each call of these two tools.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import sdk_light  # noqa: F401 - before the SDK
import uvicorn
from mcp.server.sse import SseServerTransport
from sdk_stdio import make
from sdk_tools import State, schema, text, tool
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPTIONS = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
LIFE = OPTIONS.get("--life", "1")
hung: set[str] = set()


def note(**entry: Any) -> None:
    """Write a line of the journal."""
    if "--journal" in OPTIONS:
        with Path(OPTIONS["--journal"]).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")


async def _answer_later(name: str) -> types.CallToolResult:
    note(call=name)
    if LIFE == "1" and name not in hung:
        hung.add(name)
        await anyio.sleep_forever()
    return text(f"{name}: life {LIFE}")


@tool(
    types.Tool(
        name="peek",
        description="Looks at something",
        input_schema=schema(),
        annotations=types.ToolAnnotations(read_only_hint=True),
    )
)
async def peek(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    return await _answer_later("peek")


@tool(types.Tool(name="poke", description="Changes something", input_schema=schema()))
async def poke(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    return await _answer_later("poke")


class Journal:
    """Writes down every request as its answer begins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()

        async def read() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                said = json.loads(body) if body else {}
                note(
                    http=scope["method"],
                    method=said.get("method"),
                    session=headers.get("mcp-session-id"),
                    tag=headers.get("x-tag"),
                    connection=scope["client"][1],
                    status=message["status"],
                )
            await send(message)

        await self._app(scope, read, write)


def sse_application() -> Starlette:
    """The server over the transport of 2024-11-05."""
    server, transport = make(), SseServerTransport("/messages/")

    async def stream(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())
        return Response()

    return Starlette(
        routes=[Route("/sse", stream, methods=["GET"]), Mount("/messages/", transport.handle_post_message)]
    )


def main() -> None:
    """Serve until stdin closes."""
    mode = OPTIONS["--mode"]
    listener = socket.create_server(("127.0.0.1", int(OPTIONS.get("--port", "0"))))
    app = (
        sse_application()
        if mode == "sse"
        else make().streamable_http_app(json_response=mode == "json", stateless_http=mode == "stateless")
    )
    certificate = OPTIONS.get("--certificate")  # PEM, its private key included
    settings = uvicorn.Config(
        Journal(app),
        log_level="critical",
        timeout_graceful_shutdown=0,
        ws="none",
        ssl_certfile=certificate,
    )
    web = uvicorn.Server(settings)

    def watch() -> None:
        sys.stdin.buffer.read()
        web.should_exit = web.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    path = "sse" if mode == "sse" else "mcp"
    scheme = "https" if certificate else "http"
    sys.stdout.write(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/{path}\n")
    sys.stdout.flush()
    asyncio.run(web.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
