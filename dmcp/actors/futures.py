"""The answer to an ``ask``, on the event loop: Pykka's own future would block every actor there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pykka

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class LoopFuture(pykka.Future[T]):
    """The answer to an ``ask``. ``await`` really waits; ``get`` never blocks the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<LoopFuture {'done' if self._done.done() else 'pending'}>"

    def get(self, *, timeout: float | None = None) -> T:
        """Return the value, if it is there already.

        Raises:
            RuntimeError: it is not: waiting here would block every actor.
        """
        del timeout
        if not self._done.done():
            raise RuntimeError("an actor on the loop must not block: await the future instead")
        return self._done.result()

    def set(self, value: T | None = None) -> None:
        """Answer. Ignored when the asker has given up."""
        if not self._done.done():
            self._done.set_result(value)  # type: ignore[arg-type]  # Pykka's own signature allows None for T

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error (a ``sys.exc_info`` triple). Ignored when the asker has given up."""
        error = exc_info[1] if exc_info else None
        if error is not None and (not isinstance(error, Exception) or isinstance(error, StopIteration)):
            # None of these may be raised where the answer is awaited: it would end the asker, or the whole loop.
            error = RuntimeError(f"{type(error).__name__} in an actor")
        if not self._done.done():
            self._done.set_exception(error or pykka.ActorDeadError("no answer"))

    def chain(self, onward: pykka.Future[T]) -> None:
        """Give the answer, when it comes, to another future too."""

        def pass_on(done: asyncio.Future[T]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                onward.set_exception((type(error), error, error.__traceback__))
            elif done.cancelled():
                onward.set_exception()
            else:
                onward.set(done.result())

        self._done.add_done_callback(pass_on)

    def __await__(self) -> Generator[Any, None, T]:
        return self._done.__await__()
