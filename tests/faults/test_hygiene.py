"""What is left after a thousand crashes and five hundred reloads: nothing. Counted, not timed."""

from __future__ import annotations

import asyncio
import gc
import heapq
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import pykka
import pytest

from dmcp import log
from faults.faulty import watches
from faults.inner import PATIENCE, InnerApp, server
from harness import EVENTS, RawClient, RpcError, dmcp_command, gone, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio

WARM_UP = 50  # rounds after which every cache is filled
ALLOWANCE = 200  # objects: a few entries of caches and histories, far from one object a round
MEMORY_ALLOWANCE = 4_000_000
"""Bytes: what allocators and late imports take, far from 100 times what a server's life takes."""


class Belongings(NamedTuple):
    """What a dmcp inside this process holds."""

    tasks: int
    threads: int
    actors: int
    timers: int
    files: int
    objects: Counter[str]


def forget_cancelled_timers() -> None:
    """Asyncio keeps up to a hundred cancelled timers, with all they refer to, until it has nothing better to do."""
    loop: Any = asyncio.get_running_loop()
    loop._scheduled = [timer for timer in loop._scheduled if not timer.cancelled()]
    heapq.heapify(loop._scheduled)
    loop._timer_cancelled_count = 0


async def belongings() -> Belongings:
    for _ in range(5):
        await asyncio.sleep(0)
    forget_cancelled_timers()
    gc.collect()
    objects = gc.get_objects()
    timers = sum(isinstance(o, asyncio.TimerHandle) and not o.cancelled() for o in objects)
    actors = len(pykka.ActorRegistry.get_all())
    files = files_of(psutil.Process())
    kinds = Counter(type(o).__name__ for o in objects)
    return Belongings(len(asyncio.all_tasks()), threading.active_count(), actors, timers, files, kinds)


def files_of(process: psutil.Process) -> int:
    return process.num_handles() if sys.platform == "win32" else process.num_fds()


async def grows_by_nothing(rounds: int, one: Callable[[int], Awaitable[None]]) -> None:
    for number in range(WARM_UP):
        await one(number)
    await belongings()  # the first look imports what it looks with
    before = await belongings()
    for number in range(rounds):
        await one(number)
    after = await belongings()
    assert after[:-1] == before[:-1]
    grown = after.objects - before.objects
    assert after.objects.total() <= before.objects.total() + ALLOWANCE, grown.most_common(10)


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """A thousand crashes are a thousand warnings."""
    before = log._threshold
    log.set_level("error")
    yield
    log._threshold = before


@pytest.fixture
async def house(anyio_backend: str, quiet_log: None) -> Any:
    house = InnerApp()
    house.configure(server("a"), server("b"))
    await house.initialize()
    await house.call("a")
    await house.call("b")
    yield house
    assert await house.leave() == 0
    assert not pykka.ActorRegistry.get_all()


async def test_a_thousand_crashes_leave_nothing_behind(house: InnerApp) -> None:
    untouched = house.links["b"]

    async def crash(number: int) -> None:
        called, asked = house.called, None
        if number % 2:  # in the middle of a call, or between two
            asked = asyncio.ensure_future(house.call("a", "wait"))
            async with asyncio.timeout(PATIENCE):
                while house.called == called:  # noqa: ASYNC110 - one turn of the loop at a time
                    await asyncio.sleep(0)
        house.links["a"].break_off("crashed")
        if asked is not None:
            assert "crashed" in (await asked)["error"]["message"]
        assert "result" in await house.call("a")

    await grows_by_nothing(1000, crash)
    assert house.opened >= 1000
    assert house.links["b"] is untouched


async def test_five_hundred_reloads_leave_nothing_behind_and_do_not_touch_what_stays(
    house: InnerApp,
) -> None:
    untouched = house.links["b"]

    async def reload(number: int) -> None:
        house.configure(server("a", str(number)), server("b"), server(f"c{number % 3}"))
        assert "result" in await house.call("a")
        assert "result" in await house.call(f"c{number % 3}")
        assert "result" in await house.call("b")

    await grows_by_nothing(500, reload)
    assert house.links["b"] is untouched


class Holdings(NamedTuple):
    """What a dmcp process holds."""

    files: int
    threads: int
    children: int


def holdings(client: RawClient) -> Holdings:
    process = psutil.Process(client.pid)
    return Holdings(files_of(process), process.num_threads(), len(process.children(recursive=True)))


async def settles_at(client: RawClient, expected: Holdings) -> None:
    """Wait until the process holds no more than this; the last server of all may still be on its way out."""
    async with asyncio.timeout(PATIENCE):
        # No event tells of what happens in another process.
        while any(now > then for now, then in zip(holdings(client), expected, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def light(**more: Any) -> Entry:
    """A server that starts fast, because it is started often."""
    entry = python_server(TESTS.parent / "benchmarks" / "upstream.py", **more)
    return {
        **entry,
        "args": ["-I", "-S", *entry["args"]],
        "restart": {"intensity": 10**6, "backoff_min": "1ms"},
    }


def children_of(client: RawClient) -> list[psutil.Process]:
    return psutil.Process(client.pid).children()


async def answers(client: RawClient) -> None:
    """Call until there is an answer: a call may meet its server's end."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(RpcError):
                await client.call("g", "echo", {"text": "here"})
                return


async def crash(client: RawClient) -> None:
    """Kill the server, and wait until another one answers."""
    (child,) = children_of(client)
    child.kill()
    await gone(child.pid)
    await answers(client)


async def test_a_hundred_killed_processes_leave_no_file_thread_or_child_behind(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": light()})
    async with RawClient(dmcp_command(config), env={"DMCP_LOG": "error"}) as client:
        await client.initialize()

        await answers(client)
        for _ in range(5):
            await crash(client)
        await watches(client)
        before, size = holdings(client), psutil.Process(client.pid).memory_info().rss
        for _ in range(100):
            await crash(client)
        await settles_at(client, before)
        assert psutil.Process(client.pid).memory_info().rss <= size + MEMORY_ALLOWANCE


def restarts_of(client: RawClient) -> int:
    """How many reloads have restarted a server."""
    return sum(e["event"] == "ConfigurationApplied" and e["restarted"] == 1 for e in client.events)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="reload by hand is a signal of POSIX")
async def test_fifty_reloads_of_processes_leave_no_file_thread_or_child_behind(tmp_path: Path) -> None:
    config = tmp_path / "dmcp.json"
    write_config(config, {"kept": light(), "g": light(env={"ROUND": "first"})})
    async with RawClient(dmcp_command(config), env=EVENTS) as client:
        await client.initialize()
        await client.call("kept", "echo", {"text": "here"})
        (kept,) = [child.pid for child in children_of(client) if "ROUND" not in child.environ()]
        await watches(client)
        before: Holdings | None = None
        for number in range(55):
            restarts = restarts_of(client)  # first: a thread reads what dmcp says
            write_config(config, {"kept": light(), "g": light(env={"ROUND": str(number)})})
            # Whoever is first, the signal or the watch, the other finds nothing changed.
            client.process.send_signal(signal.SIGUSR1)
            await client.until(lambda seen=restarts: restarts_of(client) > seen, "reload")
            await client.call("g", "echo", {"text": "here"})
            if number == 4:
                before = holdings(client)
        assert before is not None
        await settles_at(client, before)
        assert kept in [child.pid for child in children_of(client)]
