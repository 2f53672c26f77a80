"""No hook that raises, whatever it raises, stops the other actors, and every crash is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dmcp import log
from dmcp.actors.dispatch import Dispatcher, report_unhandled
from dmcp.actors.runtime import LoopActor, Watch, post, stop
from dmcp.messages.lifecycle import ChildFailed
from unit.actors.fakes import Inbox

pytestmark = pytest.mark.anyio


class NoWords(Exception):  # noqa: N818 - what it is stands in its name
    def __str__(self) -> str:
        raise ValueError("no words")


RAISED = pytest.mark.parametrize(
    "error",
    [
        LookupError("x"),
        SystemExit(3),
        KeyboardInterrupt(),
        NoWords(),
        GeneratorExit(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)


class Raising(LoopActor):
    """Raises in the hooks it is told to; a callable it gets is called with it."""

    def __init__(self, error: BaseException, *hooks: str, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.error, self.hooks = error, hooks
        self.seen: list[Any] = []
        self.left: list[Any] = []

    def _maybe(self, hook: str) -> None:
        if hook in self.hooks:
            raise self.error

    def on_start(self) -> None:
        self._maybe("on_start")

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        self.seen.append(message)
        self._maybe("on_receive")
        return message

    def on_dead_letter(self, message: object) -> None:
        self.left.append(message)
        self._maybe("on_dead_letter")

    def on_end(self) -> None:
        self._maybe("on_end")


class Bystander(LoopActor):
    def on_receive(self, message: Any) -> Any:
        return message


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(log, "error", lambda text, server="dmcp": lines.append(text))
    return lines


async def others_go_on() -> None:
    other = Bystander.start()
    async with asyncio.timeout(5):
        assert await other.ask("there?", block=False) == "there?"
    stop(other)


def actor_of(ref: Any) -> Raising:
    actor = ref._actor_weakref()
    assert isinstance(actor, Raising)
    return actor


@RAISED
@pytest.mark.parametrize("hook", ["on_start", "on_receive", "on_end"])
async def test_a_hook_that_raises_ends_its_actor_alone_and_is_told(
    error: BaseException, hook: str, told: list[str]
) -> None:
    watcher = Inbox()
    ref = Raising.start(error, hook, watch=Watch(watcher, "raising"))
    post(ref, "a message")
    post(ref, Raising.end)
    await others_go_on()
    assert not post(ref, "too late")
    assert bool(watcher.of(ChildFailed)) is (hook != "on_end")
    assert type(error).__name__ in told[0]


@RAISED
async def test_each_message_that_came_too_late_is_handed_on_although_the_hook_raises(
    error: BaseException, told: list[str]
) -> None:
    ref = Raising.start(error, "on_dead_letter")
    actor = actor_of(ref)
    for message in (Raising.end, "one", "two"):
        ref.tell(message)
    await others_go_on()
    assert actor.left == ["one", "two"]
    assert len(told) == 2


@RAISED
async def test_an_ask_whose_handler_raises_is_answered_and_the_asker_is_not_ended(
    error: BaseException,
) -> None:
    ref = Raising.start(error, "on_receive")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any Exception, and no BaseException
        await ref.ask("a message", block=False)
    assert type(error).__name__ in f"{type(caught.value).__name__} {caught.value!r}"
    await others_go_on()
    stop(ref)


async def test_an_ask_answered_with_stop_iteration_reaches_the_asker() -> None:
    ref = Raising.start(StopIteration(), "on_receive")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await ref.ask("a message", block=False)
    stop(ref)


@pytest.mark.parametrize("error", [LookupError("x"), SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_an_owned_task_that_raises_anything_is_an_error_of_its_actor(
    error: BaseException, told: list[str]
) -> None:
    async def work() -> None:
        raise error

    watcher = Inbox()
    ref = Raising.start(error, watch=Watch(watcher, "raising"))
    ref.tell(lambda me: me.spawn(work()) and None)
    await asyncio.sleep(0.01)
    await others_go_on()
    assert type(error).__name__ in watcher.of(ChildFailed)[0].reason
    assert told


@RAISED
async def test_a_callback_for_the_end_of_a_task_that_raises_is_an_error_of_the_actor(
    error: BaseException, told: list[str]
) -> None:
    def ended(_: object) -> None:
        raise error

    watcher = Inbox()
    ref = Raising.start(error, watch=Watch(watcher, "raising"))
    ref.tell(lambda me: me.spawn(asyncio.sleep(0), ended) and None)
    await asyncio.sleep(0.01)
    await others_go_on()
    assert watcher.of(ChildFailed)
    assert told


async def test_a_task_that_fails_while_it_is_cancelled_with_its_actor_is_told(told: list[str]) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("while cleaning up")

    ref = Raising.start(LookupError())
    ref.tell(lambda me: me.spawn(work()) and None)
    await others_go_on()
    ref.tell(Raising.end)
    await asyncio.sleep(0.01)
    assert any("while cleaning up" in line for line in told)


@RAISED
async def test_the_other_pipes_are_written_to_although_one_raises(
    error: BaseException, told: list[str]
) -> None:
    def broken() -> None:
        raise error

    written = asyncio.Event()
    Dispatcher.running().call_after_drain(broken)
    Dispatcher.running().call_after_drain(written.set)
    async with asyncio.timeout(5):
        await written.wait()
    assert told
    await others_go_on()


@RAISED
async def test_an_actor_whose_drain_itself_breaks_stops_nobody(error: BaseException, told: list[str]) -> None:
    class Broken:
        def drain(self, until: float) -> int:
            raise error

    Dispatcher.running().schedule(Broken())
    await others_go_on()
    assert told


@pytest.mark.parametrize("error", [LookupError("x"), SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_a_crash_in_the_background_is_told(error: BaseException, told: list[str]) -> None:
    async def work() -> None:
        raise error

    Dispatcher.running().spawn_background(work())
    async with asyncio.timeout(5):
        await Dispatcher.running().wait_background()
    await asyncio.sleep(0)
    assert type(error).__name__ in told[0]


async def test_work_cancelled_before_it_began_leaves_nothing_unawaited() -> None:
    async def work() -> None:
        raise AssertionError("never begun")

    ref = Raising.start(LookupError())

    def begin_and_end(me: Raising) -> None:
        me.spawn(work())
        me.end()

    ref.tell(begin_and_end)
    await others_go_on()  # a coroutine that was never awaited is a warning, and warnings are errors here


@pytest.mark.parametrize("label", ["callback", "task"])
async def test_what_nobody_handles_is_told_in_a_sentence(label: str, told: list[str]) -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(report_unhandled)
    try:
        if label == "callback":
            loop.call_soon(_raise)
        else:

            async def crash() -> None:
                _raise()

            task = loop.create_task(crash())
            await asyncio.sleep(0)
            del task
        await asyncio.sleep(0.01)
    finally:
        loop.set_exception_handler(before)
    assert "LookupError: nobody catches this" in "".join(told)
    assert "Traceback" not in "".join(told)


def _raise() -> None:
    raise LookupError("nobody catches this")
