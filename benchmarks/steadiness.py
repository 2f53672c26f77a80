"""``python -m benchmarks.steadiness``: reload, a crowd of servers, recovery; the figures of docs/reliability.md.

Beside the predecessor wherever it can do it at all: it does not start a crashed server again.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import report
from benchmarks.client import Client, is_good, tool
from benchmarks.contenders import ROOT, STORE, Contender, predecessor, project, stdio_upstream, write_config
from benchmarks.scenarios import Figures, percentile, sequential

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.report import Samples

_PAGE = ROOT / "docs" / "reliability.md"
_PATIENCE = 60.0  # seconds a change or a recovery may take before it counts as never
_CALLS = 500
_ROWS = (
    ("reload", "reload of 50 servers, one changed: until the new one answers", "ms"),
    ("before", "p99 of a call to another one before the reload", "µs"),
    ("during", "p99 of a call to another one during the reload", "µs"),
    ("failed", "calls to another one that failed during the reload", ""),
    ("crowd", "100 servers of 50 tools: from the start until all have answered", "ms"),
    ("listing", "p50 of `get_dynamic_tools` of one of them", "µs"),
    ("resident", "resident memory in front of them", "MB"),
    ("recovery", "from the crash of a server until it answers a call again", "ms"),
)


def listing_of(group: str) -> dict[str, Any]:
    """The params that ask for a group's tools."""
    return {"name": "get_dynamic_tools", "arguments": {"group": group}}


def reload(contender: Contender) -> Figures:
    """Fifty servers, one of them changed, and what a caller of another one feels of it.

    Raises:
        RuntimeError: the change had no effect within a minute.
    """
    servers = {f"u{i}": stdio_upstream() for i in range(50)}
    config = write_config("fifty", servers)
    with Client(contender.start_with(config), STORE / f"{contender.name}.log") as client:
        client.initialize()
        for group in servers:
            client.wait_for(group)
        before = sequential(client, "u0", _CALLS)["p99"]
        time.sleep(1.0)  # whoever watches the file has begun to by now
        begun = time.perf_counter()
        write_config("fifty", {**servers, "u49": stdio_upstream("--tools", "4")})
        took, failed = [], 0
        while "padding_0" not in str(client.request("tools/call", listing_of("u49"))):
            asked = time.perf_counter()
            failed += not is_good(client.request("tools/call", tool("u0", "echo", text="hello")))
            took.append(time.perf_counter() - asked)
            if asked - begun > _PATIENCE:
                raise RuntimeError("the change had no effect within a minute")
        whole = time.perf_counter() - begun
    during = percentile(took, 0.99) * 1e6 if took else 0.0
    return {"reload": whole * 1e3, "before": before, "during": during, "failed": float(failed)}


def crowd(contender: Contender) -> Figures:
    """A hundred servers with fifty tools each."""
    servers = {f"u{i}": stdio_upstream("--tools", "50") for i in range(100)}
    with Client(
        contender.start_with(write_config("hundred", servers)), STORE / f"{contender.name}.log"
    ) as client:
        client.initialize()
        for group in servers:
            client.wait_for(group)
        whole = time.perf_counter() - client.started
        took = []
        for _ in range(5):
            for group in servers:
                asked = time.perf_counter()
                client.request("tools/call", listing_of(group))
                took.append(time.perf_counter() - asked)
        return {
            "crowd": whole * 1e3,
            "listing": percentile(took, 0.5) * 1e6,
            "resident": client.resident() / 1e6,
        }


def recovery(contender: Contender) -> Figures:
    """One server, killed; nothing is asked until it is dead."""
    with Client(
        contender.start_with(write_config("one", {"u0": stdio_upstream()})), STORE / f"{contender.name}.log"
    ) as client:
        client.initialize()
        client.wait_for("u0")
        servers = [p for p in psutil.Process().children(recursive=True) if "upstream.py" in str(p.cmdline())]
        for server in servers:
            server.kill()
        begun = time.perf_counter()
        client.wait_for("u0")
        return {"recovery": (time.perf_counter() - begun) * 1e3}


def table(samples: dict[str, Samples]) -> str:
    """The medians as a markdown table; "-" is what a contender cannot do."""
    lines = ["| what | dmcp | predecessor |", "|---|---|---|"]
    for key, what, unit in _ROWS:
        cells = [_cell(samples.get(name, {}).get(key), unit) for name in (report.OURS, report.THEIRS)]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float] | None, unit: str) -> str:
    return f"{median(values):,.0f} {unit}".strip() if values else "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 1 if a measurement of dmcp failed."""
    parser = argparse.ArgumentParser("python -m benchmarks.steadiness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="leave the predecessor out")
    parser.add_argument("--write", action="store_true", help="write the table to docs/reliability.md")
    options = parser.parse_args(arguments)
    contenders = [project()] if options.alone else [project(), predecessor()]
    samples: dict[str, Samples] = {}
    failed = False
    for number in range(options.rounds):
        for contender in contenders if number % 2 == 0 else contenders[::-1]:
            measures: list[Callable[[Contender], Figures]] = [reload, crowd]
            if contender.name == report.OURS:
                measures.append(recovery)  # the other one never recovers
            for measure in measures:
                try:
                    figures = measure(contender)
                except (RuntimeError, OSError) as error:
                    print(f"{contender.name}: {measure.__name__}: {error}", file=sys.stderr)
                    failed = failed or contender.name == report.OURS
                    continue
                for key, value in figures.items():
                    samples.setdefault(contender.name, {}).setdefault(key, []).append(value)
    text = f"{table(samples)}\n\nMeasured {report.machine(options.rounds, 1.0)}"
    print(text)
    if options.write:
        report.write(_PAGE, text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
