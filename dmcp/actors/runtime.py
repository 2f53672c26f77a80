"""Actors on the event loop: what a Pykka actor needs to live on asyncio instead of a thread of its own.

The only module that knows how actors are scheduled. A ``LoopActor`` is a ``pykka.Actor`` whose inbox is drained by
one loop callback shared by all actors. Handlers (``on_receive``) are plain functions that run to completion on the
loop; what has to wait is a task the actor owns (``own``) or a timer (``later``), both cancelled when it ends.
However an actor ends, ``on_end`` is called exactly once and the watcher is told if it was a failure.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import pykka
from pykka.messages import _ActorStop

from dmcp import log
from dmcp.messages.lifecycle import ChildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from pykka._envelope import Envelope

    from dmcp.messages import Address

T = TypeVar("T")
_BATCH = 64  # messages an actor handles before the next one has its turn
_TURN = 1024  # messages handled before the loop looks at its pipes again

ExcInfo = tuple[type[BaseException] | None, BaseException | None, "TracebackType | None"]


class LoopFuture(pykka.Future[T]):
    """The answer to an ``ask``. ``await`` really waits; ``get`` never blocks the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<LoopFuture {'done' if self._done.done() else 'pending'}>"

    def get(self, *, timeout: float | None = None) -> T:
        """The value, if it is there already.

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


class Dispatcher:
    """Drains the inboxes of all actors of one loop. Also keeps the work that outlives the actor that began it."""

    _of_loop: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Dispatcher]] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._ready: deque[LoopActor] = deque()
        self._scheduled = False
        self._afterwards: list[Callable[[], None]] = []
        self._last_rites: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Dispatcher ready={len(self._ready)} last_rites={len(self._last_rites)}>"

    @classmethod
    def running(cls) -> Dispatcher:
        """The dispatcher of the running loop."""
        loop = asyncio.get_running_loop()
        found = cls._of_loop.get(loop)
        if found is None:
            found = cls._of_loop[loop] = cls(loop)
        return found

    def schedule(self, actor: LoopActor) -> None:
        """Have the actor's inbox drained soon. Callable from any thread."""
        if threading.get_ident() == self._thread:
            self._enqueue(actor)
        else:
            self._loop.call_soon_threadsafe(self._enqueue, actor)

    def _enqueue(self, actor: LoopActor) -> None:
        self._ready.append(actor)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        ready, left = self._ready, _TURN
        while ready and left > 0:
            left -= ready.popleft().drain()
        self._scheduled = bool(ready)
        if ready:
            self._loop.call_soon(self._drain)
        afterwards, self._afterwards = self._afterwards, []
        for action in afterwards:
            action()

    def after_turn(self, action: Callable[[], None]) -> None:
        """Run ``action`` when the actors have had their turn: what was written meanwhile goes out as one."""
        self._afterwards.append(action)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def see_off(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that belongs to nobody any more, such as closing a dead actor's link. ``settled`` waits for it."""
        task = self._loop.create_task(work)
        self._last_rites.add(task)
        task.add_done_callback(self._last_rites.discard)

    async def settled(self) -> None:
        """Return when all of ``see_off``'s work is done."""
        while self._last_rites:
            await asyncio.wait(set(self._last_rites))


class LoopInbox:
    """An actor's inbox. Unbounded: every sender is bounded at its own source (see docs/architecture.md)."""

    __slots__ = ("_actor", "_dispatcher", "_envelopes", "queued")

    def __init__(self) -> None:
        self._envelopes: deque[Envelope[Any]] = deque()
        self._actor: LoopActor | None = None
        self._dispatcher: Dispatcher | None = None
        self.queued = False

    def __repr__(self) -> str:
        return f"<LoopInbox {len(self._envelopes)}>"

    def open(self, actor: LoopActor, dispatcher: Dispatcher) -> None:
        """From now on what arrives is handled; what has arrived is handled first."""
        self._actor, self._dispatcher = actor, dispatcher
        if self._envelopes:
            self._wake()

    def put(self, envelope: Envelope[Any], /) -> None:
        """Take a message and wake the actor. Callable from any thread."""
        self._envelopes.append(envelope)
        if not self.queued:
            self._wake()

    def _wake(self) -> None:
        if self._actor is not None and self._dispatcher is not None:
            self.queued = True
            self._dispatcher.schedule(self._actor)

    def get(self) -> Envelope[Any]:
        """The next message; IndexError when there is none: an actor on the loop never waits for one."""
        return self._envelopes.popleft()

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._envelopes


class Watch(NamedTuple):
    """Who is told when an actor fails, and under which name."""

    watcher: Address
    child: str
    generation: int = 0


class Outcome(NamedTuple, Generic[T]):
    """How an owned task ended: exactly one of the two is set (``value`` may be a legitimate ``None``)."""

    value: T | None = None
    error: BaseException | None = None


class LoopActor(pykka.Actor):
    """An actor that lives on the event loop."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__()
        self._watch = watch
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._ended = False

    @staticmethod
    def _create_actor_inbox() -> LoopInbox:
        return LoopInbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return LoopFuture()

    def _start_actor_loop(self) -> None:
        inbox = self.actor_inbox
        if isinstance(inbox, LoopInbox):
            inbox.open(self, Dispatcher.running())
        try:
            self.on_start()
        except Exception as error:  # noqa: BLE001 - the runtime's error boundary
            self._fail(error)

    def drain(self) -> int:
        """Handle what waits, a batch at most. Called by the dispatcher on the loop; returns how many it was."""
        inbox, handled = self.actor_inbox, 0
        while handled < _BATCH and not inbox.empty() and not self._ended:
            handled += 1
            self._handle(inbox.get())
        if self._ended:
            self._turn_away()
        if isinstance(inbox, LoopInbox):
            inbox.queued = False
            if not inbox.empty():
                inbox._wake()  # noqa: SLF001 - inbox and actor are one mechanism
        return max(handled, 1)

    def _turn_away(self) -> None:
        """What still waits when the actor has ended: askers get an error, the rest is the actor's to hand on."""
        while not self.actor_inbox.empty():
            envelope = self.actor_inbox.get()
            if envelope.reply_to is not None:
                error = pykka.ActorDeadError(f"{self.actor_ref} has ended")
                envelope.reply_to.set_exception((type(error), error, None))
            else:
                self.on_leftover(envelope.message)

    def _handle(self, envelope: Envelope[Any]) -> None:
        message, reply_to = envelope.message, envelope.reply_to
        try:
            response = self._obey() if isinstance(message, _ActorStop) else self.on_receive(message)
        except Exception as error:  # noqa: BLE001 - the runtime's error boundary
            if reply_to is None:
                self._fail(error)
            else:
                reply_to.set_exception((type(error), error, error.__traceback__))
            return
        if reply_to is not None:
            if isinstance(response, LoopFuture):
                response.chain(reply_to)
            else:
                reply_to.set(response)

    def _obey(self) -> Any:
        self.end()

    def own(
        self, work: Coroutine[Any, Any, T], ended: Callable[[Outcome[T]], object] | None = None
    ) -> asyncio.Task[T]:
        """Run a task that lives no longer than this actor.

        Args:
            work: the coroutine.
            ended: makes the message this actor gets when the task has ended by itself; a cancelled task says nothing.
                Without it an error in the task is an error of the actor.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def on_done(done: asyncio.Task[T]) -> None:
            self._tasks.discard(done)
            if done.cancelled():
                return
            error = done.exception()
            if ended is not None:
                message = ended(Outcome(error=error) if error else Outcome(done.result()))
                self.on_leftover(message) if self._ended else self.actor_ref.tell(message)
            elif isinstance(error, Exception) and not self._ended:
                self._fail(error)

        task.add_done_callback(on_done)
        return task

    def later(self, seconds: float, message: object) -> asyncio.TimerHandle:
        """Get ``message`` after so many seconds, unless the handle is cancelled or the actor ends before."""

        def ring() -> None:
            self._timers.discard(handle)
            if not self._ended:
                self.actor_ref.tell(message)

        handle = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers.add(handle)
        return handle

    def cancel(self, timer: asyncio.TimerHandle | None) -> None:
        """Cancel a timer of ``later``; ``None`` is accepted so that callers need not ask."""
        if timer is not None:
            timer.cancel()
            self._timers.discard(timer)

    def end(self) -> None:
        """End now, after the message being handled. ``on_end`` and ``on_leftover`` follow."""
        self._end(None)

    def on_leftover(self, message: object) -> None:
        """Hook: a message, or the end of an owned task, that came after the end. Dropped unless overridden."""

    def on_end(self) -> None:
        """Hook: the actor has ended, by ``stop`` or by a failure. Tasks and timers are cancelled already."""

    def _fail(self, error: Exception) -> None:
        log.error(f"{type(self).__name__} failed: {type(error).__name__}: {error}", self._label())
        if log.enabled("debug"):
            import traceback  # noqa: PLC0415 - for the one who looks for a fault

            log.debug("".join(traceback.format_exception(error)), self._label())
        self._end(error)

    def _label(self) -> str:
        return self._watch.child if self._watch else "dmcp"

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        try:
            self.on_end()
        except Exception as second:  # noqa: BLE001 - the runtime's error boundary
            log.error(f"{type(self).__name__} failed while ending: {second}", self._label())
        if error is not None and self._watch is not None:
            reason = f"{type(error).__name__}: {error}"
            post(self._watch.watcher, ChildFailed(self._watch.child, self._watch.generation, reason))


def post(address: Address, message: object) -> bool:
    """Tell an actor that may have ended; returns whether it had not."""
    try:
        address.tell(message)
    except pykka.ActorDeadError:
        return False
    return True


def stop(address: Address) -> None:
    """Have an actor end when it has handled what is in its inbox. For actors that have nothing to finish."""
    post(address, _ActorStop())
