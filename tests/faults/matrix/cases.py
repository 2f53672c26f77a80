"""Every fault in every phase over both transports: with which arguments, and which of them must not be noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmcp.fault.script import build, combinations

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.fault.faults import Phase, Transport

ARGUMENTS: dict[str, dict[str, Any]] = {
    "slow": {"delay": {"uniform": [0.02, 0.1]}},
    "late": {"delay": {"fixed": 1.5}},
    "hang": {"ignore_sigterm": True},
    "deaf": {"seconds": 4},
    "drip": {"size": 64, "pause": 0.001},
    "flood": {"count": 300},
    "oversize": {"size": 200_000},  # what is beyond the bound has a test of its own
}
"""What differs from the defaults, so that a run does not take for ever."""

_WAKES_UP: dict[str, Any] = {"seconds": 4}
"""A hang that is not found out by the connect deadline costs ten seconds of silence: in one phase that is enough."""

HARMLESS = frozenset({"slow", "drip", "split", "oversize", "duplicate", "reorder", "flood", "ask", "orphan"})
"""Faults a client of dmcp must not notice. Over stdio, lines that are no messages are among them."""

_NOT_DMCPS = frozenset({"orphan"})
"""Faults of a process that is not dmcp's own over HTTP: whoever started the server has to clean up after it."""


def faults_of(phase: Phase, transport: Transport) -> list[str]:
    """The faults that act in this phase over this transport."""
    names = [name for name, on, over in combinations() if (on, over) == (phase, transport)]
    return [name for name in names if transport == "stdio" or name not in _NOT_DMCPS]


def case(name: str, phase: Phase, trouble: Path) -> Any:
    """The fault, acting for as long as the file ``trouble`` exists."""
    wakes_up = _WAKES_UP if name == "hang" and phase in ("list", "notify") else {}
    return build(name, phase, while_exists=str(trouble), **ARGUMENTS.get(name, {}), **wakes_up)


def must_be_answered(name: str, transport: Transport) -> bool:
    """Whether calls have to succeed in spite of the fault."""
    return name in HARMLESS or (name == "garbage" and transport == "stdio")
