from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.actors.account import MAX_REFRESHES, PROMPT_COOLDOWN, REFRESH_COOLDOWN
from dmcp.actors.auth import AuthActor
from dmcp.actors.credentials import ActorCredentials
from dmcp.auth.tokens import Tokens
from dmcp.config.model import OAuthSettings, RemoteServer
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded
from dmcp.messages.auth import (
    Challenged,
    Configured,
    Forget,
    SignInEnded,
    SignInStarted,
    Subscribe,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio
SERVER = RemoteServer("https://mcp.example")
START = 1_800_000_000.0


@dataclass
class FakeAuthorizer:
    """Answers a call when the test says so: ``finish`` the oldest one."""

    stored: Tokens | None = None
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    open: dict[str, asyncio.Future[Tokens]] = field(default_factory=dict)
    stubborn: bool = False  # it comes to its end when it is cancelled too

    async def load(self, name: str, server: RemoteServer) -> Tokens | None:
        self.calls.append(("load", name, {}))
        return self.stored

    async def refresh(self, name: str, server: RemoteServer) -> Tokens:
        return await self._start_job("refresh", name, {})

    async def reauthorize(self, name: str, server: RemoteServer, **how: Any) -> Tokens:
        return await self._start_job("reauthorize", name, how)

    async def _start_job(self, what: str, name: str, how: dict[str, Any]) -> Tokens:
        self.calls.append((what, name, how))
        work = self.open[name] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.shield(work) if self.stubborn else await work
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
            return await work

    def made(self, what: str) -> int:
        return sum(call[0] == what for call in self.calls)


@dataclass
class Listener:
    heard: list[object] = field(default_factory=list)

    def tell(self, message: object, /) -> None:
        self.heard.append(message)


class House:
    def __init__(self) -> None:
        self.now = START
        self.work = FakeAuthorizer()
        self.listener = Listener()
        self.ref = AuthActor.start(self.work, clock=lambda: self.now)
        self.ref.tell(Subscribe(self.listener))
        for group in ("one", "good", "stuck", "other"):
            self.ref.tell(Configured(group, SERVER))

    def credentials(self, group: str = "one", server: RemoteServer = SERVER) -> ActorCredentials:
        return ActorCredentials(self.ref, group, server)

    def tokens(self, access: str, lifetime: float = 3600.0) -> Tokens:
        return Tokens(access, "rt", self.now, self.now + lifetime)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    if house.ref.is_alive():
        house.ref.stop(block=False)
    await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 10)


async def test_fifty_requests_that_find_an_expiring_token_cause_one_renewal(house: House) -> None:
    house.work.stored = house.tokens("old")
    house.now += 3400
    asked = [asyncio.create_task(house.credentials().authorization()) for _ in range(50)]
    await settle()
    assert (house.work.made("load"), house.work.made("refresh")) == (1, 1)
    house.work.open["one"].set_result(house.tokens("new"))
    assert set(await soon(asyncio.gather(*asked))) == {"Bearer new"}
    assert house.work.made("refresh") == 1


async def test_a_group_whose_token_is_good_never_waits_for_another_groups_renewal(house: House) -> None:
    house.work.stored = house.tokens("a")
    assert await soon(house.credentials("good").authorization()) == "Bearer a"
    house.now += 3400
    stuck = asyncio.create_task(house.credentials("stuck").authorization())
    await settle()
    house.work.stored = house.tokens("b")
    assert await soon(house.credentials("other").authorization()) == "Bearer b"
    assert not stuck.done()
    stuck.cancel()


async def test_a_group_without_credentials_is_asked_for_none(house: House) -> None:
    assert await soon(house.credentials().authorization()) is None
    assert await soon(house.credentials().authorization()) is None
    assert house.work.calls == [("load", "one", {})]


async def test_a_renewal_that_fails_leaves_a_token_in_use_while_it_is_good(house: House) -> None:
    house.work.stored = house.tokens("old")
    house.now += 3400
    asked = asyncio.create_task(house.credentials().authorization())
    await settle()
    house.work.open["one"].set_exception(AuthUnavailable("down"))
    assert await soon(asked) == "Bearer old"
    assert await soon(house.credentials().authorization()) == "Bearer old"
    assert house.work.made("refresh") == 1  # not again at once
    house.now += 199
    again = asyncio.create_task(house.credentials().authorization())
    await settle()
    house.now += 2
    house.work.open["one"].set_exception(AuthUnavailable("down"))
    with pytest.raises(AuthUnavailable, match="down"):
        await soon(again)


async def test_many_refused_requests_are_mended_once(house: House) -> None:
    house.work.stored = house.tokens("old")
    await soon(house.credentials().authorization())
    refused = [
        asyncio.create_task(house.credentials().challenged(401, "Bearer", "Bearer old")) for _ in range(9)
    ]
    await settle()
    house.work.open["one"].set_result(house.tokens("new"))
    assert set(await soon(asyncio.gather(*refused))) == {"Bearer new"}
    assert await soon(house.credentials().challenged(401, "Bearer", "Bearer old")) == "Bearer new"
    assert house.work.made("reauthorize") == 1


