"""Which processes a test has started, whoever their parent is by now.

Every process started inside a test inherits ``TEST_MARK_OF_DMCP``; that finds orphans which a look at the process
tree would miss, because they were handed to init.
"""

from __future__ import annotations

import os
import time

import anyio
import psutil

MARK = "TEST_MARK_OF_DMCP"


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[psutil.Process]:
    """All children of a process, and theirs, that are alive now."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def marked(mark: str) -> list[psutil.Process]:
    """Every live process that carries this mark, except the one asking."""
    return [
        process for process in psutil.process_iter() if process.pid != os.getpid() and _carries(process, mark)
    ]


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # it has ended, or it belongs to somebody else and so is not ours


def leftovers(mark: str, within: float) -> list[psutil.Process]:
    """The processes with this mark that are still there after ``within`` seconds. For use outside the event loop."""
    deadline = time.monotonic() + within
    while (rest := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)  # no event tells of the end of a process that is not our child
    return rest


async def gone(*pids: int, within: float = 10.0) -> None:
    """Wait until none of these processes is alive.

    Raises:
        AssertionError: after ``within`` seconds one still is.
    """
    with anyio.move_on_after(within):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110 - no event tells of the end of a stranger
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"still alive after {within} s: {[pid for pid in pids if alive(pid)]}")
