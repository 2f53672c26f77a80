"""Actors on the loop: asking, failing, ending, owning tasks, and being told from elsewhere."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from dmcp.actors.dispatch import Dispatcher
from dmcp.actors.runtime import LoopActor, Watch, post, stop
from dmcp.actors.slices import Slices
from dmcp.messages.lifecycle import ChildFailed, SlicesDone
from unit.actors.fakes import Inbox

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio


class Probe(LoopActor):
    """Does what it is told: a callable is called with the actor, everything else is kept."""

    def __init__(self, watch: Watch | None = None, *, fail_on_start: bool = False) -> None:
        super().__init__(watch)
        self.fail_on_start = fail_on_start
        self.seen: list[Any] = []
        self.left: list[Any] = []
        self.ends = 0

    def on_start(self) -> None:
        if self.fail_on_start:
            raise LookupError("no start")

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.seen.append(message)
        return message

    def on_dead_letter(self, message: object) -> None:
        self.left.append(message)

    def on_end(self) -> None:
        self.ends += 1


def started(**options: Any) -> tuple[pykka.ActorRef[Probe], Probe]:
    ref = Probe.start(**options)
    actor = ref._actor_weakref()
    assert actor is not None
    return ref, actor


async def turns() -> None:
    """Let everything that is ready on the loop happen."""
    for _ in range(5):
        await asyncio.sleep(0)


def fail(_: Probe) -> None:
    raise LookupError("on purpose")


async def test_an_ask_is_answered_with_what_the_handler_returns() -> None:
    ref, _ = started()
    assert await ref.ask("x", block=False) == "x"
    stop(ref)


async def test_messages_are_handled_in_order_and_a_whole_flood_of_them() -> None:
    ref, actor = started()
    for number in range(5000):
        ref.tell(number)
    assert await ref.ask("last", block=False) == "last"
    assert actor.seen == [*range(5000), "last"]
    stop(ref)


async def test_getting_an_answer_that_is_not_there_refuses_to_block_the_loop() -> None:
    ref, _ = started()
    with pytest.raises(RuntimeError, match="must not block"):
        ref.ask("x")
    await turns()
    stop(ref)


async def test_a_failing_ask_gives_the_asker_the_error_and_the_actor_lives() -> None:
    ref, _ = started()
    with pytest.raises(LookupError, match="on purpose"):
        await ref.ask(fail, block=False)
    assert await ref.ask("still there", block=False) == "still there"
    stop(ref)


async def test_a_failing_tell_ends_the_actor_once_and_the_watcher_is_told() -> None:
    watcher = Inbox()
    ref, actor = started(watch=Watch(watcher, "probe", 7))
    ref.tell(fail)
    ref.tell("too late")
    await turns()
    assert actor.ends == 1
    assert actor.left == ["too late"]
    assert watcher.told == [ChildFailed("probe", 7, "LookupError: on purpose")]
    assert not post(ref, "x")


async def test_a_failing_start_ends_the_actor_and_the_watcher_is_told() -> None:
    watcher = Inbox()
    ref, actor = started(watch=Watch(watcher, "probe"), fail_on_start=True)
    assert actor.ends == 1
    assert watcher.of(ChildFailed)[0].reason == "LookupError: no start"
    assert not post(ref, "x")


async def test_ending_on_purpose_is_no_failure() -> None:
    watcher = Inbox()
    ref, actor = started(watch=Watch(watcher, "probe"))
    ref.tell(Probe.end)
    await turns()
    assert actor.ends == 1
    assert watcher.told == []


async def test_an_ask_that_came_too_late_is_answered_with_an_error() -> None:
    ref, _ = started()
    ref.tell(Probe.end)
    answer = ref.ask("x", block=False)
    with pytest.raises(pykka.ActorDeadError):
        async with asyncio.timeout(5):
            await answer


async def test_an_owned_task_tells_its_actor_how_it_ended() -> None:
    ref, actor = started()

    async def work() -> int:
        return 42

    async def broken() -> int:
        raise LookupError("in the task")

    ref.tell(lambda me: me.spawn(work(), lambda outcome: ("good", outcome.value)) and None)
    ref.tell(lambda me: me.spawn(broken(), lambda outcome: ("bad", str(outcome.error))) and None)
    await turns()
    assert sorted(actor.seen) == [("bad", "in the task"), ("good", 42)]
    stop(ref)


async def test_an_error_in_a_task_nobody_asks_about_is_an_error_of_the_actor() -> None:
    watcher = Inbox()
    ref, _ = started(watch=Watch(watcher, "probe"))

    async def broken() -> None:
        raise LookupError("in the task")

    ref.tell(lambda me: me.spawn(broken()) and None)
    await turns()
    assert watcher.of(ChildFailed)[0].reason == "LookupError: in the task"


async def test_tasks_and_timers_end_with_their_actor() -> None:
    ref, actor = started()
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    ref.tell(lambda me: me.spawn(wait(), lambda _: "ended") and None)
    await turns()
    ref.tell(lambda me: me.call_later(0.0, "ring") and None)
    ref.tell(Probe.end)
    await turns()
    async with asyncio.timeout(5):
        await cancelled.wait()
    assert actor.seen == []
    assert actor.left == []


async def test_a_cancelled_timer_is_silent() -> None:
    ref, actor = started()
    ref.tell(lambda me: me.cancel(me.call_later(0.0, "ring")))
    await turns()
    await ref.ask("marker", block=False)
    assert actor.seen == ["marker"]
    stop(ref)


async def test_a_tell_from_another_thread_arrives() -> None:
    ref, actor = started()
    arrived = asyncio.Event()
    thread = threading.Thread(target=lambda: ref.tell(lambda _: arrived.set()))
    thread.start()
    async with asyncio.timeout(5):
        await arrived.wait()
    thread.join(5)
    assert actor.ends == 0
    stop(ref)


async def test_work_of_the_dead_is_waited_for() -> None:
    done: list[str] = []

    async def close() -> None:
        await asyncio.sleep(0)
        done.append("closed")

    Dispatcher.running().spawn_background(close())
    async with asyncio.timeout(5):
        await Dispatcher.running().wait_background()
    assert done == ["closed"]


async def test_work_of_the_dead_that_fails_harms_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    async def close() -> None:
        raise LookupError("no such connection")

    gc.collect()  # what other tests have left is not this one's
    capfd.readouterr()
    Dispatcher.running().spawn_background(close())
    async with asyncio.timeout(5):
        await Dispatcher.running().wait_background()
    await asyncio.sleep(0)
    gc.collect()  # asyncio complains, with a traceback, of a failed task nobody has looked at
    assert "Traceback" not in capfd.readouterr().err


async def test_a_pipe_that_cannot_be_written_does_not_keep_another_from_its_frames() -> None:
    written = asyncio.Event()

    def fail() -> None:
        raise RuntimeError("the handler is closed")

    Dispatcher.running().call_after_drain(fail)
    Dispatcher.running().call_after_drain(written.set)
    async with asyncio.timeout(5):
        await written.wait()


async def test_one_busy_actor_does_not_keep_another_from_its_turn() -> None:
    busy, _ = started()
    other, quiet = started()
    rounds = 0

    def again(me: Probe) -> None:
        nonlocal rounds
        rounds += 1
        if not quiet.seen:
            me.actor_ref.tell(again)

    busy.tell(again)
    other.tell("my turn")
    async with asyncio.timeout(5):
        await other.ask("answered", block=False)
    assert rounds < 10_000
    stop(busy)
    stop(other)


class Sliced(LoopActor):
    """Works in slices when it is told to, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[bool] = []
        self.slices = Slices(self, self.paused.append)
        self.seen: list[Any] = []

    def on_receive(self, message: Any) -> None:
        if isinstance(message, SlicesDone):
            self.slices.on_done(message)
        elif callable(message):
            message(self)
        else:
            self.seen.append(message)


def counting(number: int) -> Generator[None, None, int]:
    yield
    return number


async def test_works_begun_together_are_done_in_their_order_and_each_gets_its_own_result() -> None:
    ref = Sliced.start()
    actor = ref._actor_weakref()
    assert actor is not None

    def begin(of: Sliced) -> None:
        of.slices.begin(counting(1), lambda value: of.seen.append(("first", value)))
        of.slices.begin(counting(2), lambda value: of.seen.append(("second", value)))
        of.slices.defer("later")

    ref.tell(begin)
    async with asyncio.timeout(10):
        while len(actor.seen) < 3:  # noqa: ASYNC110 - what is waited for is not told to anybody
            await asyncio.sleep(0)
    assert actor.seen == [("first", 1), ("second", 2), "later"]
    assert actor.paused == [True, False]
    stop(ref)
