"""Servers of ``dmcp fault`` behind dmcp: their configuration entries, and what their journals tell."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcp.fault.journal import read_journal
from dmcp.fault.script import Script, Server
from harness import WAIT

if TYPE_CHECKING:
    from harness import RawClient
    from harness.configs import Entry

PROMPT = {"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000}
"""A restart policy that does not keep a test waiting."""


def journal(room: Path, name: str) -> Path:
    """Where the server of this name writes what happened to it, through all of its lives."""
    return room / f"{name}.journal"


def faulty(room: Path, name: str, *faults: Any, server: Server | None = None, **more: Any) -> Entry:
    """A stdio server with these faults; without any it is correct.

    Args:
        room: the test's own directory.
        name: of its script and its journal.
        faults: of ``dmcp.fault.script.build``.
        server: what the correct server behind the faults is like.
        more: keys of the configuration entry.
    """
    script = Script(faults=faults, seed=1, journal=str(journal(room, name)), server=server or Server())
    path = script.write(room / f"{name}.script.json")
    arguments = ["-m", "dmcp.fault", "--script", str(path)]
    if "COVERAGE_PROCESS_CONFIG" in os.environ:  # a server is given no variable that it has no need of
        more["env"] = {"COVERAGE_PROCESS_CONFIG": "${COVERAGE_PROCESS_CONFIG}", **more.get("env", {})}
    return {"command": sys.executable, "args": arguments, "restart": PROMPT, **more}


def lives(room: Path, name: str) -> list[int]:
    """The process ids this server has had, in order."""
    return [event["pid"] for event in read_journal(journal(room, name)) if event["event"] == "started"]


def acted(room: Path, name: str) -> int:
    """How often a fault of this server has acted."""
    return sum(event["event"] == "acted" for event in read_journal(journal(room, name)))


async def watches(client: RawClient) -> None:
    """Wait until dmcp watches its configuration, for which it opens files and starts threads a moment after its start.

    The library's own thread is the last of it. Linux only: elsewhere nothing is waited for.
    """
    async with asyncio.timeout(WAIT):
        while sys.platform == "linux" and not _has_watching_thread(client.pid):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.05)


def _has_watching_thread(pid: int) -> bool:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            if (task / "comm").read_text().startswith("notify-rs"):
                return True
    return False


async def pid_of(client: RawClient, group: str) -> int:
    """The process id of the server behind a group, asked through dmcp."""
    result = await client.call(group, "pid")
    return int(result["content"][0]["text"])


async def echoes(client: RawClient, group: str, text: str = "still there") -> None:
    """Fail unless this group answers a call."""
    result = await client.call(group, "echo", {"text": text})
    assert result["content"][0]["text"] == text
