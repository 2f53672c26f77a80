"""A server made with the official SDK, over one of its transports, in a process of its own.

Usage: ``remote_sdk.py MODE`` with a mode of ``MODES``. Prints its URL on the first line, but for stdio; ends when
its stdin closes.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import TYPE_CHECKING

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore

if TYPE_CHECKING:
    from mcp.server.streamable_http import EventCallback
    from mcp_types import JSONRPCMessage
    from starlette.applications import Starlette

MODES = ("stateful", "stateless", "json", "resumable", "sse", "stdio")


class Memory(EventStore):
    """Keeps every event, so that any stream can be replayed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        stream = self._events[int(last_event_id) - 1][0]
        for number, (owner, message) in enumerate(self._events[int(last_event_id) :], int(last_event_id) + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


server = MCPServer("remote", instructions="A server for tests.")


@server.tool()
def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool()
def large(size: int) -> str:
    """Give that many characters."""
    return "x" * size


@server.tool()
async def count(ctx: Context, steps: int) -> str:
    """Report progress at each step."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    return f"{steps} steps"


@server.tool()
async def hang(ctx: Context) -> str:
    """Never answer."""
    await anyio.sleep_forever()
    raise AssertionError


@server.tool()
async def cut(ctx: Context) -> str:
    """Close the stream of the answer before answering."""
    await ctx.close_sse_stream()
    return "after the cut"


@server.tool()
async def announce(ctx: Context) -> str:
    """Say on the standalone stream that the resources changed."""
    await ctx.request_context.session.send_resource_list_changed()
    return "announced"


@server.resource("test://greeting")
def greeting() -> str:
    """A resource."""
    return "hello"


def application(mode: str) -> Starlette:
    """The server's ASGI application in this mode."""
    if mode == "sse":
        return server.sse_app()
    return server.streamable_http_app(
        stateless_http=mode == "stateless",
        json_response=mode == "json",
        event_store=Memory() if mode == "resumable" else None,
        retry_interval=10 if mode == "resumable" else None,
    )


def main() -> None:
    """Serve until stdin closes."""
    mode = sys.argv[1]
    if mode == "stdio":
        server.run("stdio")
        return
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
    web = uvicorn.Server(
        uvicorn.Config(application(mode), log_level="critical", timeout_graceful_shutdown=0, ws="none")
    )

    def watch() -> None:
        sys.stdin.buffer.read()
        web.should_exit = True
        web.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    path = "/sse" if mode == "sse" else "/mcp"
    print(f"http://127.0.0.1:{listener.getsockname()[1]}{path}", flush=True)  # noqa: T201 - how the test learns the address
    asyncio.run(web.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
