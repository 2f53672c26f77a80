"""The two tools, seen by the official SDK's client: what a client gets through dmcp is what it gets without."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from harness import OfficialClient, RawClient, dmcp_command, npm_server, sdk_server, text_of, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Entry

pytestmark = pytest.mark.anyio
_ALL_SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("contents", {}),
    ("add", {"a": 1, "b": 2.50}),
    ("fail", {}),
    ("echo", {"text": 'quotes " and \\ and \u2028 and \U0001f600'}),
    ("blob", {"bytes": 2_000_000}),
]


async def all_tools_of(server: Entry) -> list[dict[str, Any]]:
    """Every page of a server's own ``tools/list``, from the wire."""
    tools: list[dict[str, Any]] = []
    async with RawClient([server["command"], *server["args"]]) as client:
        await client.initialize()
        params: dict[str, Any] = {}
        while True:
            result = await client.request("tools/list", params)
            tools += result["tools"]
            if "nextCursor" not in result:
                return tools
            params = {"cursor": result["nextCursor"]}


def without_dialect(tool: dict[str, Any]) -> dict[str, Any]:
    """The same tool, the top-level ``$schema`` of its schemas dropped: the only thing dmcp may leave out."""
    schemas = {key: dict(tool[key]) for key in ("inputSchema", "outputSchema") if key in tool}
    for schema in schemas.values():
        schema.pop("$schema", None)
    return {**tool, **schemas}


async def test_the_client_sees_two_tools_whose_description_names_every_group(tmp_path: Path) -> None:
    second = sdk_server("--name", "second", description="Another one")
    async with OfficialClient.through_dmcp(tmp_path, first=sdk_server(), second=second) as client:
        listed = (await client.session.list_tools()).tools
        assert [tool.name for tool in listed] == ["get_dynamic_tools", "call_dynamic_tool"]
        described = listed[0].description or ""
        assert "first: The first server" in described
        assert "second: Another one" in described
        assert client.session.instructions


async def test_a_group_shows_all_pages_of_its_tools_with_every_field(tmp_path: Path) -> None:
    expected = [without_dialect(tool) for tool in await all_tools_of(sdk_server())]
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        shown = await client.tools("sdk")
    assert shown == expected
    assert shown[0]["_meta"] == {"example.org/kept": {"deep": [1, None, "x"]}}
    assert "outputSchema" in shown[1]


@pytest.mark.npm
async def test_the_tools_of_the_official_servers_are_shown_as_they_are(tmp_path: Path) -> None:
    servers = {"everything": npm_server("everything"), "files": npm_server("filesystem", str(tmp_path))}
    expected = {name: [without_dialect(t) for t in await all_tools_of(s)] for name, s in servers.items()}
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        for name in servers:
            # server-everything offers more once it knows what its client can do
            shown = {tool["name"]: tool for tool in await client.tools(name)}
            for tool in expected[name]:
                assert shown[tool["name"]] == tool


def result_of(frame: bytes) -> bytes:
    """The bytes of the result of an answer, wherever its envelope stands."""
    return re.sub(rb'(,"jsonrpc":"2\.0","id":\d+)?\}\s*\Z', b"", frame.partition(b'"result":')[2])


async def test_a_result_arrives_byte_for_byte_as_the_server_sent_it(tmp_path: Path) -> None:
    server = sdk_server()
    config = write_config(tmp_path / "config.json", {"sdk": server})
    sent, received = [], []
    async with RawClient([server["command"], *server["args"]]) as direct:
        await direct.initialize()
        for tool, args in _ALL_SHAPES:
            await direct.request("tools/call", {"name": tool, "arguments": args})
            sent.append(result_of(direct.lines[-1]))
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        for tool, args in _ALL_SHAPES:
            await client.call("sdk", tool, args)
            received.append(result_of(client.lines[-1]))
    assert all(sent)
    assert received == sent


async def test_a_json_rpc_error_keeps_its_code_and_data_and_names_the_group(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        with pytest.raises(MCPError) as caught:
            await client.call("sdk", "refuse")
    assert caught.value.code == -32042
    assert caught.value.data == {"elicitations": [], "hint": ["kept", 1]}
    assert "sdk" in caught.value.message
    assert "Sign in first" in caught.value.message


async def test_meta_of_a_call_reaches_the_server(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        result = await client.call("sdk", "meta", meta={"example.org/trace": "abc", "traceparent": "00-1"})
    assert result.structured_content["meta"] == {"example.org/trace": "abc", "traceparent": "00-1"}


async def test_progress_of_concurrent_calls_reaches_the_one_who_asked(tmp_path: Path) -> None:
    heard: dict[str, list[tuple[float, float | None, str | None]]] = {"one": [], "two": []}

    async def call(client: OfficialClient, group: str) -> None:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            heard[group].append((progress, total, message))

        await client.call(group, "progress", {"steps": len(group)}, progress_callback=note)

    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client, anyio.create_task_group() as tasks:
        for group in heard:
            tasks.start_soon(call, client, group)
    expected = [(1.0, 3.0, "step 1"), (2.0, 3.0, "step 2"), (3.0, 3.0, "step 3")]
    # The SDK runs each callback in a task of its own, so their order is the SDK's business.
    assert sorted(heard["one"]) == expected
    assert sorted(heard["two"]) == expected


async def test_arguments_may_come_as_a_string_of_json(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        assert text_of(await client.call("sdk", "echo", json.dumps({"text": "as a string"}))) == "as a string"


async def test_a_misspelt_name_is_a_tool_error_that_offers_the_right_one(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        wrong_tool = await client.call("sdk", "ecko")
        wrong_group = await client.call("sdkk", "echo")
        unlisted = await client.session.call_tool("get_dynamic_tools", {"group": "skd"})
    for result, hint in ((wrong_tool, "echo"), (wrong_group, "sdk"), (unlisted, "sdk")):
        assert result.is_error
        assert f"'{hint}'" in text_of(result)


async def test_a_slow_call_delays_no_other_on_the_same_server_or_another(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call, "one", "hang")
        await client.heard_upstream("one", "tools/call")
        for group in servers:  # each of these is answered although the first call never will be
            assert text_of(await client.call(group, "echo", {"text": group})) == group
        tasks.cancel_scope.cancel()


async def test_a_cancelled_call_is_cancelled_at_its_server(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, "sdk", "hang")
            await client.heard_upstream("sdk", "tools/call")
            tasks.cancel_scope.cancel()
        await client.heard_upstream("sdk", "notifications/cancelled")
        state = await client.call("sdk", "state")
    assert state.structured_content["cancelled"] == 1
