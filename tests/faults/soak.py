"""A soak: twenty servers with random faults, random reloads, fifty calls in flight; nothing lost, nothing twice.

By hand for any length of time: ``python tests/faults/soak.py --seconds 3600 [--seed N]``. It prints its figures and
ends with status 1 if a promise was broken. ``test_soak.py`` runs a short one. The seed reproduces what is asked and
what goes wrong in each server, not in which order it happens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # as a program it finds the test rooms itself
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from dmcp.fault.journal import read_journal
from dmcp.fault.script import build
from faults.faulty import faulty, journal, lives
from harness.child import Child
from harness.configs import write_config
from harness.raw import dmcp_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.configs import Entry

UPSTREAMS = 20
IN_FLIGHT = 50
LONGEST = 60.0  # seconds: more than every deadline an answer can meet, one after the other
RELOAD_EVERY = 1.5  # seconds, on average
SWIFT = {
    "timeout": {"tools": "3s", "resources": "3s", "prompts": "3s", "connect": "15s"},
    "restart": {"backoff_min": "100ms", "backoff_max": "2s", "intensity": 100_000},
}
MISHAPS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("crash", "call", {"when": "before"}),
    ("crash", "call", {"when": "during"}),
    ("crash", "call", {"when": "unanswered"}),
    ("exit", "call", {"when": "after"}),
    ("exit", "list", {}),
    ("hang", "call", {"scope": "request"}),
    ("slow", "call", {"delay": {"uniform": [0.0, 0.5]}}),
    ("garbage", "call", {"kind": "binary"}),
    ("half", "call", {}),
    ("split", "call", {}),
    ("duplicate", "call", {"copies": 3}),
    ("reorder", "call", {}),
    ("drop", "call", {}),
    ("late", "call", {"delay": {"fixed": 4.0}}),
    ("misaddress", "call", {}),
    ("malformed", "call", {}),
    ("flood", "call", {"count": 200}),
    ("close_output", "call", {}),
    ("error", "initialise", {}),
    ("refuse", "connect", {}),
)
"""What may go wrong, each in one server, with a small probability at every moment that fits."""


@dataclass(slots=True)
class Figures:
    """What a soak was, and what it found. ``broken`` holds a sentence for each promise that was not kept."""

    seed: int
    seconds: float = 0.0
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    reloads: int = 0
    processes: int = 0
    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """The figures for a person; of the samples only the first, the highest and the last."""
        found: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        for name in ("megabytes", "files"):
            samples = found[name]
            found[name] = {"first": samples[:3], "highest": max(samples), "last": samples[-3:]}
        return found


class SoakClient(Child):
    """A client that keeps nothing but what is open, so that it can run for days."""

    def __init__(self, command: Sequence[str], figures: Figures, **named: Any) -> None:
        super().__init__(command, **named)
        self._figures = figures
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The whole answer."""
        self._number += 1
        number = self._number
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        self._say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        async with asyncio.timeout(LONGEST):
            return await answer

    def notify(self, method: str) -> None:
        self._say({"jsonrpc": "2.0", "method": method})

    def _say(self, message: dict[str, Any]) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def on_line(self, line: bytes) -> None:
        self.lines.clear()
        self.forget_stderr(keep=10_000)
        try:
            message = json.loads(line)
        except ValueError:
            self._figures.broken.append(f"stdout carried something that is no message: {line[:100]!r}")
            return
        if "method" in message:
            return
        answer = self._open.pop(message["id"], None)
        if answer is None:
            self._figures.broken.append(f"answered twice, or never asked: {line[:200]!r}")
        else:
            answer.set_result(message)


