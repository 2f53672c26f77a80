"""Who runs next: the inboxes of all actors of one loop, drained by one callback. Behind ``dmcp.actors.runtime``."""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from functools import partial
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from weakref import WeakKeyDictionary

from dmcp import log

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
_TURN = 1024  # messages handled before the loop looks at its pipes again
_TURN_TIME = 0.01  # seconds, likewise: a message may be a large one


class Drainable(Protocol):
    """An actor, as far as the dispatcher knows it."""

    def drain(self, until: float) -> int:
        """Handle a batch of what waits, until then (``perf_counter``); returns how many messages it was, at least 1."""


class Dispatcher:
    """Drains the inboxes of all actors of one loop. Also keeps the work that outlives the actor that began it."""

    _of_loop: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Dispatcher]] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()
        self._ready: deque[Drainable] = deque()
        self._scheduled = False
        self._after_drain: list[Callable[[], None]] = []
        self.slicing = asyncio.Lock()
        """Held by the work in slices that has its turn: one large message at a time, whoever sent it."""
        self._background: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Dispatcher ready={len(self._ready)} background={len(self._background)}>"

    @classmethod
    def running(cls) -> Dispatcher:
        """Return the dispatcher of the running loop."""
        loop = asyncio.get_running_loop()
        found = cls._of_loop.get(loop)
        if found is None:
            found = cls._of_loop[loop] = cls(loop)
        return found

    def schedule(self, actor: Drainable) -> None:
        """Have the actor's inbox drained soon. Callable from any thread."""
        if get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.schedule, actor)
            return
        self._ready.append(actor)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        ready, left, until = self._ready, _TURN, perf_counter() + _TURN_TIME
        while ready:
            actor = ready.popleft()
            try:
                left -= actor.drain(until)
            except BaseException as error:  # noqa: BLE001 - the runtime's error boundary: the other actors have their turn
                left -= 1
                report("an actor's messages could not be handled", error)
            if left <= 0 or (ready and perf_counter() > until):
                break
        self._scheduled = bool(ready)
        if ready:
            self._loop.call_soon(self._drain)
        callbacks, self._after_drain = self._after_drain, []
        for action in callbacks:
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - likewise: the other pipes get their frames
                report("writing failed", error)

    def drain_after(self, callback: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return a callback of the loop that lets the actors have their turn at its end, and not in the loop's next."""

        def call(data: bytes) -> None:
            self._scheduled = True  # by what follows
            try:
                callback(data)
            finally:
                self._drain()

        return call

    def call_after_drain(self, action: Callable[[], None]) -> None:
        """Run ``action`` when the actors have had their turn: what was written meanwhile goes out as one."""
        self._after_drain.append(action)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def spawn_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that outlives its actor, such as closing a link; ``wait_background`` waits for it."""
        task = self._loop.create_task(contained(work))
        self._background.add(task)
        task.add_done_callback(partial(self._on_background_done, work))

    def _on_background_done(self, work: Coroutine[Any, Any, None], task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        work.close()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            report(f"{getattr(work, '__qualname__', 'a task')} failed in the background", error)

    async def wait_background(self) -> None:
        """Return when all of ``spawn_background``'s work is done."""
        while self._background:
            await asyncio.wait(set(self._background))


async def contained(work: Coroutine[Any, Any, T]) -> T:
    """Await the work, and turn what would end the whole loop (``SystemExit``, ``KeyboardInterrupt``) into an error.

    The caller closes ``work`` when the task is done: a task cancelled before its first step has never begun it.

    Raises:
        RuntimeError: the work raised one of the two.
    """
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(describe(error)) from error


def describe(error: BaseException) -> str:
    """Return the error's type and text, whatever its own ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - an error that cannot say what it is is still an error
        return f"{type(error).__name__} (which cannot be shown)"


def report(what: str, error: BaseException, label: str = "dmcp") -> None:
    """Log a fault of dmcp's own, with its traceback at level debug. Never raises; runs anywhere."""
    try:
        log.error(f"{what}: {describe(error)}", label)
        if log.enabled("debug"):
            log.debug("".join(traceback.format_exception(error)), label)
    except Exception:  # noqa: BLE001 - the log has failed: there is nobody to tell
        return


def report_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a callback or a forgotten task raised: the loop's exception handler while dmcp serves."""
    what = str(context.get("message") or "an error nobody handled")
    error = context.get("exception")
    if isinstance(error, OSError) and what.startswith("Future "):
        log.debug(
            f"{what}: {error!r}"
        )  # a connection's, of a handshake that was given up: nobody's fault here
    elif isinstance(error, BaseException):
        report(what, error)
    else:
        log.error(what)


class LoopInbox:
    """An actor's inbox: bare messages, and envelopes of what is asked.

    Unbounded: every sender is bounded at its own source (see docs/architecture.md).

    Attributes:
        messages: what waits, oldest first.
        queued: whether the actor is going to be drained.
        closed: whether the actor has ended.
        when_low: called once, when few messages wait again.
    """

    __slots__ = ("_actor", "_dispatcher", "closed", "messages", "queued", "when_low")

    def __init__(self) -> None:
        self.messages: deque[Any] = deque()
        self.queued = self.closed = False
        self.when_low: set[Callable[[], None]] = set()
        self._actor: Drainable | None = None
        self._dispatcher: Dispatcher | None = None

    def __repr__(self) -> str:
        return f"<LoopInbox {len(self.messages)}>"

    def open(self, actor: Drainable, dispatcher: Dispatcher) -> None:
        """From now on what arrives is handled; what has arrived is handled first."""
        self._actor, self._dispatcher = actor, dispatcher
        if self.messages:
            self.wake()

    def put(self, message: Any, /) -> None:
        """Take a message and wake the actor. Callable from any thread."""
        self.messages.append(message)
        if not self.queued:
            self.wake()

    def wake(self) -> None:
        """Have the actor drained soon."""
        if self._actor is not None and self._dispatcher is not None:
            self.queued = True
            self._dispatcher.schedule(self._actor)

    def get(self) -> Any:
        """The next message; IndexError when there is none: an actor on the loop never waits for one."""
        return self.messages.popleft()

    def empty(self) -> bool:
        """Return whether nothing waits."""
        return not self.messages
