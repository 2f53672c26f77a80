"""A watched dmcp between a client, a well-behaved remote server and one that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import psutil

from harness import RawClient, write_config
from harness.watched import LoopWatch
from servers.raw_http import Peer, RawServer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from servers.raw_http import Reaction

MEGABYTE: Final = 1024 * 1024
ATTACK_WAIT: Final = 60.0


class Stage:
    """A watched dmcp between a client, a good server and a bad one."""

    def __init__(self, client: RawClient, watch: LoopWatch, bad: RawServer) -> None:
        self.client = client
        self.watch = watch
        self.bad = bad

    async def attack(self) -> dict[str, Any]:
        """Call the bad server; the error it comes to. The good one answers meanwhile."""
        call = self.call_bad()
        await self.bad.arrived("tools/call")
        assert (await self.client.call("good", "x"))["content"] == []
        response = await self.client.answer(call, within=ATTACK_WAIT)
        assert (await self.client.call("good", "x"))["content"] == []
        error: dict[str, Any] = response.get("error", {"message": json.dumps(response)})
        return error

    def call_bad(self) -> int | str:
        """Call the bad server without waiting."""
        arguments = {"group": "bad", "name": "x", "args": {}}
        return self.client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})

    def answered(self, call: int | str) -> bool:
        """Whether this call has been answered."""
        return bool(self.client._replies.get(json.dumps(call)))

    def assert_unharmed(self) -> None:
        assert self.watch.held().cpu < 50
        memory = psutil.Process(self.client.pid).memory_info().rss
        assert memory < 200 * MEGABYTE


async def fine(peer: Peer, request: Request) -> None:
    await peer.result(request, {"content": []})


@asynccontextmanager
async def stage(
    tmp_path: Path,
    on_call: Reaction,
    *,
    on_get: Reaction | None = None,
    client: type[RawClient] = RawClient,
    strict: bool = True,
    **limits: Any,
) -> AsyncIterator[Stage]:
    """Start both servers and dmcp; the bad one's tool meets ``on_call``, its standalone stream ``on_get``."""
    async with AsyncExitStack() as stack:
        good, bad = [await stack.enter_async_context(raw_server()) for _ in range(2)]
        offer_tool(good, fine)
        offer_tool(bad, on_call)
        if on_get is not None:
            bad.on("GET", on_get)
        more = {"limits": limits} if limits else {}
        servers = {"good": {"url": good.url}, "bad": {"url": bad.url, "timeout": {"tools": "60s"}, **more}}
        config = write_config(tmp_path / "dmcp.json", servers)
        watch = LoopWatch(tmp_path)
        peer = client(LoopWatch.command(config), env=watch.env, strict=strict)
        await stack.enter_async_context(peer)
        await peer.initialize()
        look = {"name": "get_dynamic_tools", "arguments": {"group": "bad"}}
        await peer.request("tools/call", look, within=ATTACK_WAIT)  # both are connected
        await peer.call("good", "x")
        watch.start_watching()
        await asyncio.sleep(0.1)
        yield Stage(peer, watch, bad)
