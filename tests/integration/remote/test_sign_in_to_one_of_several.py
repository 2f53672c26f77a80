"""A sign-in that waits for a person: the group's line and every call say so, and no other group notices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, RpcError, dmcp_command, sdk_server, write_config
from integration.remote.guarded import (
    SIGNED_IN,
    URLS,
    ask,
    client_of,
    offered,
    sign_in,
    text_of,
    visit,
    whoami,
)

if TYPE_CHECKING:
    from pathlib import Path

    from servers.oauth_process import OAuthServer

pytestmark = pytest.mark.anyio


async def test_a_client_that_shows_addresses_is_offered_the_sign_in_and_told_when_it_is_done(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home, near=True) as client:
        await client.initialize(capabilities=URLS)
        call = ask(client)
        offer = await offered(client)
        assert offer["params"]["mode"] == "url"
        assert "far" in offer["params"]["message"]
        assert text_of(await client.call("near", "echo", {"text": "near"})) == "near"
        listed = await client.request("tools/list")
        client.respond(offer, {"action": "accept"})
        await visit(offer["params"]["url"])
        done = await client.heard("notifications/elicitation/complete")
        assert done["params"]["elicitationId"] == offer["params"]["elicitationId"]
        assert text_of((await client.answer(call))["result"]) == SIGNED_IN
        assert await client.request("tools/list") == listed
    assert guarded.count("authorizations") == 1


async def test_an_offer_nobody_has_answered_is_withdrawn_when_the_sign_in_is_done(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offer = await offered(client)
        await visit(offer["params"]["url"])
        withdrawn = await client.heard("notifications/cancelled")
        assert withdrawn["params"]["requestId"] == offer["id"]
        client.respond(offer, {"action": "cancel"})  # too late, and harmless
        assert await whoami(client) == SIGNED_IN


async def test_a_call_that_waits_too_long_for_the_sign_in_says_where_to_do_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home, tools="300ms") as client:
        await client.initialize(capabilities=URLS)
        offer = await offered(client)
        with pytest.raises(RpcError, match="far is unavailable: sign in first") as refused:
            await client.call("far", "whoami")
        assert offer["params"]["url"] in refused.value.message
        client.respond(offer, {"action": "decline"})


async def test_a_sign_in_that_is_needed_in_the_middle_of_a_session_lets_calls_wait(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home, near=True) as client:
        await client.initialize(capabilities=URLS)
        await sign_in(client)
        assert await whoami(client) == SIGNED_IN
        guarded.set(revoke=True)
        calls = [ask(client) for _ in range(5)]
        again = await offered(client)
        assert text_of(await client.call("near", "echo", {"text": "near"})) == "near"
        client.respond(again, {"action": "accept"})
        await visit(again["params"]["url"])
        for call in calls:
            assert text_of((await client.answer(call))["result"]) == SIGNED_IN
    assert guarded.count("authorizations") == 2


async def test_a_401_in_the_middle_of_a_session_costs_one_renewal_and_no_call(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        await sign_in(client)
        assert await whoami(client) == SIGNED_IN
        guarded.set(expire_access=True)
        calls = [ask(client) for _ in range(20)]
        for call in calls:
            assert text_of((await client.answer(call))["result"]) == SIGNED_IN
    counts = guarded.report()["counts"]
    assert (counts["authorizations"], counts.get("token:refresh_token", 0)) == (1, 1)


async def test_a_client_that_shows_no_addresses_is_not_asked_to(guarded: OAuthServer, home: Path) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities={"elicitation": {"form": {}}})
        with pytest.raises(RpcError, match=r"dmcp auth login \S+ far"):
            await client.call("far", "whoami")
        assert client.inbox == []


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_server_that_wants_a_sign_in_nobody_can_do_is_not_asked_in_a_loop(
    kind: str, guarded: OAuthServer, home: Path
) -> None:
    hasty = {"backoff_min": "1ms", "backoff_max": "1ms", "intensity": 100000}
    far = {"description": "guarded", "url": guarded.url, "type": kind, "restart": hasty}
    config = write_config(home / "dmcp.json", {"far": far, "near": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"dmcp auth login \S+ far"):
            await client.call("far", "whoami")
        before = guarded.count("mcp")
        for number in range(200):  # as long as dozens of the shortest pauses
            await client.call("near", "echo", {"text": str(number)})
        assert guarded.count("mcp") == before
        with pytest.raises(RpcError, match=r"dmcp auth login \S+ far"):
            await client.call("far", "whoami")
        assert guarded.count("mcp") == before + 1


async def test_a_browser_is_opened_as_well_where_there_is_one(
    guarded: OAuthServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = home / "browser.py"
    script.write_text("import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).close()")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script}")
    async with client_of(guarded, home) as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
        await client.logged("to sign in to far, open")
