"""An upstream and its timers: none is lost, none outlives what it was for, and none passes that should stand still."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from dmcp.actors.in_flight import PING_TIMEOUT
from dmcp.config.model import RemoteServer, StdioServer, Timeouts
from dmcp.messages import catalog, upstream
from dmcp.messages.auth import SignInEnded, SignInStarted, Subscribe
from dmcp.protocol.link import FaultKind, LinkFault
from unit.actors.fakes import CLIENT, DeafLink, submit
from unit.actors.test_upstream import Stage

pytestmark = pytest.mark.anyio


def ready() -> Stage:
    stage = Stage(timeout=Timeouts(tools=PING_TIMEOUT))
    stage.ready()
    return stage


async def test_calls_that_are_due_with_the_ping_of_a_server_that_hangs_are_answered_too() -> None:
    stage = ready()
    stage.call(1)
    stage.now = PING_TIMEOUT
    stage.fires("deadline")  # call 1 is given up, and a ping is sent
    stage.call(2)
    stage.call(3)
    stage.now = 2 * PING_TIMEOUT
    stage.fires("deadline")
    assert sorted(stage.replies) == [1, 2, 3]
    assert len(stage.losses) == 1


async def test_a_sign_in_does_not_keep_a_server_that_waits_for_its_next_try_from_trying() -> None:
    stage = Stage(crash=upstream.Crash("failed", 1000.0))
    stage.start()
    stage.hand(SignInStarted("g", "https://example.org/sign-in"))
    stage.call(1)
    assert stage.opened_with == []
    stage.hand(upstream.TimerFired("retry"))
    assert len(stage.opened_with) == 1
    stage.actor.end()


async def test_a_server_somebody_has_signed_in_to_is_tried_at_once() -> None:
    stage = Stage(crash=upstream.Crash("failed", 1000.0))
    stage.start()
    stage.now = 500.0
    stage.hand(SignInStarted("g", "https://example.org/sign-in"), SignInEnded("g"))
    left = [timer.when() - timer._loop.time() for timer in stage.actor._timers]  # type: ignore[attr-defined]  # uvloop and asyncio both have it
    assert len(left) == 1
    assert left[0] < 1.0
    stage.actor.end()


async def test_an_answered_question_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for number in range(50):
        stage.says({"id": f"q{number}", "method": "roots/list"})
        stage.answers(json.dumps(f"q{number}"))
    assert len(stage.actor._timers) <= before + 1  # the one for deadlines


async def test_a_question_asked_twice_under_one_id_leaves_no_timer_behind() -> None:
    stage = ready()
    before = len(stage.actor._timers)
    for _ in range(50):
        stage.says({"id": "q", "method": "roots/list"})
    stage.answers('"q"', b"{}")
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
    stage.hand(upstream.SetFlow(CLIENT, paused=True))
    stage.fires("connect")
    assert not stage.losses
    stage.hand(upstream.SetFlow(CLIENT, paused=False))
    stage.fires("connect")
    assert len(stage.losses) == 1


async def test_each_call_that_waits_for_the_next_connection_has_its_own_time() -> None:
    stage = Stage(timeout=Timeouts(connect=10.0))
    stage.ready()
    stage.call(1, "look")
    stage.closes()
    stage.now = 5.0
    stage.reconnects()
    stage.call(2, "look")
    # Call 1 is lost for the second time, and is not sent once more; call 2 waits for 10 s from now.
    stage.closes()
    assert sorted(stage.replies) == [1]
    states = len(stage.states)
    stage.now = 14.0
    stage.hand(upstream.TimerFired("queue"))
    assert sorted(stage.replies) == [1]
    stage.now = 15.0
    stage.hand(upstream.TimerFired("queue"))
    assert sorted(stage.replies) == [1, 2]
    assert len(stage.states) == states
    stage.actor.end()


async def test_the_reason_a_call_failed_is_told_without_secrets() -> None:
    stage = ready()
    stage.call(1)
    fault = LinkFault(FaultKind.REJECTED, "https://example.org/mcp?key=abc answered HTTP 400")
    stage.hand(upstream.RequestFailed(stage.connection, stage.number_of("tools/call"), fault))
    assert b"https://example.org/mcp?*** answered HTTP 400" in (stage.replies[1][1] or b"")


async def test_subscriptions_are_made_again_over_each_new_connection() -> None:
    stage = ready()
    for uri in ("file:///b", "file:///a"):
        stage.hand(submit(1 if uri.endswith("b") else 2, "resources/subscribe", {"uri": uri}, stage.client))
        stage.says({"id": stage.number_of("resources/subscribe"), "result": {}})
    stage.closes()
    stage.reconnects()
    asked = [message["params"]["uri"] for message in stage.sent if message["method"] == "resources/subscribe"]
    assert asked == ["file:///a", "file:///b"]
    stage.link = DeafLink()
    stage.hand(upstream.Reconfigure(replace(stage.config, target=StdioServer("other")), 10.0))
    stage.ready()
    asked = [message["params"]["uri"] for message in stage.sent if message["method"] == "resources/subscribe"]
    assert asked == ["file:///a", "file:///b"]


async def test_a_lazy_server_with_subscriptions_connects_again_when_it_is_configured_in_another_way() -> None:
    stage = Stage(startup="lazy")
    stage.start()
    stage.hand(upstream.Wake())
    stage.ready()
    stage.hand(submit(1, "resources/subscribe", {"uri": "file:///a"}, stage.client))
    stage.says({"id": stage.number_of("resources/subscribe"), "result": {}})
    stage.hand(upstream.Reconfigure(replace(stage.config, target=StdioServer("other")), 10.0))
    assert [config.target for config in stage.opened_with] == [StdioServer("run"), StdioServer("other")]
    idle = Stage(startup="lazy")
    idle.start()
    idle.hand(upstream.Wake())
    idle.ready()
    idle.hand(upstream.Reconfigure(replace(idle.config, target=StdioServer("other")), 10.0))
    assert len(idle.opened_with) == 1
    assert idle.state == "asleep"


async def test_a_server_whose_listing_changes_with_every_look_is_ready_and_looked_at_now_and_then() -> None:
    stage = Stage()
    stage.opened()
    stage.welcomed()
    stage.says({"method": "notifications/tools/list_changed"})
    stage.listed()
    assert stage.state == "ready"
    looks = [message["method"] for message in stage.sent].count("tools/list")
    for _ in range(20):
        stage.says({"method": "notifications/tools/list_changed"})
    assert looks == [message["method"] for message in stage.sent].count("tools/list") == 1
    stage.fires(("listing", "tools"))
    assert [message["method"] for message in stage.sent].count("tools/list") == 2
    assert stage.catalog.of(catalog.ListingStale)[-1].stale
    stage.listed()
    assert (
        not stage.catalog.of(catalog.ListingStale)[-1].stale
        or stage.catalog.of(catalog.Listed)[-1].kind == "tools"
    )


async def test_the_upstream_of_a_remote_server_subscribes_to_its_sign_ins_also_when_it_becomes_one() -> None:
    remote, local = (Stage(target=target) for target in (RemoteServer("https://example.org"), None))
    for stage in (remote, local):
        stage.start()
    assert remote.auth.told == [Subscribe(remote.actor.actor_ref, "g")]
    assert local.auth.told == []
    changed = replace(local.config, target=RemoteServer("https://example.org"))
    local.hand(upstream.Reconfigure(changed, 10.0))
    assert local.auth.told == [Subscribe(local.actor.actor_ref, "g")]
