"""Turns figures into the table of budgets, on the terminal and in ``docs/performance.md``. It measures nothing."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Samples = dict[str, list[float]]  # the figure's name, and its value in each round
OURS, THEIRS, FLOOR = "dmcp", "predecessor", "direct httpx"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Budget:
    """One row of the table.

    Attributes:
        key: the figure's name.
        what: the row's title.
        unit: of the figures.
        limit: of the ratio ours/theirs, or of our figure itself where ``absolute``.
        at_least: whether more is better.
        absolute: whether the limit is for our figure, not for the ratio.
        against: whose figure the ratio is made with.
    """

    key: str
    what: str
    unit: str
    limit: float
    at_least: bool = False
    absolute: bool = False
    against: str = THEIRS


BUDGETS: Final = (
    Budget("p50", "sequential call, p50", "µs", 0.8),
    Budget("p99", "sequential call, p99", "µs", 1.0),
    Budget("rate", "calls/s, 64 in flight, one upstream", "/s", 4.0, at_least=True),
    Budget("megabyte", "1 MB result", "ms", 0.9),
    Budget("fan_out", "20 concurrent 200 ms calls over 4 upstreams", "ms", 0.08),
    Budget("slow_boot", "10 upstreams that boot in 0.5 s each, all answering", "ms", 0.2),
    Budget(
        "start",
        "start to first `initialize` answer, against `python -c pass`",
        "ms",
        8.0,
        against="bare python",
    ),
    Budget("memory", "resident memory after that load", "MB", 45.0, absolute=True),
    Budget("json.p50", "HTTP, JSON answers: p50", "µs", 1.0),
    Budget("json.rate", "HTTP, JSON answers: calls/s, 64 in flight", "/s", 3.0, at_least=True),
    Budget("sse.p50", "HTTP, SSE answers: p50", "µs", 1.0),
    Budget("sse.rate", "HTTP, SSE answers: calls/s, 64 in flight", "/s", 3.0, at_least=True),
)


def table(samples: Mapping[str, Samples]) -> str:
    """The budgets as a markdown table; rows that were not measured are left out.

    Args:
        samples: by contender ("bare python" is one), by figure, the value of each round.
    """
    head = ["what", "dmcp", "predecessor", "direct httpx", "ratio", "budget", ""]
    lines = [head, ["---"] * len(head)]
    lines += [_row(budget, samples) for budget in BUDGETS if budget.key in samples.get(OURS, {})]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(budget: Budget, samples: Mapping[str, Samples]) -> list[str]:
    ours = median(samples[OURS][budget.key])
    other = samples.get(budget.against, {}).get(budget.key)
    ratio = ours / median(other) if other else None
    judged = ours if budget.absolute else ratio
    sign = ">=" if budget.at_least else "<="
    unit = (
        f" {budget.unit}" if budget.absolute else f" x {budget.against}" if budget.against != THEIRS else ""
    )
    shown = [_figure(samples.get(name, {}).get(budget.key), budget.unit) for name in (OURS, THEIRS, FLOOR)]
    verdict = "" if judged is None else _verdict(judged, budget)
    return [budget.what, *shown, f"{ratio:.2f}" if ratio else "", f"{sign} {budget.limit:g}{unit}", verdict]


def _verdict(judged: float, budget: Budget) -> str:
    met = judged >= budget.limit if budget.at_least else judged <= budget.limit
    return "met" if met else "**not met**"


def _figure(values: Sequence[float] | None, unit: str) -> str:
    if not values:
        return ""
    middle = median(values)
    return f"{middle:,.0f} {unit}" if middle >= 100 else f"{middle:.1f} {unit}"  # noqa: PLR2004 - three digits


def machine(rounds: int, scale: float) -> str:
    """What the figures were measured on, in one sentence."""
    cores = os.cpu_count()
    busy = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return (
        f"{today}, {platform.system()} {platform.machine()}, {cores} cores, "
        f"{platform.python_implementation()} {platform.python_version()}, {rounds} rounds of each in turn, "
        f"scale {scale:g}{busy}."
    )


def write(page: Path, text: str) -> None:
    """Replace the figures in a page between its two markers.

    Raises:
        ValueError: the page has no markers.
    """
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{page} has no markers {_BEGIN} and {_END}")
    page.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
