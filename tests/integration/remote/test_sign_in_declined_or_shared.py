"""A sign-in the person does not want, and one that several dmcp processes need: everybody is told what is going on."""

from __future__ import annotations

import re
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import RawClient, RpcError
from integration.remote.guarded import (
    SIGNED_IN,
    URLS,
    ask,
    client_of,
    look,
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
ELSEWHERE = "another dmcp process"


async def waits_for_another(client: RawClient) -> None:
    """Wait until dmcp says in its log that another process is signing in."""
    await client.until(lambda: f"far: waits for {ELSEWHERE}" in client.stderr, "a word about the other one")


def port_of(offer: dict[str, Any]) -> int:
    """The port of this machine at which dmcp waits for the person to come back."""
    query = parse_qs(urlsplit(offer["params"]["url"]).query)
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
        offer = await offered(client)
        calls = [ask(client) for _ in range(3)]
        client.respond(offer, {"action": "decline"})
        for call in calls:  # dmcp reads them before the answer that follows them
            error = (await client.answer(call))["error"]["message"]
            assert re.search(r"its sign-in was declined: run `dmcp auth login \S+ far`", error)
            assert "has not run" in error
        with pytest.raises(RpcError, match=r"run `dmcp auth login \S+ far`"):
            await client.call("far", "whoami")
        assert client.inbox == []  # neither asked again, nor told that the sign-in is done
    assert guarded.count("authorizations") == 0


async def test_a_declined_sign_in_frees_its_port_and_lets_another_dmcp_sign_in(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offer = await offered(client)
        port = port_of(offer)
        assert is_open(port)
        call = ask(client)
        client.respond(offer, {"action": "decline"})
        assert "error" in await client.answer(call)
        assert not is_open(port)
        async with client_of(guarded, home, "other") as other:
            await other.initialize(capabilities=URLS)
            offer = await offered(other)
            await visit(offer["params"]["url"])
            assert await whoami(other) == SIGNED_IN
            # What was signed in elsewhere is found, though this client's person said no.
            assert await whoami(client) == SIGNED_IN


async def test_a_sign_in_declined_in_the_middle_of_a_session_fails_the_calls_that_need_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        await sign_in(client)
        assert await whoami(client) == SIGNED_IN
        guarded.set(revoke=True)
        calls = [ask(client) for _ in range(3)]
        client.respond(await offered(client), {"action": "decline"})
        errors = [(await client.answer(call))["error"]["message"] for call in calls]
        assert all(re.search(r"run `dmcp auth login \S+ far`", error) for error in errors)
        assert any("its sign-in was declined" in error for error in errors)  # the others may have come later


@pytest.mark.parametrize("way", ["dismissed", "refused", "nonsense"])
async def test_a_dialog_that_is_not_declined_leaves_the_sign_in_open(
    guarded: OAuthServer, home: Path, way: str
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities=URLS)
        offer = await offered(client)
        call = ask(client)
        if way == "refused":
            client.refuse(offer, -32603, "no window to show it in")
        elif way == "dismissed":
            client.respond(offer, {"action": "cancel"})
        else:
            client.send({"jsonrpc": "2.0", "id": offer["id"], "result": {"action": ["decline"]}})
        await client.request("ping")  # answered after what was sent before
        await visit(offer["params"]["url"])
        assert text_of((await client.answer(call))["result"]) == SIGNED_IN


async def test_a_second_dmcp_says_that_it_waits_for_the_first_ones_sign_in_and_then_uses_it(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as first, client_of(guarded, home, "second", near=True) as second:
        await first.initialize(capabilities=URLS)
        offer = await offered(first)
        await second.initialize(capabilities=URLS)
        await waits_for_another(second)
        assert text_of(await second.call("near", "echo", {"text": "near"})) == "near"
        call = ask(second)
        await visit(offer["params"]["url"])
        assert text_of((await second.answer(call))["result"]) == SIGNED_IN
        assert await whoami(first) == SIGNED_IN
        assert second.inbox == []
    assert guarded.count("authorizations") == 1


async def test_a_call_that_waits_too_long_for_another_dmcps_sign_in_says_so(
    guarded: OAuthServer, home: Path
) -> None:
    short = client_of(guarded, home, "second", tools="300ms", connect="300ms")
    async with client_of(guarded, home) as first, short as second:
        await first.initialize(capabilities=URLS)
        await offered(first)
        await second.initialize(capabilities=URLS)
        await waits_for_another(second)
        with pytest.raises(RpcError, match=f"far is unavailable: {ELSEWHERE} is signing in") as refused:
            await second.call("far", "whoami")
        assert "then try again" in refused.value.message


async def test_a_second_dmcp_without_any_way_to_ask_waits_for_the_first_one_too(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as first, client_of(guarded, home, "second") as second:
        await first.initialize(capabilities=URLS)
        offer = await offered(first)
        await second.initialize()
        await waits_for_another(second)
        await visit(offer["params"]["url"])
        assert await whoami(second) == SIGNED_IN


@pytest.mark.parametrize("end", ["killed", "declined"])
async def test_a_second_dmcp_takes_the_sign_in_over_when_the_first_gives_it_up(
    guarded: OAuthServer, home: Path, end: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(client_of(guarded, home))
        await first.initialize(capabilities=URLS)
        use = look(first)
        offer = await first.heard("elicitation/create")
        async with client_of(guarded, home, "second") as second:
            await second.initialize(capabilities=URLS)
            await waits_for_another(second)
            first.notify("notifications/cancelled", {"requestId": use})
            if end == "killed":
                first.process.kill()
                await first.exited()
            else:
                first.respond(offer, {"action": "decline"})
            mine = await offered(second)
            await visit(mine["params"]["url"])
            assert await whoami(second) == SIGNED_IN
    assert guarded.count("authorizations") == 1
