"""The auth actor and a sign-in that is declined, that another process does, or whose group goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded
from dmcp.messages.auth import (
    Configured,
    Forget,
    SignInDeclined,
    SignInEnded,
    SignInInOtherProcess,
    SignInStarted,
    Subscribe,
    Unsubscribe,
)
from unit.auth.test_auth_actor import SERVER, House, Listener, settle, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    house.ref.stop(block=False)
    await settle()


async def offered(house: House, group: str = "one") -> asyncio.Task[str]:
    """A refused request whose flight has shown the person where to sign in."""
    refused = asyncio.create_task(house.credentials(group).challenged(401, "", None))
    await settle()
    house.work.calls[-1][2]["announce"]("https://sign.in")
    await settle()
    return refused


async def test_a_declined_sign_in_is_ended_and_everybody_who_waits_for_it_is_told(house: House) -> None:
    refused = await offered(house)
    second = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.ref.tell(SignInDeclined("one"))
    for waiting in (refused, second):
        with pytest.raises(SignInNeeded, match="declined: run `dmcp auth login one`"):
            await soon(waiting)
    await settle()
    assert house.work.open["one"].cancelled()
    assert isinstance(house.listener.heard[-1], SignInEnded)
    assert "declined" in house.listener.heard[-1].reason
    again = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    assert house.work.calls[-1][2]["ask"] is False
    again.cancel()


async def test_declining_what_was_not_offered_or_is_done_already_changes_nothing(house: House) -> None:
    refused = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.ref.tell(SignInDeclined("one"))  # nobody has been asked yet: it belongs to an offer of before
    house.ref.tell(SignInDeclined("unheard of"))
    await settle()
    assert not refused.done()
    house.work.calls[-1][2]["announce"]("https://sign.in")
    await settle()
    house.work.open["one"].set_result(house.tokens("new"))
    await asyncio.sleep(0)  # the work is done, and nobody has heard of it
    house.ref.tell(SignInDeclined("one"))
    assert await soon(refused) == "Bearer new"


async def test_work_that_was_declined_and_ends_well_all_the_same_is_not_heard_any_more(house: House) -> None:
    house.work.stubborn = True
    refused = await offered(house)
    house.ref.tell(SignInDeclined("one"))
    with pytest.raises(SignInNeeded):
        await soon(refused)
    late = house.work.open["one"]
    again = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    late.set_result(house.tokens("late"))
    await settle()
    assert not again.done()  # the end of the one is not taken for the end of the other
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(again) == "Bearer new"


async def test_while_another_process_signs_in_other_requests_go_on_and_listeners_know_it(
    house: House,
) -> None:
    refused = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    waiting = asyncio.create_task(house.credentials().authorization())
    house.work.calls[-1][2]["on_other_process"]()
    assert await soon(waiting) is None
    assert house.listener.heard == [SignInInOtherProcess("one")]
    house.ref.tell(SignInDeclined("one"))  # nothing of ours to decline
    await settle()
    house.work.open["one"].set_exception(AuthUnavailable("busy"))
    with pytest.raises(AuthUnavailable, match="busy"):
        await soon(refused)
    assert isinstance(house.listener.heard[-1], SignInEnded)
    house.now += 60
    again = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    assert house.work.calls[-1][2]["ask"] is True  # the person was not asked by this process
    again.cancel()


@pytest.mark.parametrize("why", ["forgotten", "changed"])
async def test_a_group_that_goes_or_changes_takes_its_sign_in_along(house: House, why: str) -> None:
    refused = await offered(house)
    work = house.work.open["one"]
    if why == "forgotten":
        house.ref.tell(Forget("one"))
    else:
        house.ref.tell(Configured("one", RemoteServer("https://elsewhere")))
    with pytest.raises(AuthError):
        await soon(refused)
    await settle()
    assert work.cancelled()  # its port and its locks are free
    assert isinstance(house.listener.heard[-1], SignInEnded)


async def test_a_late_question_of_the_life_before_a_reload_leaves_the_new_sign_in_alone(house: House) -> None:
    house.work.stored = house.tokens("old")
    late = house.credentials()
    assert await soon(late.authorization()) == "Bearer old"
    house.work.stored = None
    moved = RemoteServer("https://elsewhere")
    house.ref.tell(Configured("one", moved))
    signing_in = asyncio.create_task(house.credentials(server=moved).challenged(401, "", None))
    await settle()
    house.work.calls[-1][2]["announce"]("https://sign.in")
    await settle()
    assert await soon(late.authorization()) == "Bearer old"
    with pytest.raises(AuthError, match="its configuration has changed"):
        await soon(late.challenged(401, "", "Bearer old"))
    assert house.work.made("reauthorize") == 1  # nobody is asked to sign in to the old one
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(signing_in) == "Bearer new"


async def test_a_renewal_under_way_ends_well_over_a_reload_and_the_third_server_ends_the_first(
    house: House,
) -> None:
    house.work.stored = house.tokens("old")
    house.now += 3400
    first = house.credentials()
    waiting = asyncio.create_task(first.authorization())
    await settle()
    house.ref.tell(Configured("one", RemoteServer("https://second")))
    await settle()
    house.work.open["one"].set_result(house.tokens("renewed"))
    assert await soon(waiting) == "Bearer renewed"
    house.ref.tell(Configured("one", RemoteServer("https://third")))
    with pytest.raises(AuthError, match="its configuration has changed"):
        await soon(first.authorization())


async def test_the_server_of_before_that_comes_back_may_ask_the_person_again(house: House) -> None:
    assert await soon(house.credentials().authorization()) is None
    house.ref.tell(Configured("one", RemoteServer("https://elsewhere")))
    house.ref.tell(Configured("one", SERVER))
    refused = await offered(house)
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(refused) == "Bearer new"


async def test_who_subscribes_is_told_of_what_is_open_and_of_its_own_group_only(house: House) -> None:
    refused = await offered(house)
    every, one, other = Listener(), Listener(), Listener()
    started = SignInStarted("one", "https://sign.in")
    for listener, group in ((every, None), (one, "one"), (other, "other")):
        house.ref.tell(Subscribe(listener, group))
    await settle()
    assert (every.heard, one.heard, other.heard) == ([started], [started], [])
    house.ref.tell(Subscribe(every, shows_urls=True))  # which changes what it can, and tells it nothing twice
    next_life = Listener()
    house.ref.tell(Subscribe(next_life, "one"))
    await settle()
    house.work.open["one"].set_result(house.tokens("new"))
    await soon(refused)
    await settle()
    assert every.heard == next_life.heard == [started, SignInEnded("one")]
    assert (one.heard, other.heard) == ([started], [])


async def test_the_client_shows_addresses_while_one_that_can_is_subscribed(house: House) -> None:
    async def client_shows() -> bool:
        refused = asyncio.create_task(house.credentials().challenged(401, "", None))
        await settle()
        refused.cancel()
        house.work.open["one"].set_exception(AuthUnavailable("busy"))
        await settle()
        house.now += 60
        return bool(house.work.calls[-1][2]["client_shows"])

    able = Listener()
    assert not await client_shows()
    house.ref.tell(Subscribe(able, shows_urls=True))
    assert await client_shows()
    house.ref.tell(Unsubscribe(able))
    assert not await client_shows()
