"""A client that does not read: dmcp holds the servers back, its memory stays bounded, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from faults.front_door import call_of, dmcp, echoes, journal_of, rogue
from harness import gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio

MEBIBYTE = 1 << 20
FLOOD = 200  # MiB the server wants to say


async def written(file: Path) -> None:
    """Wait until a file has content."""
    async with asyncio.timeout(20):
        while not journal_of(file):  # noqa: ASYNC110 - no event tells of a file that a stranger writes
            await asyncio.sleep(0.02)


@asynccontextmanager
async def deaf(room: Path, *, strict: bool = True) -> AsyncIterator[tuple[RawClient, int | str]]:
    """A client that has stopped to read, and its call of a server that has talked until nobody took any more."""
    stuck = room / "stuck"
    async with dmcp(room, {"g": rogue(env={"ROGUE_STUCK": str(stuck)})}, strict=strict) as client:
        await client.initialize()
        await echoes(client, "g")
        client.output.pause_reading()
        call = client.ask("tools/call", call_of("chatter_until_stuck", {"count": FLOOD, "size": MEBIBYTE}))
        await written(stuck)
        yield client, call


async def test_a_server_is_held_back_while_the_client_does_not_read_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with deaf(tmp_path) as (client, call):
        assert int((tmp_path / "stuck").read_text()) < 64
        assert psutil.Process(client.pid).memory_info().rss < 200 * MEBIBYTE
        client.output.resume_reading()
        assert "result" in await client.answer(call)
        notes = [note["params"]["data"]["number"] for note in client.inbox]
        assert notes == list(range(FLOOD))
        client.ledger.heard.clear()


async def test_a_client_that_does_not_read_and_closes_only_stdin_is_heard_to_the_end_and_let_go(
    tmp_path: Path,
) -> None:
    async with deaf(tmp_path, strict=False) as (client, call):
        client.notify(
            "notifications/cancelled", {"requestId": call}
        )  # unless heard, dmcp waits for this call
        assert client.process.stdin is not None
        client.process.stdin.close()
        await gone(client.pid, within=20.0)
        client.output.resume_reading()


async def test_a_client_that_does_not_read_and_then_is_told_to_go_does_not_keep_dmcp_alive(
    tmp_path: Path,
) -> None:
    async with deaf(tmp_path, strict=False) as (client, _):
        client.process.send_signal(signal.SIGTERM)
        await gone(client.pid, within=20.0)
        client.output.resume_reading()
