"""A real dmcp process whose event loop is watched: how long did one turn of it take at most?

Run as a program this file is ``python -m dmcp`` with a heartbeat on the loop that dmcp itself makes. The heartbeat asks
to be called every few milliseconds and notes how much later it was called, by two clocks:

* ``cpu``: milliseconds of processor time the loop's thread used between two beats, so tests may assert on it: this is
  what an input cost. Other processes disturb it all the same, because they share caches, memory and perhaps the core;
  so after each turn that is a new longest one the same thread at once does a piece of work whose usual time is known,
  and the turn is taken to have been slowed down as much as that.
* ``wall``: milliseconds that passed between two beats. A loop that waits for a file, a lock, a pipe or another thread
  shows here only. The machine's other work shows here too: assert on it with a wide margin (a second).

What is measured is written to a file whenever a new longest turn is seen, so that it is there for a killed process too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

_REPORT: Final = "DMCP_TEST_WATCHED"
_BEAT: Final = 0.002  # seconds
_REFERENCE: Final = 4.0  # milliseconds the work of ``_slowness`` took on the machine the budgets were set on
_WORTH_MEASURING: Final = 20.0  # milliseconds: shorter turns are within every budget on any machine
_SETTLED: Final = "DMCP_TEST_WATCHED_FROM"


class Held(NamedTuple):
    """The longest turn of the loop since ``start_watching``, in milliseconds.

    Attributes:
        cpu: processor time, as the machine the budgets were set on would have needed it when it is quiet.
        wall: on the clock.
        slowness: how many times as long as there the reference work took right after the turn of ``cpu``.
    """

    cpu: float
    wall: float
    slowness: float = 1.0


class LoopWatch:
    """The test's side: the command's environment, when to begin, and what was measured.

    Args:
        directory: an empty directory of the test's own, for the two files the processes share.
    """

    def __init__(self, directory: Path) -> None:
        self._report = directory / "held.json"
        self._from = directory / "from"

    def __repr__(self) -> str:
        return f"<LoopWatch {self._report}>"

    @property
    def env(self) -> dict[str, str]:
        """Return what to add to the environment of ``command``."""
        return {_REPORT: str(self._report), _SETTLED: str(self._from)}

    @property
    def files(self) -> tuple[Path, Path]:
        """Return what a ``Heartbeat`` is given: the report, and the file whose being there means that it counts."""
        return self._report, self._from

    @staticmethod
    def command(config: Path | str) -> list[str]:
        """Return how to start a watched dmcp that serves this configuration."""
        return [sys.executable, str(Path(__file__).resolve()), str(config)]

    def start_watching(self) -> None:
        """Ignore what happened so far: only what happens from now on counts. May be called again."""
        self._report.unlink(missing_ok=True)
        self._from.write_text(f"from {time.time_ns()} on")

    def held(self) -> Held:
        """Return the longest turns so far."""
        try:
            return Held(*json.loads(self._report.read_text()))
        except FileNotFoundError:
            return Held(0.0, 0.0)


def _slowness() -> float:
    """Return how much longer a work of the interpreter and of memory takes here and now than it did there.

    At least 1.0: a faster machine gets no smaller budget.
    """
    text, taken = b"x" * (8 << 20), []
    for _ in range(3):
        begin = time.thread_time()
        sum(number * number % 7 for number in range(50_000))
        for _ in range(8):
            bytes(memoryview(text)).find(b"z")
        taken.append((time.thread_time() - begin) * 1e3)
    return max(1.0, median(taken) / _REFERENCE)


class Heartbeat:
    """The process's side: beats on the loop and writes down the longest turns. Runs on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Path, begin: Path) -> None:
        self._loop, self._report, self._begin = loop, report, begin
        self._cpu, self._wall = time.thread_time(), time.perf_counter()
        self._longest = Held(0.0, 0.0)
        self._since = ""
        self._next_look = 0.0
        self.beat()

    def __repr__(self) -> str:
        return f"<Heartbeat longest={self._longest}>"

    def beat(self) -> None:
        """Note how long it has been since the last beat, and ask for the next."""
        cpu, wall = time.thread_time(), time.perf_counter()
        if self._since:
            self._note((cpu - self._cpu) * 1e3, (wall - self._wall) * 1e3)
        if wall > self._next_look:
            self._next_look = wall + 0.02
            self._look()
        # Read again: the test's own work is not the product's.
        self._cpu, self._wall = time.thread_time(), time.perf_counter()
        self._loop.call_later(_BEAT, self.beat)

    def _look(self) -> None:
        """Begin, or begin again, when the test has said so."""
        try:
            since = self._begin.read_text()
        except FileNotFoundError:
            return
        if since != self._since:
            self._since, self._longest = since, Held(0.0, 0.0)

    def _note(self, cpu: float, wall: float) -> None:
        before = self._longest
        if cpu > before.cpu:
            slowness = _slowness() if cpu > _WORTH_MEASURING else 1.0
            if cpu / slowness > before.cpu:
                self._longest = before._replace(cpu=cpu / slowness, slowness=slowness)
        if wall > before.wall:
            self._longest = self._longest._replace(wall=wall)
        if self._longest != before:
            self._write()

    def _write(self) -> None:
        beside = self._report.with_suffix(".new")
        with suppress(OSError):
            beside.write_text(json.dumps(self._longest))
            beside.replace(self._report)


def _main() -> int:
    from dmcp import app  # noqa: PLC0415 - tests that only read the report need nothing of dmcp
    from dmcp.__main__ import main  # noqa: PLC0415 - likewise

    report, begin = Path(os.environ.pop(_REPORT)), Path(os.environ.pop(_SETTLED))
    make = app._loop_factory() or asyncio.new_event_loop

    def watched() -> asyncio.AbstractEventLoop:
        loop = make()
        loop.call_soon(Heartbeat, loop, report, begin)
        return loop

    app._loop_factory = lambda: watched  # type: ignore[assignment,return-value]
    return main()


if __name__ == "__main__":
    sys.path.pop(0)  # this directory: its modules are the tests', not the product's
    sys.exit(_main())
