"""``python -m benchmarks --against REV``: the working tree beside one of its commits, in one run. Linux only.

Both proxies stand at the same time, each in front of an upstream of its own; client, proxies and upstreams are pinned
to one processor, and chunks of calls go to the one and the other in turn. What is compared is the processor time the
proxy itself used, as the kernel counts it in nanoseconds: other work on the machine moves it little, and a ratio less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from benchmarks.client import Client, tool
from benchmarks.contenders import ROOT, STORE, Contender, stdio_upstream, write_config
from benchmarks.http import upstream as http_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK: Final = 500
_MICRO: Final = 1e6
_HALF_MEGABYTE: Final = 500_000
Before, After = "before", "after"
Costs = dict[str, dict[str, tuple[float, float]]]
"""Of each row, of each of the two: microseconds of processor time, and of waiting, for one call."""


def tree(path: Path, name: str) -> Contender:
    """A source tree, run by this interpreter: its environment has to hold what both need."""
    # -P: the directory the benchmark is run from holds the other one.
    return Contender(name, ("env", f"PYTHONPATH={path}", sys.executable, "-P", "-m", "dmcp"))


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A work tree of a commit, as long as it is needed."""
    path = STORE / f"rev-{os.getpid()}"
    STORE.mkdir(exist_ok=True)
    subprocess.run(["git", "worktree", "add", "-q", "--detach", path, revision], cwd=ROOT, check=True)
    try:
        yield path
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", path], cwd=ROOT, check=True)


def compare(revision: str, scale: float) -> Costs:
    """Measure every row."""
    if sys.platform == "linux":  # elsewhere the figures vary more
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with checked_out(revision) as path, http_upstream() as address:
        contenders = (tree(path, Before), tree(ROOT, After))
        remote = {"description": "bench", "type": "http", "url": f"{address}/json"}
        calls = int(20_000 * scale)
        return {
            "sequential call, stdio": _alternate(contenders, stdio_upstream(), calls, _one_by_one),
            "64 in flight, stdio": _alternate(contenders, stdio_upstream(), calls, _pipelined),
            "500 kB result, stdio": _alternate(contenders, stdio_upstream(), calls // 20, _large),
            "500 kB of objects, stdio": _alternate(contenders, stdio_upstream(), calls // 40, _rows),
            "sequential call, HTTP": _alternate(contenders, remote, calls // 4, _one_by_one),
        }


def _one_by_one(client: Client, count: int) -> None:
    params = tool("u0", "echo", text="hello")
    for _ in range(count):
        client.send("tools/call", params)
        client.receive_line()


def _pipelined(client: Client, count: int) -> None:
    client.pipelined(tool("u0", "echo", text="hello"), count, 64)


def _large(client: Client, count: int, name: str = "blob") -> None:
    params = tool("u0", name, bytes=_HALF_MEGABYTE)
    for _ in range(count):
        client.send("tools/call", params)
        if len(client.receive_line()) < _HALF_MEGABYTE:
            raise RuntimeError("the large result was cut")


def _rows(client: Client, count: int) -> None:
    _large(client, count, "rows")


def _alternate(
    contenders: tuple[Contender, ...],
    entry: dict[str, Any],
    calls: int,
    run: Callable[[Client, int], None],
) -> dict[str, tuple[float, float]]:
    config = write_config("against", {"u0": entry})
    spent = {contender.name: [0.0, 0.0] for contender in contenders}
    chunk = min(CHUNK, max(1, calls // 10))
    with ExitStack() as stack:
        clients = {}
        for contender in contenders:
            log = STORE / f"{contender.name}.log"
            client = clients[contender.name] = stack.enter_context(Client(contender.start_with(config), log))
            client.initialize()
            client.wait_for("u0")
            run(client, chunk)
        for turn in range(max(1, calls // chunk)):
            # Whoever comes second finds warmer caches: take turns.
            for name in list(clients)[:: 1 if turn % 2 else -1]:
                client, begun = clients[name], time.perf_counter()
                before = client.processor_time()
                run(client, chunk)
                spent[name][0] += client.processor_time() - before
                spent[name][1] += time.perf_counter() - begun
    done = max(1, calls // chunk) * chunk
    return {name: (cpu / done * _MICRO, wall / done * _MICRO) for name, (cpu, wall) in spent.items()}


def table(costs: Costs, revision: str) -> str:
    """The rows as Markdown."""
    lines = [
        f"| processor time of the proxy for a call | {revision} | this tree | ratio | ratio of the whole way |",
        "|---|---|---|---|---|",
    ]
    for row, of in costs.items():
        (old, old_wall), (new, new_wall) = of[Before], of[After]
        lines.append(
            f"| {row} | {old:,.1f} µs | {new:,.1f} µs | {new / old:.2f} | {new_wall / old_wall:.2f} |"
        )
    return "\n".join(lines)