async def test_a_token_refused_as_soon_as_it_was_issued_is_renewed_once_before_anybody_is_asked(
    house: House,
) -> None:
    house.work.stored = house.tokens("old")
    await soon(house.credentials().authorization())
    for rejected, given in (("old", "t1"), ("t1", "t2")):
        task = asyncio.create_task(house.credentials().challenged(401, "", f"Bearer {rejected}"))
        await settle()
        house.work.open["one"].set_result(house.tokens(given))
        await soon(task)
    assert [how["refresh"] for what, _, how in house.work.calls if what == "reauthorize"] == [True, False]


async def test_a_token_refused_as_soon_as_the_person_has_signed_in_is_renewed_without_asking_them_again(
    house: House,
) -> None:
    rejected = None
    for given in ("t1", "t2", "t3"):
        task = asyncio.create_task(house.credentials().challenged(401, "", rejected))
        await settle()
        house.work.open["one"].set_result(house.tokens(given))
        rejected = await soon(task)
    # The first time there is nothing that could be renewed: the authorizer finds out.
    assert [how["refresh"] for what, _, how in house.work.calls if what == "reauthorize"] == [
        True,
        True,
        False,
    ]


async def test_a_server_that_refuses_everything_does_not_cause_renewals_for_ever(house: House) -> None:
    house.work.stored = house.tokens("old")
    rejected = await soon(house.credentials().authorization())
    for turn in range(MAX_REFRESHES + 5):
        house.now += REFRESH_COOLDOWN * 2
        task = asyncio.create_task(house.credentials().challenged(401, "", rejected))
        await settle()
        house.work.open["one"].set_result(house.tokens(f"t{turn}"))
        rejected = await soon(task)
    assert sum(how["refresh"] for what, _, how in house.work.calls if what == "reauthorize") == MAX_REFRESHES


async def test_while_a_person_signs_in_other_requests_go_on_and_listeners_know_the_address(
    house: House,
) -> None:
    refused = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    waiting = asyncio.create_task(house.credentials().authorization())
    await settle()
    announce: Callable[[str], object] = house.work.calls[-1][2]["announce"]
    announce("https://sign.in")
    assert await soon(waiting) is None
    assert isinstance(house.listener.heard[0], SignInStarted)
    assert (house.listener.heard[0].group, house.listener.heard[0].url) == ("one", "https://sign.in")
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(refused) == "Bearer new"
    assert isinstance(house.listener.heard[1], SignInEnded)
    assert house.listener.heard[1].reason == ""


async def test_giving_up_on_a_sign_in_does_not_end_it(house: House) -> None:
    refused = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    refused.cancel()
    await settle()
    house.work.open["one"].set_result(house.tokens("late"))
    await settle()
    assert await soon(house.credentials().authorization()) == "Bearer late"


async def test_after_a_failed_sign_in_the_person_is_left_alone_for_a_while(house: House) -> None:
    async def refused() -> bool:
        task = asyncio.create_task(house.credentials().challenged(401, "", None))
        await settle()
        how = house.work.calls[-1][2]
        if how["ask"]:
            how["announce"]("https://sign.in")
            await settle()
        house.work.open["one"].set_exception(SignInNeeded("run `dmcp auth login one`"))
        with pytest.raises(SignInNeeded, match="dmcp auth login"):
            await soon(task)
        return bool(how["ask"])

    assert await refused()
    assert not await refused()
    house.now += PROMPT_COOLDOWN
    assert await refused()


@pytest.mark.parametrize(("pause", "prompts"), [(1.0, 1), (120.0, 3)])
async def test_the_browser_is_not_opened_for_ever_for_a_server_that_refuses_everything(
    house: House, pause: float, prompts: int
) -> None:
    asks, rejected = [], None
    for turn in range(6):
        house.now += pause
        task = asyncio.create_task(house.credentials().challenged(401, "", rejected))
        await settle()
        how = house.work.calls[-1][2]
        asks.append(how["ask"])
        if how["ask"]:
            how["announce"]("https://sign.in")
            await settle()
        house.work.open["one"].set_result(house.tokens(f"t{turn}"))
        rejected = await soon(task)
    assert asks == [turn < prompts for turn in range(6)]


async def test_the_same_step_up_is_tried_twice_and_then_refused(house: House) -> None:
    rejected = "Bearer t"
    house.work.stored = house.tokens("t")
    await soon(house.credentials().authorization())
    for turn in range(2):
        task = asyncio.create_task(house.credentials().challenged(403, "scope=w", rejected))
        await settle()
        house.work.open["one"].set_result(house.tokens(f"t{turn}"))
        rejected = await soon(task)
    with pytest.raises(AuthError, match="more permissions"):
        await soon(house.credentials().challenged(403, "scope=w", rejected))


