"""A remote server that writes flat out over its event streams: others are served, memory stays flat, calls end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from pydantic_core import to_json

from security.http_stage import ATTACK_WAIT, fine, stage
from servers.raw_http import Peer, Request, answer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOTE = to_json(
    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "debug", "data": "x"}}
)
FOREIGN = to_json({"jsonrpc": "2.0", "id": 999_999, "result": {}})
ODD = to_json({"jsonrpc": "2.0", "id": "not-ours", "result": {}})
NOISE = b"this is no message"
SECONDS = 3.0


@pytest.mark.parametrize("message", [NOTE, FOREIGN, ODD, NOISE, b"", b"{}"])
async def test_a_standalone_stream_that_is_flooded_slows_nobody_down(tmp_path: Path, message: bytes) -> None:
    go = asyncio.Event()

    async def flood(peer: Peer, request: Request) -> None:
        await peer.stream()
        await go.wait()
        while True:
            await peer.chunk((b"data: " + message + b"\n\n") * 500)

    async with stage(tmp_path, fine, on_get=flood) as dmcp:
        await dmcp.bad.arrived("GET")
        go.set()
        end = time.monotonic() + SECONDS
        answered = 0
        while time.monotonic() < end or not answered:
            assert (await dmcp.client.call("good", "x"))["content"] == []
            answered += 1
        assert (await dmcp.client.call("bad", "x"))["content"] == []
        dmcp.assert_unharmed()


@pytest.mark.parametrize("message", [NOTE, FOREIGN])
async def test_a_flood_on_a_calls_own_stream_ends_with_its_answer(tmp_path: Path, message: bytes) -> None:
    async def flood(peer: Peer, request: Request) -> None:
        await peer.stream()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            await peer.chunk((b"data: " + message + b"\n\n") * 500)
        await peer.event(answer(request, {"content": []}))
        await peer.end()

    async with stage(tmp_path, flood) as dmcp:
        call = dmcp.call_bad()
        while not dmcp.answered(call):
            assert (await dmcp.client.call("good", "x"))["content"] == []
        assert (await dmcp.client.answer(call, within=ATTACK_WAIT))["result"]["content"] == []
        dmcp.assert_unharmed()


async def test_a_stream_that_ends_at_once_for_ever_is_asked_for_seldom(tmp_path: Path) -> None:
    async def end(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.chunk(b"retry: 0\nid: 1\ndata: " + NOTE + b"\n\n")
        await peer.end()

    async with stage(tmp_path, fine, on_get=end) as dmcp:
        await dmcp.bad.arrived("GET", times=20)
        before = time.monotonic()
        count = len(dmcp.bad.requests)
        await asyncio.sleep(SECONDS)
        asked = len(dmcp.bad.requests) - count
        assert asked <= (time.monotonic() - before) / 0.5 + 3
        assert (await dmcp.client.call("bad", "x"))["content"] == []
        dmcp.assert_unharmed()
