"""An upstream and its timers: none is lost, none outlives what it was for, and none passes that should stand still."""

from __future__ import annotations

import json

import pytest

from dmcp.actors.conversation import PING_PATIENCE
from dmcp.actors.upstream import Phase
from dmcp.config.model import Timeouts
from dmcp.messages import catalog, supervisor, upstream
from unit.actors.test_upstream import PROFILE, Stage

pytestmark = pytest.mark.anyio


def ready() -> Stage:
    stage = Stage(timeout=Timeouts(tools=PING_PATIENCE))
    stage.ready()
    return stage


async def test_calls_that_are_due_with_the_ping_of_a_server_that_hangs_are_answered_too() -> None:
    stage = ready()
    stage.call(1)
    stage.now = PING_PATIENCE
    stage.hand(upstream.Tick("deadline"))  # call 1 is given up, and a ping is sent
    stage.call(2)
    stage.call(3)
    stage.now = 2 * PING_PATIENCE
    stage.hand(upstream.Tick("deadline"))
    assert sorted(stage.replies) == [1, 2, 3]
    assert len(stage.supervisor.of(supervisor.UpstreamLost)) == 1


async def test_a_sign_in_does_not_keep_a_server_that_waits_for_its_next_try_from_trying() -> None:
    beginning = upstream.Beginning(delay=1000.0, profile=PROFILE)
    stage = Stage(beginning=beginning)
    stage.actor.on_start()
    stage.hand(upstream.SignInPending(pending=True, url="https://example.org/sign-in"))
    retry = stage.actor._patience
    assert retry is not None
    assert not retry.cancelled()
    stage.hand(upstream.SignInPending(pending=False))
    stage.hand(upstream.Tick("retry"))
    assert stage.actor._phase is Phase.OPENING
    stage.actor.end()


async def test_a_server_somebody_has_signed_in_to_is_tried_at_once() -> None:
    stage = Stage(beginning=upstream.Beginning(delay=1000.0, profile=PROFILE))
    stage.actor.on_start()
    stage.now = 500.0
    stage.hand(upstream.SignInPending(pending=True, url="https://example.org/sign-in"))
    stage.hand(upstream.SignInPending(pending=False))
    retry = stage.actor._patience
    assert retry is not None
    assert retry.when() - retry._loop.time() < 1.0  # type: ignore[attr-defined]  # uvloop and asyncio both have it
    stage.actor.end()


async def test_an_answered_question_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for number in range(50):
        stage.says({"id": f"q{number}", "method": "roots/list"})
        stage.hand(upstream.Respond(json.dumps(f"q{number}").encode(), b"{}", None))
    assert len(stage.actor._timers) <= before + 1  # the one for deadlines


async def test_a_question_asked_twice_under_one_id_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for _ in range(50):
        stage.says({"id": "q", "method": "roots/list"})
    stage.hand(upstream.Respond(b'"q"', b"{}", None))
    assert len(stage.actor._timers) <= before + 1


async def test_a_link_that_opens_while_the_client_does_not_keep_up_is_held_back_from_the_start() -> None:
    stage = Stage()
    stage.hand(upstream.HoldBack(hold=True))
    stage.opened()
    assert stage.link.paused
    stage.hand(upstream.HoldBack(hold=False))
    assert not stage.link.paused


async def test_a_server_dmcp_does_not_read_from_is_not_blamed_for_its_silence() -> None:
    stage = Stage()
    stage.opened()
    stage.hand(upstream.HoldBack(hold=True), upstream.Tick("connect"))
    assert not stage.supervisor.of(supervisor.UpstreamLost)
    stage.hand(upstream.HoldBack(hold=False), upstream.Tick("connect"))
    assert len(stage.supervisor.of(supervisor.UpstreamLost)) == 1


async def test_each_request_that_was_handed_over_has_its_own_patience() -> None:
    stage = Stage()
    requests = [
        upstream.Request(n, "resources/read", {}, stage.client, repeated=True, wait_until=float(n))
        for n in (1, 2)
    ]
    stage.actor._beginning = upstream.Beginning(delay=1000.0, reason="gone", repeat=tuple(requests))
    stage.actor.on_start()
    stage.now = 1.0
    stage.hand(upstream.Tick("patience"))
    assert sorted(stage.replies) == [1]
    # The retry is the other one: without a timer of its own request 2 waits for as long as the server is parked.
    assert len([timer for timer in stage.actor._timers if timer is not stage.actor._patience]) >= 1
    stage.now = 2.0
    stage.hand(upstream.Tick("patience"))
    assert sorted(stage.replies) == [1, 2]
    assert stage.catalog.of(catalog.GroupState) == []
    stage.actor.end()
