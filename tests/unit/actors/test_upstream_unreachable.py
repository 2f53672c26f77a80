"""An upstream whose connection fails a request: what is asked again, when, and what that costs the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.messages import supervisor, upstream
from dmcp.protocol.link import FaultKind, LinkFault
from unit.actors.fakes import call_id, submit
from unit.actors.test_upstream import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    stage.hand(upstream.RequestFailed(stage.number_of(method), fault))


def handed_over(stage: Stage) -> Sequence[upstream.Submit]:
    (news,) = stage.supervisor.of(supervisor.UpstreamLost)
    repeat: Sequence[upstream.Submit] = news.repeat
    return repeat


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
    (request,) = handed_over(stage)
    assert (request.repeated, request.may_have_run, request.wait_until) == (True, False, 30.0)
    assert stage.replies == {}


async def test_a_dead_server_is_given_up_only_when_what_is_in_flight_has_landed() -> None:
    stage = ready()
    stage.call(1)
    slow = stage.number_of("tools/call")
    stage.call(2, "look")
    fail(stage, "tools/call", REFUSED)
    fail(stage, "ping", REFUSED)
    stage.call(3)  # joins those who wait: it would be refused too
    assert not stage.supervisor.of(supervisor.UpstreamLost)
    stage.says({"id": slow, "result": {"content": []}})
    assert stage.replies[1][0] == b'{"content": []}'
    assert [request.call.number for request in handed_over(stage)] == [2, 3]


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
    stage.hand(upstream.LinkClosed(FORGOTTEN))
    assert [request.call.number for request in handed_over(stage)] == [1, 2]


async def test_a_cancelled_call_is_not_asked_again() -> None:
    stage = ready()
    stage.call(1, "look")
    fail(stage, "tools/call", BROKEN)
    stage.hand(upstream.Cancel(call_id(1), "no longer wanted"))
    stage.says({"id": stage.number_of("ping"), "result": {}})
    assert methods(stage) == ["tools/call", "ping"]


def next_life(*requests: upstream.Submit) -> Stage:
    stage = Stage(beginning=upstream.Beginning(delay=0.5, reason="was lost"))
    stage.actor._queue += [
        request._replace(context=upstream.CallContext(stage.client)) for request in requests
    ]
    return stage


def waiting(number: int, until: float, *, may_have_run: bool = True) -> upstream.Submit:
    nobody = Stage().client
    return submit(number, "ping", {}, nobody, repeated=True, may_have_run=may_have_run, wait_until=until)


async def test_what_was_handed_over_outlives_a_failed_attempt_until_its_patience_ends() -> None:
    stage = next_life(waiting(1, 30.0), waiting(2, 5.0))
    stage.now = 6.0
    stage.hand(upstream.LinkOpened(None, OSError("refused")))
    assert [(request.call.number, request.wait_until) for request in handed_over(stage)] == [(1, 30.0)]
    assert b"outcome is unknown" in (stage.replies[2][1] or b"")


async def test_what_waits_too_long_for_the_server_is_answered_and_told_whether_it_may_have_run() -> None:
    stage = next_life(waiting(1, 30.0), waiting(2, 30.0, may_have_run=False))
    fresh = stage.call(3)
    stage.now = 31.0
    stage.hand(upstream.Tick("patience"))
    assert list(stage.replies) == [1, 2]
    assert b"outcome is unknown" in (stage.replies[1][1] or b"")
    assert b"has not run" in (stage.replies[2][1] or b"")
    assert stage.actor._queue == [fresh]
