"""What the runtime tells the watcher of an actor, and an actor of its own work."""

from __future__ import annotations

from typing import Any, NamedTuple


class ChildFailed(NamedTuple):
    """An actor ended because of an error of its own: a bug, not an upstream's trouble."""

    child: str
    generation: int
    reason: str


class SlicesDone(NamedTuple):
    """From an actor's own work on a large message: what it returned, or the bug that ended it.

    Attributes:
        value: what it returned.
        error: the bug.
        owner: the number of the connection the message came over; 0 where there is only one.
    """

    value: Any
    error: BaseException | None
    owner: int = 0


class ChildStopped(NamedTuple):
    """An actor that was asked to stop has ended, and nothing of it is left."""

    child: str
    generation: int
