"""Work on large messages in slices, so that one actor's large message holds up nobody else.

The actor that is working takes nothing more from the peer until it is done: what arrives meanwhile waits, in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dmcp.actors.dispatch import Dispatcher
from dmcp.messages.lifecycle import SlicesDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.actors.runtime import LoopActor
    from dmcp.protocol.scan import Steps

T = TypeVar("T")
_TURN: Final = 0.004  # seconds of work before the loop has its turn


class Slices:
    """One actor's work in slices, and what waits for its end.

    Args:
        actor: whose; ``SlicesDone`` is sent to it, and what waited is given to its ``on_receive``.
        pause: is told with True to stop reading from the peer when work begins, with False when it has ended.
        owner: comes back in ``SlicesDone``, for an actor with several peers.

    Attributes:
        busy: whether there is work; then messages of the peer belong into ``defer``.
    """

    __slots__ = ("_actor", "_owner", "_pause", "_task", "_then", "_waiting", "_works", "busy")

    def __init__(self, actor: LoopActor, pause: Callable[[bool], None], owner: int = 0) -> None:
        self.busy = False
        self._owner = owner
        self._task: asyncio.Task[Any] | None = None
        self._actor = actor
        self._pause = pause
        self._then: Callable[[Any], None] | None = None
        self._works: deque[tuple[Steps[Any] | None, Callable[[Any], None]]] = deque()
        self._waiting: deque[object] = deque()

    def __repr__(self) -> str:
        return f"<Slices busy={self.busy} waiting={len(self._waiting)}>"

    def begin(self, work: Steps[T] | None, then: Callable[[T], None]) -> None:
        """Do the work over several turns of the loop, and then call ``then`` in the actor with what it returned.

        ``None`` stands for work that does nothing itself, and only lets the others have a turn; it waits for no other
        actor's work. Works that are begun while another one is done (by two answers in one batch, say) are done in
        their order.
        """
        self._works.append((work, then))
        if not self.busy:
            self.busy = True
            self._pause(True)
            self._start_next()

    def _start_next(self) -> None:
        work, self._then = self._works.popleft()
        doing = asyncio.sleep(0) if work is None else _in_slices(work)
        self._task = self._actor.spawn(doing, lambda done: SlicesDone(done.value, done.error, self._owner))

    def close(self) -> None:
        """Drop the work and what waits for it: the peer is gone."""
        self._works.clear()
        self._waiting.clear()
        self._then = None
        if self._task is not None:
            self._task.cancel()

    def defer(self, message: object) -> None:
        """Keep a message of the peer until the work is done."""
        self._waiting.append(message)

    def on_done(self, message: SlicesDone) -> None:
        """Take what the work returned, and what has waited for it."""
        then, self._then = self._then, None
        if message.error is not None:  # a bug: peers' faults are values
            raise message.error
        if then is not None:
            then(message.value)
        if self._works:
            self._start_next()
        else:
            self.busy = False
            self._go_on()

    def _go_on(self) -> None:
        until = time.perf_counter() + _TURN
        while not self.busy and self._waiting and not self._actor.actor_stopped.is_set():
            if time.perf_counter() > until:
                self.begin(None, lambda _: None)  # the others have a turn first
                return
            self._actor.on_receive(self._waiting.popleft())
        if not self.busy:
            self._pause(False)


async def _in_slices(work: Steps[T]) -> T:
    # One at a time: ten peers with large messages would otherwise hold the loop ten times as long in each turn.
    async with Dispatcher.running().slicing:
        while True:
            until = time.perf_counter() + _TURN
            while time.perf_counter() < until:
                try:
                    next(work)
                except StopIteration as done:
                    result: T = done.value
                    return result
            await asyncio.sleep(0)
