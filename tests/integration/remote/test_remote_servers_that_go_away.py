"""A remote server that is down, restarted or forgetful costs its own calls at most, and only those that must."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, sdk_server, write_config
from servers.remote_process import RemoteServer, everything, free_port, remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
FAST = {"restart": {"backoff_min": "10ms", "backoff_max": "100ms", "intensity": 10000}}
"""A restart policy that does not keep a test waiting."""


@pytest.fixture(params=["http", "sse"])
def far(
    request: pytest.FixtureRequest, tmp_path: Path, no_process_is_left_behind: None
) -> Iterator[RemoteServer]:
    with remote(tmp_path, request.param, up=False) as server:
        yield server


def client_of(far: RemoteServer, room: Path, **others: Any) -> RawClient:
    return RawClient(dmcp_command(write_config(room / "dmcp.json", {"far": far.entry | FAST, **others})))


def ask(client: RawClient, name: str) -> int | str:
    """Call a tool without waiting for it."""
    arguments = {"group": "far", "name": name, "args": {}}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


async def until_answered(client: RawClient, group: str, **args: Any) -> dict[str, Any]:
    """Call ``echo`` until it succeeds; every call before has to say that it has not run."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await client.call(group, "echo", args)
            except RpcError as error:
                if "has not run" not in error.message:
                    raise
                await asyncio.sleep(0.02)


async def test_a_server_that_is_down_at_the_start_is_used_as_soon_as_it_is_up(
    far: RemoteServer, tmp_path: Path
) -> None:
    async with client_of(far, tmp_path, near=sdk_server()) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"far.*cannot be reached.*has not run"):
            await client.call("far", "echo", {"text": "?"})
        assert (await client.call("near", "echo", {"text": "near"}))["content"][0]["text"] == "near"
        with pytest.raises(RpcError, match="far is unavailable: not reachable") as caught:
            await client.tools("far")
        assert "cannot be reached" in caught.value.data["reason"]
        far.start()
        assert (await until_answered(client, "far", text="far"))["content"][0]["text"] == "far"


async def test_of_the_calls_in_flight_only_those_that_may_be_are_repeated_after_a_restart(
    far: RemoteServer, tmp_path: Path
) -> None:
    far.start()
    async with client_of(far, tmp_path, near=sdk_server()) as client:
        await client.initialize()
        peek, poke = ask(client, "peek"), ask(client, "poke")
        far.until(call="peek")
        far.until(call="poke")
        far.stop()
        refused = (await client.answer(poke))["error"]["message"]
        assert "far" in refused
        assert "outcome is unknown" in refused
        assert (await client.call("near", "echo", {"text": "near"}))["content"][0]["text"] == "near"
        far.start()
        answer = await client.answer(peek)
        assert answer["result"]["content"][0]["text"] == "peek: life 2", answer
    assert len(far.journal(call="poke")) == 1
    assert len(far.journal(call="peek")) == 2


async def test_a_restart_while_nothing_is_asked_is_not_noticed_by_the_client(
    far: RemoteServer, tmp_path: Path
) -> None:
    far.start()
    async with client_of(far, tmp_path) as client:
        await client.initialize()
        await client.call("far", "echo", {"text": "before"})
        far.stop()
        far.start()
        assert (await until_answered(client, "far", text="after"))["content"][0]["text"] == "after"
        assert len(far.journal(method="initialize")) == 2


async def test_a_restarted_server_is_told_again_what_the_client_wants_to_hear_of(
    far: RemoteServer, tmp_path: Path
) -> None:
    far.start()
    uri = "note://far/1"
    async with client_of(far, tmp_path) as client:
        await client.initialize()
        await client.request("logging/setLevel", {"level": "warning"})
        await client.request("resources/subscribe", {"uri": uri})
        far.stop()
        far.start()
        await until_answered(client, "far", text="after")
        far.until(2, method="logging/setLevel")
        far.until(2, method="resources/subscribe")
        await client.call("far", "touch", {"uri": uri})
        await client.heard("notifications/resources/updated", lambda params: params["uri"] == uri)


async def test_a_forgotten_session_is_begun_anew_once_for_all_calls_in_flight(tmp_path: Path) -> None:
    with remote(tmp_path) as far:
        async with client_of(far, tmp_path) as client:
            await client.initialize()
            peek = ask(client, "peek")
            far.until(call="peek")
            end_session(far)
            calls = [client.call("far", "echo", {"text": str(number)}) for number in range(20)]
            results = await asyncio.gather(*calls)
            assert [result["content"][0]["text"] for result in results] == [str(n) for n in range(20)]
            assert (await client.answer(peek))["result"]["content"][0]["text"] == "peek: life 1"
        assert len(far.journal(method="initialize")) == 2
        assert len(far.sessions()) == 2


def end_session(far: RemoteServer) -> None:
    """Make the server forget its session, as if it had expired."""
    headers = {"Mcp-Session-Id": far.sessions()[-1], "MCP-Protocol-Version": "2025-11-25"}
    request = urllib.request.Request(far.url, headers=headers, method="DELETE")
    urllib.request.urlopen(request, timeout=20).close()


@pytest.mark.npm
async def test_a_server_that_refuses_an_unknown_session_with_400_is_greeted_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    config = write_config(tmp_path / "dmcp.json", {"everything": {"url": url, **FAST}})
    async with RawClient(dmcp_command(config)) as client:
        with everything("streamableHttp", port):
            await client.initialize()
            await until_echoed(client)
        with everything("streamableHttp", port):
            await until_echoed(client)


async def until_echoed(client: RawClient) -> None:
    result = await until_answered(client, "everything", message="hi")
    assert result["content"][0]["text"] == "Echo: hi"
