"""Actors on the event loop: what a Pykka actor needs to live on asyncio instead of a thread of its own.

With ``dispatch`` and ``futures`` behind it, the only module that knows how actors are scheduled. A ``LoopActor``
is a ``pykka.Actor`` whose inbox is drained by one loop callback shared by all actors. Handlers (``on_receive``) are
plain functions that run to completion on the loop; what has to wait is a task the actor owns (``spawn``) or a timer
(``call_later``), both cancelled when it ends.
However an actor ends, ``on_end`` is called exactly once and the watcher is told if it was a failure.
"""

from __future__ import annotations

import asyncio
import random
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from dmcp.actors.dispatch import Dispatcher, LoopInbox, contained, describe, report
from dmcp.actors.futures import LoopFuture
from dmcp.messages.lifecycle import ChildFailed
from dmcp.protocol.limits import MAX_UNHANDLED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dmcp.messages import Address

__all__ = [
    "Dispatcher",
    "LoopActor",
    "LoopFuture",
    "LoopInbox",
    "TaskResult",
    "Watch",
    "jitter",
    "post",
    "stop",
]

T = TypeVar("T")
_BATCH = 64  # messages an actor handles before the next one has its turn


class Watch(NamedTuple):
    """Who is told when an actor fails, and under which name."""

    watcher: Address
    child: str
    generation: int = 0


class TaskResult(NamedTuple, Generic[T]):
    """How an owned task ended: exactly one of the two is set (``value`` may be a legitimate ``None``)."""

    value: T | None = None
    error: BaseException | None = None


class LoopRef(pykka.ActorRef[Any]):
    """The address of an actor on the loop."""

    def __init__(self, actor: LoopActor) -> None:
        super().__init__(actor)
        self._inbox = actor.inbox

    def tell(self, message: Any) -> None:
        """Put the bare message into the inbox: only what is asked (``ask``) needs an envelope with the way back.

        Raises:
            ActorDeadError: the actor has ended.
        """
        inbox = self._inbox
        if inbox.closed:
            raise pykka.ActorDeadError(f"{self} has ended")
        inbox.messages.append(message)
        if not inbox.queued:
            inbox.wake()


