"""The watch itself: it sees a loop that is held, and a quiet one is quiet."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, sdk_server, write_config
from harness.watched import Heartbeat, LoopWatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_session_with_small_messages_holds_the_loop_for_less_than_the_budget(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"sdk": sdk_server()})
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env=watch.env) as client:
        await client.initialize()
        await client.tools("sdk")
        watch.start_watching()
        await asyncio.sleep(0.1)
        for number in range(50):
            await client.call("sdk", "echo", {"text": str(number)})
    assert 0 < watch.held().cpu < 50


async def test_a_loop_that_is_held_is_seen(tmp_path: Path) -> None:
    watch = LoopWatch(tmp_path)
    watch.start_watching()
    Heartbeat(asyncio.get_running_loop(), *watch.files)
    await asyncio.sleep(0.05)
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass
    await asyncio.sleep(0.05)
    held = watch.held()
    assert held.cpu > 50  # on a machine up to four times as slow
    assert held.wall >= 200


async def test_a_loop_that_waits_for_something_else_is_seen_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    watch = LoopWatch(tmp_path)
    watch.start_watching()
    Heartbeat(asyncio.get_running_loop(), *watch.files)
    await asyncio.sleep(0.05)
    time.sleep(0.1)  # noqa: ASYNC251 - what is to be noticed
    await asyncio.sleep(0.05)
    assert watch.held().wall >= 100
