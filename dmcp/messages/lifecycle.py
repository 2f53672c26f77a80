"""What the runtime tells the watcher of an actor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class ChildFailed:
    """An actor ended because of an error of its own: a bug, not an upstream's trouble."""

    child: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ChildStopped:
    """An actor that was asked to stop has ended, and nothing of it is left."""

    child: str
    generation: int