class LoopActor(pykka.Actor):
    """An actor that lives on the event loop."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__()
        self.inbox = cast("LoopInbox", self.actor_inbox)  # see _create_actor_inbox
        self._actor_ref = LoopRef(self)
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
        self.inbox.open(self, Dispatcher.running())
        try:
            self.on_start()
        except BaseException as error:  # noqa: BLE001 - the runtime's error boundary
            self._fail(error)

    def drain(self, until: float) -> int:
        """Handle what waits, a batch at most. Called by the dispatcher on the loop; returns how many it was.

        Args:
            until: when the others have their turn, by ``perf_counter``.
        """
        inbox, handled = self.inbox, 0
        messages = inbox.messages
        try:
            while messages and handled < _BATCH and not self._ended:
                handled += 1
                message = messages.popleft()
                if type(message) is Envelope or type(message) is _ActorStop:
                    self._handle_special(message)
                else:
                    try:
                        self.on_receive(message)
                    except BaseException as error:  # noqa: BLE001 - the runtime's error boundary
                        self._fail(error)
                if messages and perf_counter() > until:
                    break
            if self._ended:
                self._drain_dead_letters()
        finally:  # whatever went wrong: what comes later is drained
            inbox.queued = False
            if messages:
                inbox.wake()
            if inbox.when_low and len(messages) < MAX_UNHANDLED // 4:
                actions, inbox.when_low = inbox.when_low, set()
                for action in actions:
                    action()
        return handled or 1

    def _drain_dead_letters(self) -> None:
        """What still waits when the actor has ended: askers get an error, the rest is the actor's to hand on."""
        while self.inbox.messages:
            message = self.inbox.messages.popleft()
            if type(message) is not Envelope:
                self._deliver_dead_letter(message)
            elif message.reply_to is not None:
                error = pykka.ActorDeadError(f"{self.actor_ref} has ended")
                message.reply_to.set_exception((type(error), error, None))

    def _deliver_dead_letter(self, message: object) -> None:
        """Call ``on_dead_letter``; an error in it concerns this message alone."""
        try:
            self.on_dead_letter(message)
        except BaseException as error:  # noqa: BLE001 - the runtime's error boundary
            report(f"{type(self).__name__} failed with a message after its end", error, self._label())

    def _handle_special(self, message: Any) -> None:
        """Handle what was asked, and ``_ActorStop``."""
        reply_to = None
        if type(message) is Envelope:
            message, reply_to = message.message, message.reply_to
        try:
            response = self._on_stop_message() if type(message) is _ActorStop else self.on_receive(message)
        except BaseException as error:  # noqa: BLE001 - the runtime's error boundary
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

    def _on_stop_message(self) -> Any:
        self.end()

    def spawn(
        self, work: Coroutine[Any, Any, T], ended: Callable[[TaskResult[T]], object] | None = None
    ) -> asyncio.Task[T]:
        """Run a task that lives no longer than this actor.

        Args:
            work: the coroutine.
            ended: makes the message this actor gets when the task has ended by itself; a cancelled task says nothing.
                Without it an error in the task is an error of the actor.
        """
        task = asyncio.get_running_loop().create_task(contained(work))
        self._tasks.add(task)

        def on_done(done: asyncio.Task[T]) -> None:
            self._tasks.discard(done)
            work.close()
            try:
                self._on_task_done(done, ended)
            except BaseException as error:  # noqa: BLE001 - the runtime's error boundary
                self._fail(error)

        task.add_done_callback(on_done)
        return task

    def _on_task_done(self, done: asyncio.Task[T], ended: Callable[[TaskResult[T]], object] | None) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if ended is not None:
            message = ended(TaskResult(error=error) if error else TaskResult(done.result()))
            self._deliver_dead_letter(message) if self._ended else self.actor_ref.tell(message)
        elif error is not None:
            self._fail(error)

    def call_later(
        self, seconds: float, message: object, group: set[asyncio.TimerHandle] | None = None
    ) -> asyncio.TimerHandle:
        """Get ``message`` after so many seconds, unless the handle is cancelled or the actor ends before.

        Args:
            seconds: until then.
            message: the message.
            group: also holds the handle until the timer has fired, for a part of the actor that may end before it.
        """

        def fire() -> None:
            self._timers.discard(handle)
            if group is not None:
                group.discard(handle)
            if not self._ended:
                self.actor_ref.tell(message)

        handle = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(handle)
        if group is not None:
            group.add(handle)
        return handle

    def cancel(self, timer: asyncio.TimerHandle | None) -> None:
        """Cancel a timer of ``call_later``; ``None`` is accepted so that callers need not ask."""
        if timer is not None:
            timer.cancel()
            self._timers.discard(timer)

    def end(self) -> None:
        """End now, after the message being handled. ``on_end`` and ``on_dead_letter`` follow."""
        self._end(None)

    def on_dead_letter(self, message: object) -> None:
        """Hook: a message, or the end of an owned task, that came after the end. Dropped unless overridden."""

    def on_end(self) -> None:
        """Hook: the actor has ended, by ``stop`` or by a failure. Tasks and timers are cancelled already."""

    def _fail(self, error: BaseException) -> None:
        report(f"{type(self).__name__} failed", error, self._label())
        self._end(error)

    def _label(self) -> str:
        return self._watch.child if self._watch else "dmcp"

    def _end(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        self.inbox.closed = True
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        try:
            self.on_end()
        except BaseException as second:  # noqa: BLE001 - the runtime's error boundary
            report(f"{type(self).__name__} failed while ending", second, self._label())
        if error is not None and self._watch is not None:
            failed = ChildFailed(self._watch.child, self._watch.generation, describe(error))
            post(self._watch.watcher, failed)


def jitter() -> float:
    """Return a random number from 0 to 1 that spreads retries."""
    return random.random()  # noqa: S311 - it keeps no secret


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
