"""Starting a process in both ways there are: with pipes of its own (POSIX), and by the loop (as on Windows)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from dmcp.errors import LinkRefused
from dmcp.upstream import spawning
from dmcp.upstream.spawning import Start, off_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dmcp.upstream.spawning import Process, ProcessEvents

    Way = Callable[[Start, ProcessEvents], Awaitable[Process]]

pytestmark = pytest.mark.anyio
WAYS = pytest.mark.parametrize("way", [spawning._spawn_with_pipes, spawning._spawn_by_loop])


class Told:
    """Implements ``ProcessEvents``."""

    def __init__(self) -> None:
        self.output = b""
        self.diagnostics = b""
        self.ends: set[str] = set()
        self.news = asyncio.Event()

    def on_stdout(self, data: bytes) -> None:
        self.output += data

    def on_stderr(self, data: bytes) -> None:
        self.diagnostics += data

    def _end(self, what: str) -> None:
        assert what not in self.ends, "told twice"
        self.ends.add(what)
        self.news.set()

    def on_stdout_end(self) -> None:
        self._end("stdout")

    def on_stderr_end(self) -> None:
        self._end("stderr")

    def on_stdin_end(self) -> None:
        self._end("stdin")

    def on_exit(self) -> None:
        self._end("exit")

    async def until(self, *ends: str) -> None:
        async with asyncio.timeout(20):
            while not self.ends.issuperset(ends):
                self.news.clear()
                await self.news.wait()


def python(program: str) -> Start:
    return Start(sys.executable, ("-I", "-S", "-c", program), dict(os.environ), None)


@WAYS
async def test_what_is_written_arrives_and_each_end_is_told_once(way: Way) -> None:
    told = Told()
    program = "import sys; sys.stderr.write('e'); sys.stdout.write(sys.stdin.readline() * 1000); sys.exit(7)"
    process = await way(python(program), told)
    process.stdin.writelines([b"x" * 99, b"\n"])
    await told.until("stdout", "stderr", "exit")
    assert told.output == (b"x" * 99 + b"\n") * 1000
    assert told.diagnostics == b"e"
    assert process.status == 7
    process.close()


@WAYS
@pytest.mark.parametrize(
    "start",
    [
        Start("there-is-no-such-command", (), {"PATH": "/bin"}, None),
        Start(sys.executable, ("a\0b",), {}, None),
        Start(sys.executable, (), {}, "/there/is/no/such/directory"),
        Start("/etc/passwd", (), {}, None),
    ],
    ids=["command", "zero", "directory", "not executable"],
)
async def test_what_cannot_be_started_is_refused_and_leaves_no_descriptor(way: Way, start: Start) -> None:
    await _refused(way, start)  # the first start makes what all later ones share
    before = _descriptors()
    await _refused(way, start)
    assert _descriptors() == before


async def _refused(way: Way, start: Start) -> None:
    with pytest.raises(LinkRefused):
        await way(start, Told())


def _descriptors() -> set[str]:
    folder = Path("/proc/self/fd")
    return {one.name for one in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.parametrize("steps", range(6))
async def test_a_start_that_is_cancelled_leaves_no_process_and_no_descriptor(steps: int) -> None:
    first = await spawning._spawn_with_pipes(python(""), told := Told())
    await told.until("stdout", "stderr", "exit")
    first.close()
    await asyncio.sleep(0.05)
    before, pids = _descriptors(), []
    real = spawning._fork

    def fork(start: Start) -> spawning._Forked:
        forked = real(start)
        pids.append(forked.popen.pid)
        return forked

    spawning._fork = fork
    try:
        task = asyncio.ensure_future(
            spawning._spawn_with_pipes(python("import time; time.sleep(600)"), Told())
        )
        for _ in range(steps):
            await asyncio.sleep(0.002)
        await asyncio.sleep(0)
        task.cancel()
        try:
            (await task).close()  # it was faster: then it is ended as usual
            os.killpg(pids[0], signal.SIGKILL)
        except asyncio.CancelledError:
            pass
        async with asyncio.timeout(20):
            while not pids or _alive(pids[0]) or _descriptors() - before:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
    finally:
        spawning._fork = real


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_where_there_is_no_descriptor_of_a_process_a_thread_waits_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    told = Told()
    process = await spawning._spawn_with_pipes(python("raise SystemExit(3)"), told)
    await told.until("exit", "stdout", "stderr")
    assert process.status == 3
    process.close()


async def test_work_off_the_loop_gives_its_result_or_its_error() -> None:
    assert await off_loop(threading.get_ident) != threading.get_ident()

    def broken() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await off_loop(broken)


async def test_a_result_nobody_waits_for_any_more_is_thrown_away() -> None:
    thrown: list[int] = []
    gate = threading.Event()

    def work() -> int:
        gate.wait(20)
        return 42

    task = asyncio.ensure_future(off_loop(work, thrown.append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    async with asyncio.timeout(20):
        while not thrown:  # noqa: ASYNC110 - another thread
            await asyncio.sleep(0.001)
    assert thrown == [42]


def test_the_first_of_many_starts_are_not_delayed_and_the_others_a_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, pauses = 100.0, list[float]()
    clock = SimpleNamespace(monotonic=lambda: now, sleep=pauses.append)
    monkeypatch.setattr(spawning, "time", clock)
    monkeypatch.setattr(spawning, "_forks", deque(maxlen=spawning._AT_ONCE))
    for _ in range(spawning._AT_ONCE - 1):
        spawning._pace()
    assert not pauses
    for _ in range(3):
        spawning._pace()
    assert pauses == [spawning._PAUSE] * 3
    now += 60.0
    spawning._pace()
    assert len(pauses) == 3
