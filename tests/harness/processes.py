"""Find the processes a test has started, whatever their parent is by now.

Every process started inside a test inherits ``TEST_MARK_OF_DMCP``; that finds orphans which a look at the process
tree would miss, because they were handed to init.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

import anyio
import psutil

MARK = "TEST_MARK_OF_DMCP"
FORKED: set[int] = set()
"""Process ids of dmcps that were forked (``forked``) and not waited for: their environment does not show the mark."""


def alive(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[psutil.Process]:
    """Return all children of a process, and theirs, that are alive now."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def marked(mark: str, older: frozenset[int] = frozenset()) -> list[psutil.Process]:
    """Return every live process that carries this mark, except the one asking.

    Args:
        mark: the value of ``MARK`` in its environment.
        older: process ids not to look at, because they were there before the mark was.
    """
    found = []
    for pid in set(psutil.pids()) - older - {os.getpid()}:
        with suppress(psutil.NoSuchProcess):
            if _carries(process := psutil.Process(pid), mark):
                found.append(process)
    return found


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.pid in FORKED or process.environ().get(MARK) == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False  # it has ended, or it belongs to somebody else and so is not ours


def leftovers(mark: str, older: frozenset[int], timeout: float) -> list[psutil.Process]:
    """Return the marked processes that are still there after ``timeout`` seconds. Blocks: not for the event loop.

    Args:
        mark: as for ``marked``.
        older: likewise.
        timeout: seconds to wait for them to end.
    """
    deadline = time.monotonic() + timeout
    while (rest := marked(mark, older)) and time.monotonic() < deadline:
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
