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
from dmcp.actors.mailbox import ClientMailbox
from dmcp.actors.runtime import Dispatcher, Watch, post
from dmcp.actors.supervisor import Supervisor
from dmcp.actors.upstream import Upstream
from dmcp.app import attach_client
from dmcp.auth.lazy import LazyAuthorizer
from dmcp.config.model import Configuration, RestartPolicy, ServerConfig, StdioServer
from dmcp.messages.supervisor import Configure, Shutdown
from harness.memory import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.messages import Address
    from dmcp.messages.upstream import Crash, Peers
    from dmcp.protocol.link import ClientEvents, Link, LinkEvents

PATIENCE = 20.0  # seconds; only a hang gets there
AT_ONCE = RestartPolicy(intensity=10**9, backoff_min=0.0, backoff_max=0.0)


def server(name: str, *args: str, **more: Any) -> ServerConfig:
    """The configuration of a server that is a function; other ``args`` make it another one."""
    return ServerConfig(name, f"The {name} server", StdioServer("inner", args), restart=AT_ONCE, **more)


def configured(*servers: ServerConfig) -> Configuration:
    return Configuration({config.name: config for config in servers})


class InnerClient:
    """A client that is a list: the link of its frontend, and what it has been sent.

    Attributes:
        number: dmcp's number for it.
        answer_to: what it answers to requests of servers, by method; other requests stay open.
        messages: the requests and notifications it got, in order.
        failed: how its frontend ended, if it has: the error, or an empty text.
        held: whether dmcp reads nothing from it.
    """

    def __init__(self, number: int, events: ClientEvents) -> None:
        self.number = number
        self.answer_to: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.failed: str | None = None
        self.held = False
        self._events = events
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def __repr__(self) -> str:
        return f"<InnerClient {self.number} {len(self.messages)} messages>"

    @property
    def frontend(self) -> Address:
        assert isinstance(self._events, ClientMailbox)
        return self._events.frontend

    @property
    def notes(self) -> list[str]:
        """The methods of the notifications it got."""
        return [message["method"] for message in self.messages if "id" not in message]

    def write(self, frame: bytes) -> None:
        """What dmcp sends it."""
        message = json.loads(frame)
        if "method" not in message:
            self._waiting.pop(message["id"]).set_result(message)
            return
        self.messages.append(message)
        if message["method"] in self.answer_to and "id" in message:
            self.send({"id": message["id"], "result": self.answer_to[message["method"]]})

    def write_parts(self, parts: tuple[bytes | memoryview, ...]) -> None:
        self.write(b"".join(parts))

    def hold(self, hold: bool) -> None:
        self.held = hold

    def send(self, message: dict[str, Any]) -> None:
        """Send dmcp a message, in a later turn of the loop as a pipe would."""
        frame = json.dumps({"jsonrpc": "2.0", **message}).encode()
        asyncio.get_running_loop().call_soon(self._events.on_frames, (frame,))

    def reads(self, reading: bool) -> None:
        """Keep up with reading, or do not."""
        self._events.on_writable(reading)

    def go(self) -> None:
        """Leave without a word."""
        self._events.on_gone(False)

    def ask(self, method: str, params: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Make a request; the future gets the whole answer."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send({"id": number, "method": method, "params": params})
        return answer

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The whole answer to a request."""
        async with asyncio.timeout(PATIENCE):
            return await self.ask(method, params)

    async def initialize(self, **capabilities: Any) -> None:
        info = {"name": f"inner {self.number}", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}
        await self.request("initialize", params)
        self.send({"method": "notifications/initialized"})

    async def call(self, group: str, name: str = "echo", **args: Any) -> dict[str, Any]:
        return await self.request("tools/call", calling(group, name, **args))


def calling(group: str, name: str = "echo", **args: Any) -> dict[str, Any]:
    """The params of a call through dmcp."""
    return {"name": "call_dynamic_tool", "arguments": {"group": group, "name": name, "args": args}}


class InnerApp:
    """The supervisor's factories, the clients, and every link there ever was.

    Attributes:
        links: open ones, by group.
        opened: how many have been opened.
        called: how many calls of tools the servers were given.
        status: the exit status, when dmcp has ended.
        client: the first client; dmcp ends when it does.
    """

    def __init__(self) -> None:
        self.links: dict[str, MemoryLink] = {}
        self.opened = 0
        self.called = 0
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.core: dict[str, Address] = {}
        self._clients = itertools.count(1)
        self.core["supervisor"] = Supervisor.start(self, self.status.set_result, Audit.start())
        self.client = self.attach()
        self.core["frontend"] = self.client.frontend

    def __repr__(self) -> str:
        return f"<InnerApp {list(self.links)}, {self.opened} links opened>"

    # Factories of the supervisor

    def auth(self, watch: Watch) -> Address:
        self.core["auth"] = AuthActor.start(LazyAuthorizer(lambda: "file"), watch=watch)
        return self.core["auth"]

    def catalog(self, watch: Watch) -> Address:
        self.core["catalog"] = Catalog.start(watch=watch)
        return self.core["catalog"]

    def upstream(self, config: ServerConfig, peers: Peers, watch: Watch, crash: Crash | None) -> Address:
        async def open_link(events: LinkEvents) -> Link:
            link = self.links[config.name] = MemoryLink(events, lambda frame: self._serve(config.name, frame))
            self.opened += 1
            return link

        return Upstream.start(config, connect=lambda _: open_link, peers=peers, watch=watch, crash=crash)

    def _serve(self, name: str, frame: bytes) -> Sequence[bytes]:
        self.called += b'"tools/call"' in frame
        return _serve(name, frame)

    # The clients

    def attach(self) -> InnerClient:
        """Another client, attached as the product attaches its own."""
        number = next(self._clients)
        client: InnerClient = attach_client(
            self.core["supervisor"],
            number,
            lambda events: InnerClient(number, events),
            lambda failure: self._on_client_ended(client, failure),
        )
        return client

    def _on_client_ended(self, client: InnerClient, failure: str) -> None:
        client.failed = failure
        if client.number == 1:
            post(self.core["supervisor"], Shutdown(0.0, status=1 if failure else 0))

    def configure(self, *servers: ServerConfig) -> None:
        post(self.core["supervisor"], Configure(configured(*servers)))

    async def initialize(self) -> None:
        await self.client.initialize()

    async def call(self, group: str, name: str = "echo") -> dict[str, Any]:
        return await self.client.call(group, name)

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
