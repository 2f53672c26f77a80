"""``python -m benchmarks``: sets the contenders up, measures them in turn, prints the table of budgets.

Linux and macOS. On a machine that does other things too the absolute figures wander, the ratios much less: every
round measures every contender, and the medians over the rounds are compared.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import against, http, report, scenarios
from benchmarks.contenders import ROOT, Contender, predecessor, project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.scenarios import Figures

_PAGE = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 1 if a measurement failed."""
    options = _options().parse_args(arguments)
    rounds, scale = (2, 0.2) if options.quick else (options.rounds, 1.0)
    if options.against:
        print(against.table(against.compare(options.against, scale), options.against))
        return 0
    contenders = [Contender(report.OURS, tuple(options.command)) if options.command else project()]
    if not options.alone:
        contenders.append(predecessor())
    bench = _Bench()
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        # Whoever comes second finds warmer caches: take turns.
        for contender in contenders if number % 2 == 0 else contenders[::-1]:
            bench.stdio(contender, scale)
            if not options.no_http:
                bench.http(contender, scale)
        bench.references(scale, with_http=not options.no_http)
    text = f"{report.table(bench.samples)}\n\nMeasured {report.machine(rounds, scale)}"
    print(text)
    if options.write:
        report.write(_PAGE, text)
    return 1 if bench.failed else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure dmcp beside its predecessor."
    )
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds: shows what is badly wrong, no more"
    )
    parser.add_argument(
        "--against", metavar="REV", help="measure the processor time of a call beside this commit's (Linux)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--alone", action="store_true", help="leave the predecessor out")
    parser.add_argument("--no-http", action="store_true", help="leave the Streamable HTTP rows out")
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    parser.add_argument("--command", nargs="+", help="measure this command instead of the working tree")
    return parser


class _Bench:
    """Collects figures; a measurement that fails is reported and leaves the others alone."""

    def __init__(self) -> None:
        self.samples: dict[str, report.Samples] = {}
        self.failed = False

    def __repr__(self) -> str:
        return f"<_Bench of {', '.join(self.samples)}>"

    def stdio(self, contender: Contender, scale: float) -> None:
        """All rows over stdio."""
        name = contender.name
        self._take(name, partial(scenarios.load, contender, scale))
        self._take(name, partial(scenarios.fan_out, contender))
        self._take(name, partial(scenarios.slow_boot, contender))
        for _ in range(3):
            self._take(name, partial(scenarios.first_answer, contender))

    def http(self, contender: Contender, scale: float) -> None:
        """All rows over Streamable HTTP."""
        for form in http.FORMS:
            self._take(contender.name, partial(http.through, contender, form, scale), f"{form}.")

    def references(self, scale: float, *, with_http: bool) -> None:
        """What the contenders are compared with besides each other."""
        for _ in range(3):
            self._take("bare python", lambda: {"start": scenarios.bare_python()})
        for form in http.FORMS if with_http else ():
            self._take(report.FLOOR, partial(http.direct, form, scale), f"{form}.")

    def _take(self, name: str, measure: Callable[[], Figures], prefix: str = "") -> None:
        try:
            figures = measure()
        except (RuntimeError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            self.failed = True
            return
        for key, value in figures.items():
            self.samples.setdefault(name, {}).setdefault(prefix + key, []).append(value)


if __name__ == "__main__":
    sys.exit(main())
