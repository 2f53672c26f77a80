"""``python -m benchmarks.scale``: how long one turn of the loop takes in front of a hundred servers; Linux.

Each server has fifty tools, resources and prompts. Three times the longest turn is taken by the heartbeat of
``tests/harness/watched.py``: from the start until all have answered, in a reload that changes five servers and
replaces five, and when ten are killed at once. The processor time is that of a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from benchmarks.client import Client
from benchmarks.contenders import ROOT, STORE, stdio_upstream, write_config

sys.path.insert(0, str(ROOT / "tests"))
from harness.watched import Held, LoopWatch

_ENTRIES: Final = "50"
_BUDGET: Final = 50  # milliseconds
_ROWS: Final = {
    "start": "from the start until all have answered",
    "reload": "a reload: five changed, five gone, five new",
    "crash": "ten killed at once, until all answer again",
}


def server(number: str) -> dict[str, Any]:
    """The entry of a server; another number makes it another server."""
    many = ("--tools", _ENTRIES, "--resources", _ENTRIES, "--prompts", _ENTRIES)
    return {**stdio_upstream(*many), "env": {"NUMBER": number}}


def watched(config: Path) -> tuple[Client, LoopWatch]:
    """A client of a dmcp whose loop is watched from its start on."""
    watch = LoopWatch(Path(tempfile.mkdtemp(dir=STORE)))
    watch.start_watching()
    os.environ.update(watch.env)
    return Client(LoopWatch.command(config), STORE / "scale.log"), watch


def measure(count: int) -> dict[str, Held]:
    """The longest turn in each of the three."""
    servers = {f"u{i}": server("0") for i in range(count)}
    client, watch = watched(write_config("scale", servers))
    found = {}
    with client:
        client.initialize()
        for group in servers:
            client.wait_for(group)
        time.sleep(1.0)  # listings are complete, and who watches the file has begun to
        found["start"] = watch.held()
        watch.start_watching()
        time.sleep(0.1)  # the heartbeat looks every 20 ms
        for i in range(5):
            servers[f"u{i}"] = server("1")
            del servers[f"u{5 + i}"]
            servers[f"n{i}"] = server("0")
        write_config("scale", servers)
        for i in range(5):
            client.wait_for(f"n{i}")
            client.wait_for(f"u{i}")
        time.sleep(1.0)
        found["reload"] = watch.held()
        watch.start_watching()
        time.sleep(0.1)  # the heartbeat looks every 20 ms
        running = [p for p in psutil.Process().children(recursive=True) if "upstream.py" in str(p.cmdline())]
        for process in running[:10]:
            process.kill()
        for group in servers:
            client.wait_for(group)
        time.sleep(1.0)
        found["crash"] = watch.held()
    return found


def main() -> int:
    """Run the command; always 0: it prints, and decides nothing."""
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", type=int, default=100)
    options = parser.parse_args()
    rounds = [measure(options.servers) for _ in range(options.rounds)]
    print(f"| longest turn with {options.servers} servers | processor time | on the clock | budget |")
    print("| --- | --- | --- | --- |")
    for key, what in _ROWS.items():
        cpu, wall = (median(getattr(one[key], clock) for one in rounds) for clock in ("cpu", "wall"))
        print(f"| {what} | {cpu:.0f} ms | {wall:.0f} ms | {_BUDGET} ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
