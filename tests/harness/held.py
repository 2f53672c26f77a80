"""A real dmcp process whose event loop blocks when a file appears: in Python, or in one regular expression.

Run as a program: ``held.py HOW FILE CONFIG``; HOW is "python" or "pattern". It is ``dmcp CONFIG`` until FILE is there.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

_LOOK = 0.05  # seconds


def _hold(how: str, file: str) -> None:
    Path(f"{file}.held").write_text("the loop is held from now on")
    if how == "pattern":
        re.match(r"(a|a|ab)*c", "ab" * 100 + "a" * 100)
    while True:
        pass


def main() -> int:
    """Run dmcp on a loop with the trap."""
    from dmcp import app  # noqa: PLC0415 - the path is put right first
    from dmcp.__main__ import main as dmcp  # noqa: PLC0415 - likewise

    _, how, file, config = sys.argv
    make = app._loop_factory() or asyncio.new_event_loop

    def trapped() -> asyncio.AbstractEventLoop:
        loop = make()

        def look() -> None:
            if Path(file).exists():
                _hold(how, file)
            loop.call_later(_LOOK, look)

        loop.call_soon(look)
        return loop

    app._loop_factory = lambda: trapped  # type: ignore[assignment,return-value]
    sys.argv = ["dmcp", config]
    return dmcp()


if __name__ == "__main__":
    sys.path.pop(0)  # this directory: its modules are the tests', not the product's
    sys.exit(main())
