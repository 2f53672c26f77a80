"""What the supervisor has to remember for lives that begin later, and what it owes the client at the end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dmcp.config.model import RemoteServer, ServerConfig
from dmcp.messages import frontend, upstream
from dmcp.messages.auth import Configured, Forget, Subscribe
from dmcp.messages.lifecycle import ChildStopped
from dmcp.messages.supervisor import (
    Bequeathed,
    Shutdown,
    Undelivered,
)
from unit.actors.fakes import Inbox, call_id, submit, subscribed
from unit.actors.test_supervisor import House, configured, lost, server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> House:
    return House()


async def test_each_life_of_a_server_is_subscribed_to_the_sign_ins_of_its_group(house: House) -> None:
    house.hand(configured(server()))
    house.hand(lost(house.make.last))
    said = [(each.listener, each.group) for each in house.make.core_auth.of(Subscribe)]
    assert [each for each in said if each[1] is not None] == [(life, "g") for life in house.make.lives]


async def test_asked_to_end_twice_the_client_still_gets_its_answers_first(house: House) -> None:
    house.hand(configured(server()), Shutdown(5.0), Shutdown(0.5))
    assert [order.grace for order in house.make.core_frontend.of(frontend.Finish)] == [5.0, 0.5]
    assert not house.make.last.of(upstream.Stop)
    house.hand(ChildStopped("frontend", 0))
    assert len(house.make.last.of(upstream.Stop)) == 1


async def test_a_call_that_may_have_run_is_never_said_not_to_have(house: House) -> None:
    client = Inbox()
    call = submit(1, "resources/read", {"uri": "u"}, client, repeated=True, may_have_run=True)
    house.hand(configured(server()), Shutdown(0.0), ChildStopped("frontend", 0), Undelivered("g", call))
    house.hand(Undelivered("g", call._replace(call=call_id(2), may_have_run=False)))
    first, second = (json.loads(reply.outcome.body)["message"] for reply in client.of(frontend.Settled))
    assert "its outcome is unknown" in first
    assert "has not run" in second


async def test_a_lazy_server_that_is_lost_while_nobody_uses_it_sleeps_and_an_eager_one_is_started(
    house: House,
) -> None:
    house.hand(configured(server(startup="lazy")))
    house.hand(lost(house.make.last, was_ready=True, unused=True))
    assert house.make.last.beginning.asleep
    house.hand(lost(house.make.last, was_ready=True))
    assert (house.make.last.beginning.asleep, house.make.last.beginning.delay > 0) == (False, True)
    house.hand(configured(server()))
    house.hand(lost(house.make.last, was_ready=True, unused=True))
    assert not house.make.last.beginning.asleep


async def test_subscriptions_outlive_the_reload_that_restarts_their_server(house: House) -> None:
    uris = subscribed("file:///a")
    house.hand(configured(server()), configured(server(command="other")), Bequeathed("g", uris))
    before, after = house.make.lives
    assert before.of(upstream.TakeOver) == []
    assert after.of(upstream.TakeOver) == [upstream.TakeOver(uris)]


async def test_subscriptions_wait_for_the_next_life_when_the_present_one_has_just_ended(house: House) -> None:
    news = Bequeathed("g", subscribed("file:///a"))
    house.hand(configured(server()))
    house.make.last.end()
    house.hand(news)
    assert house.actor.actor_inbox.get().message == news  # behind what tells of the end
    house.hand(lost(house.make.last), news)
    assert house.make.last.of(upstream.TakeOver) == [upstream.TakeOver(news.subscriptions)]


async def test_auth_is_told_of_every_server_that_has_another_configuration_or_none(house: House) -> None:
    far = [RemoteServer("https://one"), RemoteServer("https://two")]
    first, second = (ServerConfig("g", "d", target) for target in far)
    house.hand(configured(first), configured(replace(first, description="other")), configured(second))
    house.hand(configured(server()), configured())
    told = [m for m in house.make.core_auth.told if isinstance(m, Configured | Forget)]
    assert [m.server if isinstance(m, Configured) else None for m in told] == [*far, None, None]
    assert {m.group for m in told} == {"g"}