async def test_an_authorization_server_that_is_down_is_not_asked_again_at_once(house: House) -> None:
    task = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.work.open["one"].set_exception(AuthUnavailable("down"))
    with pytest.raises(AuthUnavailable):
        await soon(task)
    with pytest.raises(AuthUnavailable, match="down"):
        await soon(house.credentials().challenged(401, "", None))
    assert house.work.made("reauthorize") == 1
    house.now += 60
    later = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(later) == "Bearer new"


async def test_another_configuration_of_a_group_starts_without_the_old_credentials(house: House) -> None:
    house.work.stored = house.tokens("old")
    assert await soon(house.credentials().authorization()) == "Bearer old"
    house.work.stored = None
    moved = RemoteServer("https://elsewhere", oauth=OAuthSettings(client_id="c"))
    house.ref.tell(Configured("one", moved))
    assert await soon(house.credentials(server=moved).authorization()) is None


@pytest.mark.parametrize("end", ["forget", "stop"])
async def test_nobody_is_left_waiting_when_the_group_or_the_actor_ends(house: House, end: str) -> None:
    waiting = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    if end == "forget":
        house.ref.tell(Forget("one"))
    else:
        house.ref.stop(block=False)
    with pytest.raises(AuthError):
        await soon(waiting)


async def test_a_bug_in_a_flight_is_told_as_one_and_the_actor_lives_on(house: House) -> None:
    waiting = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.work.open["one"].set_exception(ZeroDivisionError("oops"))
    with pytest.raises(AuthError, match="bug of dmcp"):
        await soon(waiting)
    assert house.ref.is_alive()


async def test_a_renewal_that_failed_for_now_is_none_and_the_next_refusal_is_renewed_again(
    house: House,
) -> None:
    house.work.stored = house.tokens("old")
    await soon(house.credentials().authorization())
    for end in (AuthUnavailable("down"), None):
        task = asyncio.create_task(house.credentials().challenged(401, "", "Bearer old"))
        await settle()
        if end is not None:
            house.work.open["one"].set_exception(end)
            with pytest.raises(AuthUnavailable, match="down"):
                await soon(task)
            house.now += 2  # less than FRESH
        else:
            house.work.open["one"].set_result(house.tokens("new"))
            assert await soon(task) == "Bearer new"
    assert [how["refresh"] for what, _, how in house.work.calls if what == "reauthorize"] == [True, True]


async def test_what_the_server_has_taken_since_it_was_renewed_is_renewed_when_it_is_refused(
    house: House,
) -> None:
    house.work.stored = house.tokens("old")
    credentials = house.credentials()
    await soon(credentials.authorization())
    for rejected, given in (("old", "t1"), ("t1", "t2"), ("t2", "t3")):
        task = asyncio.create_task(credentials.challenged(401, "", f"Bearer {rejected}"))
        await settle()
        house.work.open["one"].set_result(house.tokens(given))
        await soon(task)
        if given == "t1":
            credentials.accepted("Bearer t1")
    assert [how["refresh"] for what, _, how in house.work.calls if what == "reauthorize"] == [
        True,
        True,
        False,
    ]


async def test_nobody_is_asked_for_a_server_that_is_not_in_use(house: House) -> None:
    idle = house.ref.ask(Challenged("one", SERVER, 401, "", None, in_use=False), block=False)
    await settle()
    assert house.work.calls[-1][2]["ask"] is False
    used = asyncio.create_task(house.credentials().challenged(401, "", None))
    await settle()
    house.work.open["one"].set_exception(SignInNeeded("run `dmcp auth login one`"))
    with pytest.raises(SignInNeeded):
        await soon(idle)
    await settle()
    assert house.work.calls[-1][2]["ask"] is True
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(used) == "Bearer new"


async def test_a_use_that_begins_while_nobody_is_asked_leads_to_a_question_after_all(house: House) -> None:
    credentials, in_use = house.credentials(), False

    class Events:
        def is_in_use(self) -> bool:
            return in_use

    async def open_link(events: Any) -> Any:
        return events

    await credentials.opening(open_link)(Events())  # type: ignore[arg-type]  # a part of them
    task = asyncio.create_task(credentials.challenged(401, "", None))
    await settle()
    in_use = True
    house.work.open["one"].set_exception(SignInNeeded("run `dmcp auth login one`"))
    await settle()
    assert [how["ask"] for what, _, how in house.work.calls if what == "reauthorize"] == [False, True]
    house.work.open["one"].set_result(house.tokens("new"))
    assert await soon(task) == "Bearer new"


async def test_what_is_over_on_arrival_is_used_once_and_not_renewed_in_a_loop(house: House) -> None:
    house.work.stored = house.tokens("old", lifetime=0.0)
    asked = [asyncio.create_task(house.credentials().authorization()) for _ in range(3)]
    await settle()
    house.work.open["one"].set_result(house.tokens("new", lifetime=0.0))
    assert set(await soon(asyncio.gather(*asked))) == {"Bearer new"}
    await settle()
    assert house.work.made("refresh") == 1
