"""A sign-in that waits for a person: the group's line and every call say so, and no other group notices."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, sdk_server, write_config
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
URLS = {"elicitation": {"form": {}, "url": {}}}
"""The capabilities of a client that shows a person an address."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, without any browser."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def guarded(home: Path, no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    with running() as server:
        yield server


def client_of(guarded: OAuthServer, home: Path, timeout: str = "20s") -> RawClient:
    far = {"description": "guarded", "url": guarded.url, "timeout": {"tools": timeout}}
    return RawClient(dmcp_command(write_config(home / "dmcp.json", {"far": far, "near": sdk_server()})))


async def visit(url: str) -> None:
    """Do what a person does in a browser."""

    def open_page() -> None:
        urllib.request.urlopen(url, timeout=20).close()

    await asyncio.to_thread(open_page)


def ask(client: RawClient) -> int | str:
    """Call the guarded tool without waiting for it."""
    arguments = {"group": "far", "name": "whoami", "args": {}}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


async def test_a_client_that_shows_addresses_is_offered_the_sign_in_and_told_when_it_is_done(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        call = ask(client)
        offered = await client.heard("elicitation/create")
        assert offered["params"]["mode"] == "url"
        assert "far" in offered["params"]["message"]
        assert text_of(await client.call("near", "echo", {"text": "near"})) == "near"
        listed = json.dumps(await client.request("tools/list"))
        assert "waiting for the person to sign in" in listed
        client.respond(offered, {"action": "accept"})
        await visit(offered["params"]["url"])
        done = await client.heard("notifications/elicitation/complete")
        assert done["params"]["elicitationId"] == offered["params"]["elicitationId"]
        assert text_of((await client.answer(call))["result"]) == "somebody who signed in"
        assert "waiting for the person" not in json.dumps(await client.request("tools/list"))
    assert guarded.count("authorizations") == 1


async def test_an_offer_nobody_has_answered_is_withdrawn_when_the_sign_in_is_done(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        await visit(offered["params"]["url"])
        withdrawn = await client.heard("notifications/cancelled")
        assert withdrawn["params"]["requestId"] == offered["id"]
        client.respond(offered, {"action": "cancel"})  # too late, and harmless
        assert text_of(await client.call("far", "whoami")) == "somebody who signed in"


async def test_a_call_that_waits_too_long_for_the_sign_in_says_where_to_do_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home, "300ms") as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        with pytest.raises(RpcError, match="far is unavailable: sign in first") as refused:
            await client.call("far", "whoami")
        assert offered["params"]["url"] in refused.value.message
        client.respond(offered, {"action": "decline"})


async def test_a_sign_in_that_is_needed_in_the_middle_of_a_session_lets_calls_wait(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        client.respond(offered, {"action": "accept"})
        await visit(offered["params"]["url"])
        assert text_of(await client.call("far", "whoami")) == "somebody who signed in"
        guarded.set(revoke=True)
        calls = [ask(client) for _ in range(5)]
        again = await client.heard("elicitation/create")
        assert text_of(await client.call("near", "echo", {"text": "near"})) == "near"
        client.respond(again, {"action": "accept"})
        await visit(again["params"]["url"])
        for call in calls:
            assert text_of((await client.answer(call))["result"]) == "somebody who signed in"
    assert guarded.count("authorizations") == 2


async def test_a_401_in_the_middle_of_a_session_costs_one_renewal_and_no_call(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        client.respond(offered, {"action": "accept"})
        await visit(offered["params"]["url"])
        assert text_of(await client.call("far", "whoami")) == "somebody who signed in"
    age_tokens(home)  # those that are seconds old would not be renewed: that would not help
    async with client_of(guarded, home) as client:
        await client.initialize()
        assert text_of(await client.call("far", "whoami")) == "somebody who signed in"
        guarded.set(expire_access=True)
        calls = [ask(client) for _ in range(20)]
        for call in calls:
            assert text_of((await client.answer(call))["result"]) == "somebody who signed in"
    counts = guarded.report()["counts"]
    assert (counts["authorizations"], counts.get("token:refresh_token", 0)) == (1, 1)


def age_tokens(home: Path) -> None:
    """Make the stored tokens ten minutes old; they are good for an hour."""
    path = home / ".dynamic-mcp" / "oauth-servers" / "far.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    tokens = stored["entries"][0]["tokens"]
    then = dt.datetime.fromisoformat(tokens["obtained_at"]) - dt.timedelta(minutes=10)
    tokens["obtained_at"] = then.isoformat()
    path.write_text(json.dumps(stored), encoding="utf-8")


async def test_a_client_that_shows_no_addresses_is_not_asked_to(guarded: OAuthServer, home: Path) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities={"elicitation": {"form": {}}})
        with pytest.raises(RpcError, match="dmcp auth login far"):
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
        with pytest.raises(RpcError, match="dmcp auth login far"):
            await client.call("far", "whoami")
        before = guarded.count("mcp")
        for number in range(200):  # as long as dozens of the shortest pauses
            await client.call("near", "echo", {"text": str(number)})
        assert guarded.count("mcp") == before
        with pytest.raises(RpcError, match="dmcp auth login far"):
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
        assert text_of(await client.call("far", "whoami")) == "somebody who signed in"
        assert "to sign in to far, open" in client.stderr
