"""A server that writes as fast as it can: it is read no faster than it is served, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch
from servers.raw_http import Peer, Request, answer, offer_tool, raw_server

pytestmark = pytest.mark.anyio

EVERYTHING = {"sampling": {}, "roots": {}, "elicitation": {}}
KINDS = (
    "messages",
    "unknown ids",
    "server requests",
    "pings",
    "unknown methods",
    "updates",
    "invalid json",
    "empty lines",
    "objects",
    "batches",
    "deep params",
)


def hostile(**more: Any) -> dict[str, Any]:
    return python_server(TESTS / "servers" / "hostile.py", **more)


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize("kind", KINDS)
async def test_memory_stays_flat_and_others_are_answered_while_a_server_floods(
    kind: str, tmp_path: Path
) -> None:
    bad = hostile(timeout={"tools": "5m"})  # its own calls wait behind what it has written
    config = write_config(tmp_path / "dmcp.json", {"bad": bad, "good": hostile()})
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize(capabilities=EVERYTHING)
        client.answers["roots/list"] = lambda _: {"roots": []}
        for group in ("good", "bad"):
            await client.call(group, "echo")
        before = memory_of(client.pid)
        watch.start_watching()
        await asyncio.sleep(0.1)
        await client.call("bad", "flood", {"kind": kind, "seconds": 1.5})
        most = before
        for _ in range(40):
            await client.call("good", "echo")
            await client.request("ping")
            most = max(most, memory_of(client.pid))
            client.lines.clear()
        assert most - before < 24 * 1024 * 1024
        assert watch.held().cpu < 50
        arguments = {"group": "bad", "name": "echo", "args": {}}
        served = client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
        assert "result" in await client.answer(served, within=200)


@pytest.mark.parametrize("kind", ["pings", "batches", "deep params"])
async def test_dmcp_ends_in_order_while_a_server_floods(kind: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"bad": hostile(), "good": hostile()})
    async with RawClient(dmcp_command(config), strict=False) as client:
        await client.initialize(capabilities=EVERYTHING)
        await client.call("good", "echo")
        await client.call("bad", "flood", {"kind": kind, "seconds": 60})
        for _ in range(20):
            await client.call("good", "echo")
        client.process.terminate()
        assert await client.exited() == 0
        assert "did not stop in time" not in client.stderr


async def test_a_flood_over_http_is_read_no_faster_than_it_is_served(tmp_path: Path) -> None:
    event = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}\n\n'

    async def flood(peer: Peer, request: Request) -> None:
        await peer.stream()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            await peer.chunk(event * 2000)
            await asyncio.sleep(0)  # the client of this test lives in the same loop
        await peer.event(answer(request, {"content": []}))
        await peer.end()

    async with raw_server() as server:
        offer_tool(server, flood)
        config = write_config(tmp_path / "dmcp.json", {"bad": {"url": server.url}, "good": hostile()})
        watch = LoopWatch(tmp_path)
        async with RawClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
            await client.initialize(capabilities=EVERYTHING)
            await client.call("good", "echo")
            await client.tools("bad")
            before = memory_of(client.pid)
            watch.start_watching()
            await asyncio.sleep(0.1)
            arguments = {"group": "bad", "name": "x", "args": {}}
            call = client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
            most = before
            for _ in range(20):
                await client.call("good", "echo")
                most = max(most, memory_of(client.pid))
                client.lines.clear()
            assert most - before < 24 * 1024 * 1024
            assert watch.held().cpu < 50
            assert "result" in await client.answer(call, within=60)
