"""A sign-in the person does not want, and one that several dmcp processes need: everybody is told what is going on."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import RawClient, RpcError, dmcp_command, sdk_server, write_config
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
URLS = {"elicitation": {"form": {}, "url": {}}}
"""The capabilities of a client that shows a person an address."""
SIGNED_IN = "somebody who signed in"
ELSEWHERE = "another dmcp process"


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


def client_of(
    guarded: OAuthServer, home: Path, name: str = "dmcp", *, near: bool = False, **timeouts: str
) -> RawClient:
    servers: dict[str, Any] = {
        "far": {"description": "guarded", "url": guarded.url, "timeout": {"tools": "20s", **timeouts}}
    }
    if near:
        servers["near"] = sdk_server()
    return RawClient(dmcp_command(write_config(home / f"{name}.json", servers)))


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


async def listed(client: RawClient) -> str:
    """What the client is told of the groups."""
    return json.dumps(await client.request("tools/list"))


async def told(client: RawClient, words: str) -> None:
    """Wait until the group's line says this. Each look is an answer of dmcp, so that this is no busy loop."""
    async with asyncio.timeout(20):
        while words not in await listed(client):
            pass


def port_of(offered: dict[str, Any]) -> int:
    """The port of this machine at which dmcp waits for the person to come back."""
    query = parse_qs(urlsplit(offered["params"]["url"]).query)
    port = urlsplit(query["redirect_uri"][0]).port
    assert port is not None
    return port


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_a_declined_sign_in_fails_the_calls_that_wait_and_is_not_offered_again_for_a_while(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        calls = [ask(client) for _ in range(3)]
        client.respond(offered, {"action": "decline"})
        for call in calls:  # dmcp reads them before the answer that follows them
            error = (await client.answer(call))["error"]["message"]
            assert "its sign-in was declined: run `dmcp auth login far`" in error
            assert "has not run" in error
        with pytest.raises(RpcError, match="run `dmcp auth login far`"):
            await client.call("far", "whoami")
        assert "waiting for the person" not in await listed(client)
        assert client.inbox == []  # neither asked again, nor told that the sign-in is done
    assert guarded.count("authorizations") == 0


async def test_a_declined_sign_in_frees_its_port_and_lets_another_dmcp_sign_in(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        port = port_of(offered)
        assert is_open(port)
        call = ask(client)
        client.respond(offered, {"action": "decline"})
        assert "error" in await client.answer(call)
        assert not is_open(port)
        async with client_of(guarded, home, "other") as other:
            await other.initialize(capabilities=URLS)
            offered = await other.heard("elicitation/create")
            await visit(offered["params"]["url"])
            assert text_of(await other.call("far", "whoami")) == SIGNED_IN
            # What was signed in elsewhere is found, though this client's person said no.
            assert text_of(await client.call("far", "whoami")) == SIGNED_IN


async def test_a_sign_in_declined_in_the_middle_of_a_session_fails_the_calls_that_need_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        client.respond(offered, {"action": "accept"})
        await visit(offered["params"]["url"])
        assert text_of(await client.call("far", "whoami")) == SIGNED_IN
        guarded.set(revoke=True)
        calls = [ask(client) for _ in range(3)]
        client.respond(await client.heard("elicitation/create"), {"action": "decline"})
        errors = [(await client.answer(call))["error"]["message"] for call in calls]
        assert all("run `dmcp auth login far`" in error for error in errors)
        assert any("its sign-in was declined" in error for error in errors)  # the others may have come later


@pytest.mark.parametrize("way", ["dismissed", "refused", "nonsense"])
async def test_a_dialog_that_is_not_declined_leaves_the_sign_in_open(
    guarded: OAuthServer, home: Path, way: str
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offered = await client.heard("elicitation/create")
        call = ask(client)
        if way == "refused":
            client.refuse(offered, -32603, "no window to show it in")
        elif way == "dismissed":
            client.respond(offered, {"action": "cancel"})
        else:
            client.send({"jsonrpc": "2.0", "id": offered["id"], "result": {"action": ["decline"]}})
        await told(client, "waiting for the person to sign in")
        await visit(offered["params"]["url"])
        assert text_of((await client.answer(call))["result"]) == SIGNED_IN


async def test_a_second_dmcp_says_that_it_waits_for_the_first_ones_sign_in_and_then_uses_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as first, client_of(guarded, home, "second", near=True) as second:
        await first.initialize(capabilities=URLS)
        offered = await first.heard("elicitation/create")
        await second.initialize(capabilities=URLS)
        await told(second, f"waiting for {ELSEWHERE}")
        assert text_of(await second.call("near", "echo", {"text": "near"})) == "near"
        call = ask(second)
        await visit(offered["params"]["url"])
        assert text_of((await second.answer(call))["result"]) == SIGNED_IN
        assert text_of(await first.call("far", "whoami")) == SIGNED_IN
        assert ELSEWHERE not in await listed(second)
        assert second.inbox == []
    assert guarded.count("authorizations") == 1


async def test_a_call_that_waits_too_long_for_another_dmcps_sign_in_says_so(
    guarded: OAuthServer, home: Path
) -> None:
    short = client_of(guarded, home, "second", tools="300ms", connect="300ms")
    async with client_of(guarded, home) as first, short as second:
        await first.initialize(capabilities=URLS)
        await first.heard("elicitation/create")
        await second.initialize(capabilities=URLS)
        await told(second, f"waiting for {ELSEWHERE}")
        with pytest.raises(RpcError, match=f"far is unavailable: {ELSEWHERE} is signing in") as refused:
            await second.call("far", "whoami")
        assert "then try again" in refused.value.message
        await told(
            second, f"waiting for {ELSEWHERE}"
        )  # the deadline for connecting has passed and does not count


async def test_a_second_dmcp_without_any_way_to_ask_waits_for_the_first_one_too(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as first, client_of(guarded, home, "second") as second:
        await first.initialize(capabilities=URLS)
        offered = await first.heard("elicitation/create")
        await second.initialize()
        await told(second, f"waiting for {ELSEWHERE}")
        await visit(offered["params"]["url"])
        assert text_of(await second.call("far", "whoami")) == SIGNED_IN


@pytest.mark.parametrize("end", ["killed", "declined"])
async def test_a_second_dmcp_takes_the_sign_in_over_when_the_first_gives_it_up(
    guarded: OAuthServer, home: Path, end: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(client_of(guarded, home))
        await first.initialize(capabilities=URLS)
        offered = await first.heard("elicitation/create")
        async with client_of(guarded, home, "second") as second:
            await second.initialize(capabilities=URLS)
            await told(second, f"waiting for {ELSEWHERE}")
            if end == "killed":
                first.process.kill()
                await first.exited()
            else:
                first.respond(offered, {"action": "decline"})
            mine = await second.heard("elicitation/create")
            await told(second, "waiting for the person to sign in at")
            await visit(mine["params"]["url"])
            assert text_of(await second.call("far", "whoami")) == SIGNED_IN
    assert guarded.count("authorizations") == 1
