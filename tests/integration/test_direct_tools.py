"""Tools of servers under their own names, beside dmcp's two or instead of them, from a real dmcp."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import mcp_types as types
import psutil
import pytest

from harness import OfficialClient, RawClient, RpcError, dmcp_command, sdk_server, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio

TWO = ["get_dynamic_tools", "call_dynamic_tool"]
CLAIMER = TESTS / "servers" / "claimer.py"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tool(name: str, says: str = "", **more: Any) -> dict[str, Any]:
    result = {"content": [{"type": "text", "text": says or name}]}
    return {
        "name": name,
        "description": f"Does {name}",
        "inputSchema": {"type": "object"},
        "result": result,
        **more,
    }


def claimer(room: Path, name: str, *tools: Any, more: dict[str, Any] | None = None, **entry: Any) -> Entry:
    file = room / f"{name}.json"
    file.write_text(json.dumps({"name": name, "tools": tools, **(more or {})}))
    return python_server(CLAIMER, str(file), **entry)


def in_front_of(room: Path, servers: dict[str, Entry], **top: Any) -> RawClient:
    return RawClient(dmcp_command(write_config(room / "dmcp.json", servers, **top)))


async def listed(client: RawClient) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = (await client.request("tools/list"))["tools"]
    return tools


async def names(client: RawClient) -> list[str]:
    return [entry["name"] for entry in await listed(client)]


def kill(client: RawClient, word: str) -> None:
    (server,) = [p for p in psutil.Process(client.pid).children() if word in " ".join(p.cmdline())]
    server.kill()
    server.wait()


async def said(client: RawClient, name: str, **arguments: Any) -> str:
    result = await client.request("tools/call", {"name": name, "arguments": arguments})
    text: str = result["content"][0]["text"]
    return text


async def test_direct_tools_stand_beside_the_two_and_each_call_reaches_its_own_server(tmp_path: Path) -> None:
    whole = tool(
        "whole", _meta={"anthropic/alwaysLoad": True, "k": [1]}, outputSchema={"type": "object"}, title="W"
    )
    servers = {
        "a": claimer(
            tmp_path, "a", tool("echo", "a"), whole, tool("call_dynamic_tool", "mine"), expose="direct"
        ),
        "b": claimer(
            tmp_path,
            "b",
            *(tool("echo", "b"), tool("read_x"), tool("read_y"), tool("write")),
            tools={"direct": ["read_*", "echo"], "exclude": ["read_y"]},
        ),
        "c": claimer(
            tmp_path, "c", tool("a_echo", "c"), tool("odd\u202ename"), {"name": "broken", "inputSchema": 1}
        ),
    }
    async with in_front_of(tmp_path, servers, tools={"direct": ["*_echo", "odd*", "broken"]}) as client:
        await client.initialize()
        tools = await listed(client)
        shown = [entry["name"] for entry in tools]
        assert shown[:-1] == [*TWO, "a_echo", "whole", "a_call_dynamic_tool", "b_echo", "read_x", "c_a_echo"]
        assert shown[-1].startswith("c_odd_name_")
        assert tools[3] == {key: value for key, value in whole.items() if key != "result"}
        assert "- a:" not in tools[0]["description"]
        assert tools[0]["inputSchema"]["properties"]["group"]["enum"] == ["b", "c"]
        assert [await said(client, name) for name in shown[2:]] == [
            *("a", "whole", "mine", "b", "read_x", "c", "odd\u202ename"),
        ]
        # The two tools know every group, also those that need them no more, and all of their tools.
        assert (await client.call("a", "echo"))["content"][0]["text"] == "a"
        assert [entry["name"] for entry in await client.tools("b")] == ["echo", "read_x", "write"]
        for wrong in ("echo", "write", "read_y", "whol", "get_dynamic_tool"):
            with pytest.raises(RpcError) as caught:
                await said(client, wrong)
            assert caught.value.code == -32602
            assert "unknown tool" in caught.value.message
        with pytest.raises(RpcError, match="Did you mean 'whole'"):
            await said(client, "whol")
        assert client.inbox == []


async def test_without_a_group_left_the_two_tools_are_not_shown_and_still_understood(tmp_path: Path) -> None:
    servers = {
        "a": claimer(tmp_path, "a", tool("one"), expose="direct"),
        "b": claimer(tmp_path, "b", tool("two"), tools={"direct": ["*"]}),
        "off": claimer(tmp_path, "off", tool("three"), features={"tools": False}),
    }
    async with in_front_of(tmp_path, servers) as client:
        await client.initialize()
        assert await names(client) == ["one", "two"]
        assert (await client.call("b", "two"))["content"][0]["text"] == "two"
        write_config(
            tmp_path / "dmcp.json", {**servers, "b": {**servers["b"], "expose": "dynamic", "tools": {}}}
        )
        await client.heard("notifications/tools/list_changed")
        assert await names(client) == [*TWO, "one"]


async def test_the_list_is_the_same_whatever_happens_to_a_server_and_follows_its_own_offer(
    tmp_path: Path,
) -> None:
    note = {"method": "notifications/tools/list_changed"}
    restart = {"backoff_min": "10ms", "backoff_max": "20ms", "intensity": 1000}
    entry = claimer(tmp_path, "a", tool("announce"), more={"notes": [note]}, expose="direct", restart=restart)
    calm = claimer(tmp_path, "calm", tool("calm"))
    async with in_front_of(tmp_path, {"a": entry, "calm": calm}) as client:
        await client.initialize()
        before = await client.request("tools/list")
        assert [one["name"] for one in before["tools"]] == [*TWO, "announce"]
        for _ in range(10):
            kill(client, "a.json")
            assert await client.request("tools/list") == before
            with suppress(RpcError):  # which came first
                await said(client, "announce")
            assert await said(client, "announce") == "announce"
        assert [m for m in client.inbox if m["method"] == note["method"]] == []
        claimer(tmp_path, "a", tool("announce"), tool("new"), more={"notes": [note]})
        kill(client, "a.json")  # the next life of it offers more
        await client.heard(note["method"])
        assert await names(client) == [*TWO, "announce", "new"]
        assert await said(client, "new") == "new"


@pytest.mark.parametrize("startup", ["eager", "lazy"])
async def test_a_server_that_is_down_or_asleep_shows_what_it_offered_last(
    tmp_path: Path, startup: str
) -> None:
    entry = claimer(tmp_path, "a", tool("one"), tool("two"), expose="direct", startup=startup)
    async with in_front_of(tmp_path, {"a": entry}) as client:
        await client.initialize()
        before = await client.request("tools/list")  # a lazy one that nobody knows is started to be known
        assert [one["name"] for one in before["tools"]] == ["one", "two"]
        assert await said(client, "two") == "two"
    kept = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").unlink()  # it does not start any more
    async with in_front_of(tmp_path, {"a": entry}) as client:
        await client.initialize()
        assert await client.request("tools/list") == before
        with pytest.raises(RpcError, match="a "):
            await said(client, "one")
        assert await client.request("tools/list") == before
    (tmp_path / "a.json").write_text(kept)
    async with in_front_of(tmp_path, {"a": entry}) as client:
        await client.initialize()
        assert await client.request("tools/list") == before
        assert await said(client, "one") == "one"


async def test_a_call_that_comes_before_anything_is_known_waits_for_the_server(tmp_path: Path) -> None:
    async with in_front_of(tmp_path, {"a": claimer(tmp_path, "a", tool("one"), expose="direct")}) as client:
        await client.initialize()
        assert await said(client, "one") == "one"


async def test_definitions_results_and_progress_are_those_of_direct_use(tmp_path: Path) -> None:
    straight = OfficialClient.straight_to(sdk_server())
    through = OfficialClient.through_dmcp(tmp_path, sdk=sdk_server(expose="direct"))
    async with straight, through:
        seen = []
        for client in (straight, through):
            session, tools, cursor = client.session, [], None
            while True:
                page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
                tools += [one.model_dump(by_alias=True) for one in page.tools]
                if (cursor := page.next_cursor) is None:
                    break
            progress: list[Any] = []

            async def on_progress(*figures: Any, into: list[Any] = progress) -> None:
                into.append(figures)

            calls = (
                ("echo", {"text": "x"}),
                ("add", {"a": 1, "b": 2}),
                ("contents", {}),
                ("progress", {"steps": 3}),
            )
            results = [
                (await session.call_tool(name, arguments, progress_callback=on_progress)).model_dump()
                for name, arguments in calls
            ]
            seen.append((tools, results, progress))
        assert seen[0] == seen[1]
        assert len(seen[0][2]) == 3


async def test_a_direct_call_is_cancelled_at_its_server(tmp_path: Path) -> None:
    async with in_front_of(tmp_path, {"sdk": sdk_server(expose="direct")}) as client:
        await client.initialize()
        meta = {"progressToken": "p"}
        asked = client.ask("tools/call", {"name": "hang", "arguments": {}, "_meta": meta})
        assert (await client.heard("notifications/progress"))["params"]["progressToken"] == "p"
        client.notify("notifications/cancelled", {"requestId": asked})
        while True:
            result = await client.request("tools/call", {"name": "state", "arguments": {}})
            if result["structuredContent"]["cancelled"] == 1:
                break
