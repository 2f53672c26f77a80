"""What the runtime tells the watcher of an actor."""

from __future__ import annotations

from typing import NamedTuple


class ChildFailed(NamedTuple):
    """An actor ended because of an error of its own: a bug, not an upstream's trouble."""

    child: str
    generation: int
    reason: str


class ChildStopped(NamedTuple):
    """An actor that was asked to stop has ended, and nothing of it is left."""

    child: str
    generation: int
