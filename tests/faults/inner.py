"""A whole dmcp inside the test's process: real actors, servers that are functions, a client that is a list.

What a thousand processes would take minutes for takes seconds here, and what is left over can be counted exactly.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

from dmcp.actors.audit import Audit
from dmcp.actors.auth import AuthActor
from dmcp.actors.catalog import Catalog
from dmcp.actors.frontend import Frontend
from dmcp.actors.runtime import Dispatcher, Watch, post
from dmcp.actors.supervisor import Supervisor
from dmcp.actors.upstream import Upstream
from dmcp.auth.lazy import LazyAuthorizer
from dmcp.config.model import Configuration, RestartPolicy, ServerConfig, StdioServer
from dmcp.messages.frontend import ClientFrames
from dmcp.messages.supervisor import Configure, Shutdown
from dmcp.upstream.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.messages import Address
    from dmcp.messages.upstream import Crash, Peers
    from dmcp.protocol.link import Link, LinkEvents

PATIENCE = 20.0  # seconds; only a hang gets there
AT_ONCE = RestartPolicy(intensity=10**9, backoff_min=0.0, backoff_max=0.0)


def server(name: str, *args: str, **more: Any) -> ServerConfig:
    """The configuration of a server that is a function; other ``args`` make it another one."""
    return ServerConfig(name, f"The {name} server", StdioServer("inner", args), restart=AT_ONCE, **more)


def configured(*servers: ServerConfig) -> Configuration:
    return Configuration({config.name: config for config in servers})


class InnerHouse:
    """The supervisor's factories, the client, and every link there ever was.

    Attributes:
        links: open ones, by group.
        opened: how many have been opened.
        called: how many calls of tools the servers were given.
        status: the exit status, when dmcp has ended.
        notes: notifications the client got.
    """

    def __init__(self) -> None:
        self.links: dict[str, MemoryLink] = {}
        self.opened = 0
        self.called = 0
        self.notes: list[str] = []
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.core: dict[str, Address] = {}
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.core["supervisor"] = Supervisor.start(self, self.status.set_result, Audit.start())

    def __repr__(self) -> str:
        return f"<InnerHouse {list(self.links)}, {self.opened} links opened>"

    # Factories of the supervisor

    def auth(self, watch: Watch) -> Address:
        self.core["auth"] = AuthActor.start(LazyAuthorizer(lambda: "file"), watch=watch)
        return self.core["auth"]

    def catalog(self, watch: Watch) -> Address:
        self.core["catalog"] = Catalog.start(watch=watch)
        return self.core["catalog"]

    def frontend(self, supervisor: Address, watch: Watch) -> Address:
        self.core["frontend"] = Frontend.start(self._read, supervisor, watch=watch)
        return self.core["frontend"]

    def upstream(self, config: ServerConfig, peers: Peers, watch: Watch, crash: Crash | None) -> Address:
        async def open_link(events: LinkEvents) -> Link:
            link = self.links[config.name] = MemoryLink(events, lambda frame: self._serve(config.name, frame))
            self.opened += 1
            return link

        return Upstream.start(config, connect=lambda _: open_link, peers=peers, watch=watch, crash=crash)

    def _serve(self, name: str, frame: bytes) -> Sequence[bytes]:
        self.called += b'"tools/call"' in frame
        return _serve(name, frame)

    # The client

    def _read(self, frame: bytes) -> None:
        message = json.loads(frame)
        if "method" in message:
            self.notes.append(message["method"])
        else:
            self._waiting.pop(message["id"]).set_result(message)

    def configure(self, *servers: ServerConfig) -> None:
        post(self.core["supervisor"], Configure(configured(*servers)))

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The whole answer to a request."""
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        post(self.core["frontend"], ClientFrames((json.dumps(message).encode(),)))
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def initialize(self) -> None:
        info = {"name": "inner", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        await self.request("initialize", params)
        note = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        post(self.core["frontend"], ClientFrames((note,)))

    async def call(self, group: str, name: str = "echo") -> dict[str, Any]:
        arguments = {"group": group, "name": name, "args": {}}
        return await self.request("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})

    async def leave(self) -> int:
        """End, and return the exit status."""
        post(self.core["supervisor"], Shutdown(0.0))
        return await self.ended()

    async def ended(self) -> int:
        """The exit status, when all is over."""
        async with asyncio.timeout(PATIENCE):
            status = await self.status
            await Dispatcher.running().wait_background()
        return status


def _serve(name: str, frame: bytes) -> Sequence[bytes]:
    """The server: ``echo`` says its name, anything else is never answered."""
    message = json.loads(frame)
    result: dict[str, Any]
    match message["method"]:
        case "initialize":
            revision = message["params"]["protocolVersion"]
            about = {"name": name, "version": "1"}
            result = {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            tools = [
                {
                    "name": tool,
                    "inputSchema": {"type": "object"},
                    "annotations": {"idempotentHint": tool == "echo"},
                }
                for tool in ("echo", "wait")
            ]
            result = {"tools": tools}
        case "tools/call" if message["params"]["name"] == "echo":
            result = {"content": [{"type": "text", "text": name}]}
        case _:
            return ()
    return (json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode(),)
