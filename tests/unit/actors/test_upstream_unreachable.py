"""An upstream whose connection fails a request: what is asked again, when, and what that costs the others."""

from __future__ import annotations

import pytest

from dmcp.config.model import RemoteServer
from dmcp.messages import upstream
from dmcp.protocol.link import FaultKind, LinkFault
from unit.actors.fakes import DeafLink, call_id
from unit.actors.test_upstream import Stage

pytestmark = pytest.mark.anyio
BROKEN = LinkFault(FaultKind.UNREACHABLE, "the connection broke")
REFUSED = LinkFault(FaultKind.UNREACHABLE, "the connection was refused", may_have_run=False)
FORGOTTEN = LinkFault(FaultKind.SESSION_LOST, "no longer knows the session", may_have_run=False)


def ready() -> Stage:
    stage = Stage()
    stage.ready()
    return stage


def methods(stage: Stage) -> list[str]:
    return [message["method"] for message in stage.sent[3:]]


def fail(stage: Stage, method: str, fault: LinkFault) -> None:
    stage.hand(upstream.RequestFailed(stage.connection, stage.number_of(method), fault))


def sent_again(stage: Stage) -> list[str]:
    """The tools that are called over the next connection, before anybody calls one anew."""
    assert len(stage.losses) == 1
    stage.reconnects()
    return [message["params"]["name"] for message in stage.sent if message["method"] == "tools/call"]


async def test_a_broken_call_that_may_be_repeated_is_asked_again_once_the_server_is_found_alive() -> None:
    stage = ready()
    stage.call(1, "look")
    fail(stage, "tools/call", BROKEN)
    assert methods(stage) == ["tools/call", "ping"]
    assert stage.replies == {}
    stage.says({"id": stage.number_of("ping"), "result": {}})
    assert methods(stage) == ["tools/call", "ping", "tools/call"]
    fail(stage, "tools/call", BROKEN)  # once, not for ever
    (error,) = (error for _, error in stage.replies.values())
    assert error is not None
    assert b"outcome is unknown" in error


async def test_a_broken_call_that_may_not_be_repeated_fails_at_once_and_the_server_is_looked_after() -> None:
    stage = ready()
    stage.call(1)
    fail(stage, "tools/call", BROKEN)
    assert b"outcome is unknown" in (stage.replies[1][1] or b"")
    assert methods(stage) == ["tools/call", "ping"]


async def test_a_call_that_a_dead_server_refused_waits_for_the_next_life_whatever_it_does() -> None:
    stage = ready()
    stage.call(1)
    fail(stage, "tools/call", REFUSED)
    fail(stage, "ping", REFUSED)
    assert stage.replies == {}
    assert sent_again(stage) == ["echo"]
    stage.closes(BROKEN)
    assert b"outcome is unknown" in (stage.replies[1][1] or b"")  # once, not for ever


async def test_a_dead_server_is_given_up_only_when_what_is_in_flight_has_landed() -> None:
    stage = ready()
    stage.call(1)
    slow = stage.number_of("tools/call")
    stage.call(2, "look")
    fail(stage, "tools/call", REFUSED)
    fail(stage, "ping", REFUSED)
    stage.call(3)  # joins those who wait: it would be refused too
    assert not stage.losses
    stage.says({"id": slow, "result": {"content": []}})
    assert stage.replies[1][0] == b'{"content": []}'
    assert sent_again(stage) == ["look", "echo"]


async def test_a_server_that_refuses_a_ping_is_alive() -> None:
    stage = ready()
    stage.call(1, "look")
    fail(stage, "tools/call", BROKEN)
    fail(stage, "ping", LinkFault(FaultKind.REJECTED, "answered HTTP 400", may_have_run=False))
    assert methods(stage) == ["tools/call", "ping", "tools/call"]


async def test_nothing_is_asked_again_in_a_session_that_is_lost() -> None:
    stage = ready()
    stage.call(1, "look")
    fail(stage, "tools/call", BROKEN)
    stage.call(2)
    fail(stage, "tools/call", FORGOTTEN)
    fail(stage, "ping", FORGOTTEN)
    assert methods(stage) == ["tools/call", "ping", "tools/call"]
    stage.closes(FORGOTTEN)
    assert sent_again(stage) == ["look", "echo"]


async def test_a_cancelled_call_is_not_asked_again() -> None:
    stage = ready()
    stage.call(1, "look")
    fail(stage, "tools/call", BROKEN)
    stage.hand(upstream.Cancel(call_id(1), "no longer wanted"))
    stage.says({"id": stage.number_of("ping"), "result": {}})
    assert methods(stage) == ["tools/call", "ping"]


async def attempt_fails(stage: Stage, now: float) -> None:
    """The next attempt to connect is refused."""
    stage.now = now
    stage.hand(upstream.TimerFired("retry"))
    stage.hand(upstream.LinkOpened(stage.connection, None, OSError("refused")))


def waiting(*, remote: bool) -> Stage:
    """An upstream that has lost its connection: call 1 may have run, call 2 has not been sent."""
    stage = Stage(target=RemoteServer("https://example.org") if remote else None)
    stage.ready()
    stage.call(1, "look")
    stage.call(2, "not listed")
    stage.closes(BROKEN)
    assert stage.replies == {}
    return stage


async def test_what_is_to_be_sent_again_outlives_a_failed_attempt_until_its_time_is_over() -> None:
    stage = waiting(remote=False)
    await attempt_fails(stage, 6.0)
    assert stage.replies == {}
    await attempt_fails(stage, 31.0)
    assert sorted(stage.replies) == [1, 2]
    assert b"outcome is unknown" in (stage.replies[1][1] or b"")
    assert b"has not run" in (stage.replies[2][1] or b"")
    stage.actor.end()


async def test_a_remote_server_that_is_gone_fails_at_once_what_it_never_got() -> None:
    stage = waiting(remote=True)
    await attempt_fails(stage, 1.0)
    assert sorted(stage.replies) == [2]
    stage.link = DeafLink()
    stage.hand(upstream.TimerFired("retry"))
    stage.ready()
    assert stage.sent[-1]["params"]["name"] == "look"


async def test_what_waits_too_long_for_the_server_is_answered_and_what_came_later_is_not() -> None:
    stage = waiting(remote=False)
    stage.now = 20.0
    stage.call(3)
    stage.now = 31.0
    stage.hand(upstream.TimerFired("queue"))
    assert list(stage.replies) == [1, 2]
    stage.reconnects()
    assert stage.sent[-1]["params"]["name"] == "echo"
