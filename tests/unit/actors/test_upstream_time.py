"""An upstream and its timers: none is lost, none outlives what it was for, and none passes that should stand still."""

from __future__ import annotations

import json

import pytest

from dmcp.actors.conversation import PING_PATIENCE
from dmcp.actors.upstream import Phase
from dmcp.config.model import Timeouts
from dmcp.messages import catalog, supervisor, upstream
from dmcp.messages.auth import SignInEnded, SignInStarted
from dmcp.protocol.link import FaultKind, LinkFault
from unit.actors.fakes import CLIENT, submit, subscribed
from unit.actors.test_upstream import Stage

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
    beginning = upstream.Beginning(delay=1000.0)
    stage = Stage(beginning=beginning)
    stage.actor.on_start()
    stage.hand(SignInStarted("g", "https://example.org/sign-in"))
    retry = stage.actor._patience
    assert retry is not None
    assert not retry.cancelled()
    stage.hand(SignInEnded("g"))
    stage.hand(upstream.Tick("retry"))
    assert stage.actor._phase is Phase.OPENING
    stage.actor.end()


async def test_a_server_somebody_has_signed_in_to_is_tried_at_once() -> None:
    stage = Stage(beginning=upstream.Beginning(delay=1000.0))
    stage.actor.on_start()
    stage.now = 500.0
    stage.hand(SignInStarted("g", "https://example.org/sign-in"))
    stage.hand(SignInEnded("g"))
    retry = stage.actor._patience
    assert retry is not None
    assert retry.when() - retry._loop.time() < 1.0  # type: ignore[attr-defined]  # uvloop and asyncio both have it
    stage.actor.end()


async def test_an_answered_question_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for number in range(50):
        stage.says({"id": f"q{number}", "method": "roots/list"})
        stage.hand(upstream.AnswerServerRequest(json.dumps(f"q{number}").encode(), b"{}", None))
    assert len(stage.actor._timers) <= before + 1  # the one for deadlines


async def test_a_question_asked_twice_under_one_id_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for _ in range(50):
        stage.says({"id": "q", "method": "roots/list"})
    stage.hand(upstream.AnswerServerRequest(b'"q"', b"{}", None))
    assert len(stage.actor._timers) <= before + 1


async def test_a_link_that_opens_while_the_client_does_not_keep_up_is_held_back_from_the_start() -> None:
    stage = Stage()
    stage.hand(upstream.SetFlow(CLIENT, paused=True))
    stage.opened()
    assert stage.link.paused
    stage.hand(upstream.SetFlow(CLIENT, paused=False))
    assert not stage.link.paused


async def test_a_server_dmcp_does_not_read_from_is_not_blamed_for_its_silence() -> None:
    stage = Stage()
    stage.opened()
    stage.hand(upstream.SetFlow(CLIENT, paused=True), upstream.Tick("connect"))
    assert not stage.supervisor.of(supervisor.UpstreamLost)
    stage.hand(upstream.SetFlow(CLIENT, paused=False), upstream.Tick("connect"))
    assert len(stage.supervisor.of(supervisor.UpstreamLost)) == 1


async def test_each_request_that_was_handed_over_has_its_own_patience() -> None:
    stage = Stage()
    requests = [
        submit(n, "resources/read", {"uri": "u"}, stage.client, repeated=True, wait_until=float(n))
        for n in (1, 2)
    ]
    stage.actor._beginning = upstream.Beginning(delay=1000.0, reason="gone", repeat=tuple(requests))
    stage.actor.on_start()
    timers = len(stage.actor._timers)
    stage.now = 1.0
    stage.hand(upstream.Tick("patience"))
    assert sorted(stage.replies) == [1]
    # Without a timer of its own request 2 would wait for as long as the server is parked.
    assert len(stage.actor._timers) == timers + 1
    stage.now = 2.0
    stage.hand(upstream.Tick("patience"))
    assert sorted(stage.replies) == [1, 2]
    assert stage.catalog.of(catalog.GroupState) == []
    stage.actor.end()


async def test_the_reason_a_call_failed_is_told_without_secrets() -> None:
    stage = ready()
    stage.call(1)
    fault = LinkFault(FaultKind.REJECTED, "https://example.org/mcp?key=abc answered HTTP 400")
    stage.hand(upstream.RequestFailed(stage.number_of("tools/call"), fault))
    assert b"https://example.org/mcp?*** answered HTTP 400" in (stage.replies[1][1] or b"")


async def test_a_server_that_is_stopped_leaves_its_subscriptions_to_the_next() -> None:
    before = ready()
    before.hand(submit(1, "resources/subscribe", {"uri": "file:///a"}, before.client))
    before.says({"id": before.number_of("resources/subscribe"), "result": {}})
    before.hand(upstream.Stop(10.0))
    (news,) = before.supervisor.of(supervisor.Bequeathed)
    after = ready()
    after.hand(upstream.TakeOver(news.subscriptions), upstream.TakeOver(news.subscriptions))
    asked = [message["params"] for message in after.sent if message["method"] == "resources/subscribe"]
    assert asked == [{"uri": "file:///a"}]


async def test_subscriptions_that_are_taken_over_while_connecting_are_made_when_ready() -> None:
    stage = Stage()
    stage.opened()
    stage.hand(upstream.TakeOver(subscribed("file:///a")))
    assert not [message for message in stage.sent if message["method"] == "resources/subscribe"]
    stage.welcomed()
    stage.listed()
    assert [message["params"] for message in stage.sent[3:]] == [{"uri": "file:///a"}]


async def test_a_server_whose_listing_changes_with_every_look_is_ready_and_looked_at_now_and_then() -> None:
    stage = Stage()
    stage.opened()
    stage.welcomed()
    stage.says({"method": "notifications/tools/list_changed"})
    stage.listed()
    assert stage.actor._phase is Phase.READY
    looks = [message["method"] for message in stage.sent].count("tools/list")
    for _ in range(20):
        stage.says({"method": "notifications/tools/list_changed"})
    assert looks == [message["method"] for message in stage.sent].count("tools/list") == 1
    stage.hand(upstream.Tick(("listing", "tools")))
    assert [message["method"] for message in stage.sent].count("tools/list") == 2
    assert stage.catalog.of(catalog.ListingStale)[-1].stale
    stage.listed()
    assert not stage.actor._talk.listings.tool_index.fetching
