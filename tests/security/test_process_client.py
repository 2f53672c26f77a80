"""Whatever a client does with its ends of the pipes, the loop is not held, memory is bounded, and the servers go on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import psutil
import pytest

from harness import RawClient, write_config
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
REPORT = TESTS / "servers" / "process_report.py"
MIB = 1024 * 1024


async def ready(client: RawClient, watch: LoopWatch) -> int:
    """Initialise, wait for the server and begin to watch; returns the memory used so far."""
    await client.initialize()
    await client.call("good", "report")
    watch.start_watching()
    await asyncio.sleep(0.1)
    return memory(client)


def memory(client: RawClient) -> int:
    return int(psutil.Process(client.pid).memory_info().rss)


def watched(tmp_path: Path) -> tuple[LoopWatch, RawClient]:
    config = write_config(tmp_path / "c.json", {"good": python_server(REPORT)})
    watch = LoopWatch(tmp_path)
    return watch, RawClient(watch.command(config), env=watch.env, strict=False)


@pytest.mark.parametrize(
    "line", [b"\n", b"x\n", b"\x00\n", b"\xff\xfe\n", b"{}\n", b"[]\n", b" \t\r\n"], ids=repr
)
async def test_a_flood_of_lines_that_say_nothing_holds_nobody(tmp_path: Path, line: bytes) -> None:
    watch, client = watched(tmp_path)
    async with client:
        before = await ready(client, watch)
        client.write(line * 50_000)
        await client.request("ping", within=60)
        await client.call("good", "report")
        held = watch.held()
        assert held.cpu < 50, held
        assert memory(client) - before < 60 * MIB


async def test_bytes_without_an_end_are_not_kept_beyond_the_limit(tmp_path: Path) -> None:
    watch, client = watched(tmp_path)
    async with client:
        before = await ready(client, watch)
        for _ in range(200):  # 200 MiB, of which 64 may be kept
            client.write(b"x" * MIB)
            await client.drain()
        assert memory(client) - before < 150 * MIB
        client.write(b"\n")
        await client.request("ping")
        await client.call("good", "report")
        held = watch.held()
        assert held.cpu < 100, held


async def test_a_client_that_asks_and_does_not_read_costs_no_more_than_what_it_left_unread(
    tmp_path: Path,
) -> None:
    watch, client = watched(tmp_path)
    async with client:
        before = await ready(client, watch)
        output = client.output
        output.pause_reading()
        arguments = {"group": "good", "name": "report", "args": {}}
        for number in range(20_000):
            params = {"name": "call_dynamic_tool", "arguments": arguments}
            asked = {"jsonrpc": "2.0", "id": f"n{number}", "method": "tools/call", "params": params}
            client.write(json.dumps(asked).encode() + b"\n")
        await asyncio.sleep(3)
        assert memory(client) - before < 80 * MIB
        held = watch.held()
        assert held.cpu < 50, held
        output.resume_reading()


async def test_the_end_of_input_behind_a_flood_is_seen_and_dmcp_ends(tmp_path: Path) -> None:
    watch, client = watched(tmp_path)
    async with client:
        await ready(client, watch)
        client.write(b"x\n" * 50_000)
        assert await client.close(within=60) == 0