class Soak:
    """One run."""

    def __init__(self, room: Path, seconds: float, seed: int) -> None:
        self._room = room
        self._ends = time.monotonic() + seconds
        self._dice = random.Random(seed)
        self.figures = Figures(seed, seconds)
        self._entries = {f"s{number}": self._entry(number) for number in range(UPSTREAMS)}
        self._configured = dict(self._entries)
        self._client = SoakClient(dmcp_command(self._write()), self.figures, env={"DMCP_LOG": "error"})

    def _entry(self, number: int) -> Entry:
        name, phase, arguments = MISHAPS[number % len(MISHAPS)]
        likely = 0.2 if phase in ("connect", "initialise", "list") else 0.03
        fault = build(name, phase, probability=likely, **arguments)
        return faulty(self._room, f"s{number}", fault, **SWIFT)

    def _write(self) -> Path:
        fresh = write_config(self._room / "fresh.json", self._configured)
        return fresh.replace(self._room / "dmcp.json")

    async def run(self) -> Figures:
        """Do it all, and return what was found."""
        async with self._client:
            info = {"name": "soak", "version": "1"}
            hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
            await self._client.request("initialize", hello)
            self._client.notify("notifications/initialized")
            async with asyncio.TaskGroup() as group:
                for number in range(IN_FLIGHT):
                    group.create_task(self._call_on(number))
                group.create_task(self._reload_on())
                group.create_task(self._weigh_on())
            self._configured = dict(self._entries)
            self._write()
        self._look_at_the_journals()
        return self.figures

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    async def _call_on(self, caller: int) -> None:
        count = 0
        while not self._is_over():
            count += 1
            await self._call(f"{caller}.{count}")
            await asyncio.sleep(0.05 * self._dice.random())

    async def _call(self, key: str) -> None:
        group = self._dice.choice(list(self._entries))
        name, args = self._dice.choice((("echo", {"text": key}), ("counter", {"key": key}), ("pid", {})))
        arguments = {"group": group, "name": name, "args": args}
        begun = time.monotonic()
        try:
            answer = await self._client.request(
                "tools/call", {"name": "call_dynamic_tool", "arguments": arguments}
            )
        except TimeoutError:
            self.figures.broken.append(f"{name} of {group} was never answered")
            return
        self.figures.slowest = max(self.figures.slowest, time.monotonic() - begun)
        self.figures.calls += 1
        self._judge(group, name, args, answer)

    def _judge(self, group: str, name: str, args: dict[str, Any], answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.figures.outcomes["failed"] += 1
            if group not in answer["error"]["message"]:
                self.figures.broken.append(f"an error does not name {group}: {answer['error']}")
        elif answer["result"].get("isError"):
            self.figures.outcomes["refused"] += 1  # not configured for the moment
        else:
            self.figures.outcomes["answered"] += 1
            text = answer["result"]["content"][0]["text"]
            if name == "echo" and text != args["text"]:
                self.figures.broken.append(f"{args['text']} was answered with {text}")

    async def _reload_on(self) -> None:
        while not self._is_over():
            await asyncio.sleep(2 * RELOAD_EVERY * self._dice.random())
            name = self._dice.choice(list(self._entries))
            if name in self._configured and self._dice.random() < 0.25:
                del self._configured[name]
            else:
                value = str(self._dice.randrange(10**9))
                self._configured[name] = {**self._entries[name], "env": {"ROUND": value}}
            self._write()
            self.figures.reloads += 1

    async def _weigh_on(self) -> None:
        process = psutil.Process(self._client.pid)
        while not self._is_over():
            self.figures.megabytes.append(round(process.memory_info().rss / 1e6, 1))
            self.figures.files.append(process.num_handles() if sys.platform == "win32" else process.num_fds())
            await asyncio.sleep(1.0)

    def _look_at_the_journals(self) -> None:
        for name in self._entries:
            self.figures.processes += len(lives(self._room, name))
            ran = Counter(e["key"] for e in read_journal(journal(self._room, name)) if e["event"] == "ran")
            twice = [key for key, times in ran.items() if times > 1]
            if twice:
                self.figures.broken.append(f"{name} was made to do the same more than once: {twice[:5]}")


def soak(room: Path, seconds: float, seed: int) -> Figures:
    """Run a soak in a directory of its own and return what was found."""
    return asyncio.run(Soak(room, seconds, seed).run())


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)  # noqa: T201 - for the person
    with tempfile.TemporaryDirectory() as room:
        figures = soak(Path(room), options.seconds, options.seed)
    print(json.dumps(figures.told(), indent=2))  # noqa: T201 - for the person
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
