"""The notifications of a server: which pass, how many a second, and that the newest word is never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

EVERYTHING = {"sampling": {}, "roots": {}, "elicitation": {"form": {}, "url": {}}}
SLOW = {"notifications": 2}
"""Two a second, so ten at once."""


def hostile(**more: Any) -> dict[str, Any]:
    return python_server(TESTS / "servers" / "hostile.py", **more)


def served(path: Path, **servers: Any) -> RawClient:
    return RawClient(dmcp_command(write_config(path / "dmcp.json", servers)), strict=False)


def notifications(client: RawClient, method: str = "") -> list[dict[str, Any]]:
    return [m for m in client.inbox if "id" not in m and (not method or m["method"] == method)]


def updated(uri: Any, **more: Any) -> dict[str, Any]:
    return {"method": "notifications/resources/updated", "params": {"uri": uri, **more}}


async def test_only_what_mcp_defines_for_servers_reaches_the_client(tmp_path: Path) -> None:
    strange: list[dict[str, Any]] = [
        {"method": method, "params": {"x": 1}}
        for method in (
            "notifications/initialized",
            "notifications/roots/list_changed",
            "notifications/dmcp/secret",
            "notifications/tasks/status",
            "tools/call",
            "x" * 10_000,
        )
    ]
    strange += [
        {"method": "notifications/elicitation/complete", "params": {"elicitationId": one}}
        for one in ("dmcp-sign-in-1", "g:e", "e", None, 5)
    ]
    strange += [
        {"method": "notifications/progress", "params": {"progressToken": t}} for t in (1, "1", True, None)
    ]
    strange += [updated("x:1"), updated("x:2"), updated(None)]
    async with served(tmp_path, g=hostile()) as client:
        await client.initialize(capabilities=EVERYTHING)
        await client.call("g", "say", {"messages": strange})
        await client.call(
            "g", "say", {"messages": [{"method": "notifications/message", "params": {"data": "end"}}]}
        )
        await client.heard("notifications/message")
        assert notifications(client) == []


async def test_an_update_passes_for_what_the_client_subscribed_to_and_for_parts_of_it(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile()) as client:
        await client.initialize()
        await client.request("resources/list")
        await client.request("resources/subscribe", {"uri": "x:1"})
        tries = [updated("x:1"), updated("x:1/part"), updated("x:1#part"), updated("x:10"), updated("x:")]
        await client.call("g", "say", {"messages": tries})
        await client.heard("notifications/resources/updated", lambda params: params["uri"] == "x:1")
        shown = [m["params"]["uri"] for m in notifications(client, "notifications/resources/updated")]
        assert not {"x:10", "x:"} & set(shown)
        await client.request("resources/unsubscribe", {"uri": "x:1"})
        client.inbox.clear()
        await client.call("g", "say", {"messages": tries})
        assert notifications(client, "notifications/resources/updated") == []


async def test_log_messages_beyond_the_rate_are_dropped_counted_and_told_once(tmp_path: Path) -> None:
    flood = [{"method": "notifications/message", "params": {"level": "info", "data": n}} for n in range(500)]
    async with served(tmp_path, g=hostile(limits=SLOW)) as client:
        await client.initialize()
        await client.call("g", "say", {"messages": flood})
        told = await client.heard("notifications/message", lambda params: "dropped" in str(params["data"]))
        passed = notifications(client, "notifications/message")
        assert 10 <= len(passed) < 40
        assert [m["params"]["data"] for m in passed[:10]] == list(range(10))
        assert told["params"]["logger"] == "g"
        assert told["params"]["level"] == "warning"
        assert "limits.notifications" in told["params"]["data"]
        await client.until(lambda: "notifications were dropped" in client.stderr, "a line in the log")


async def test_the_newest_progress_of_a_call_is_not_lost_and_comes_before_its_answer(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile(limits=SLOW)) as client:
        await client.initialize()
        await client.call("g", "progress", {"count": 500}, _meta={"progressToken": "p"})
        progress = [m["params"]["progress"] for m in notifications(client, "notifications/progress")]
        assert progress[:10] == list(range(10))
        assert progress[-1] == 499
        assert len(progress) < 40
        assert progress == sorted(progress)


async def test_progress_that_waits_is_delivered_a_little_later(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile(limits=SLOW)) as client:
        await client.initialize()
        arguments = {"group": "g", "name": "progress", "args": {"count": 100, "ends": False}}
        call = client.ask(
            "tools/call", {"name": "call_dynamic_tool", "arguments": arguments, "_meta": {"progressToken": 7}}
        )
        await client.heard("notifications/progress", lambda params: params["progress"] == 99)
        client.notify("notifications/cancelled", {"requestId": call})


async def test_the_newest_update_of_a_resource_is_delivered_a_little_later(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile(limits=SLOW)) as client:
        await client.initialize()
        await client.request("resources/list")
        await client.request("resources/subscribe", {"uri": "x:1"})
        flood = [updated("x:1", _meta={"n": n}) for n in range(200)]
        await client.call("g", "say", {"messages": flood})
        await client.heard("notifications/resources/updated", lambda params: params["_meta"]["n"] == 199)
        assert len(notifications(client, "notifications/resources/updated")) < 40


async def test_a_notification_that_is_very_large_is_dropped_and_the_next_one_passes(tmp_path: Path) -> None:
    large = [
        {"method": "notifications/message", "params": {"data": "x" * size}}
        for size in (5 * 1024 * 1024, 1000)
    ]
    async with served(tmp_path, g=hostile()) as client:
        await client.initialize()
        await client.call("g", "say", {"messages": large})
        first = await client.heard("notifications/message")
        assert len(first["params"]["data"]) == 1000


async def test_subscriptions_to_one_server_are_bounded(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile()) as client:
        await client.initialize()
        answers = []
        for start in range(0, 1100, 100):
            uris = [f"dmcp://g/x:{n}" for n in range(start, start + 100)]
            asked = [client.ask("resources/subscribe", {"uri": uri}) for uri in uris]
            answers += [await client.answer(one) for one in asked]
        assert all("result" in answer for answer in answers[:1000])
        assert "there may be 1024 subscriptions" in answers[-1]["error"]["message"]
        await client.request("resources/unsubscribe", {"uri": "dmcp://g/x:0"})
        await client.request("resources/subscribe", {"uri": "dmcp://g/x:5000"})


async def test_progress_keeps_a_call_alive_up_to_the_longest_a_call_may_take(tmp_path: Path) -> None:
    limits = {"call_time": "1500ms"}
    async with served(tmp_path, g=hostile(timeout={"tools": "700ms"}, limits=limits)) as client:
        await client.initialize()
        arguments = {"group": "g", "name": "progress", "args": {"count": 300, "pause": 0.05, "ends": False}}
        call = client.ask(
            "tools/call", {"name": "call_dynamic_tool", "arguments": arguments, "_meta": {"progressToken": 1}}
        )
        answer = await client.answer(call)
        assert answer["error"]["code"] == -32001
        assert "limits.call_time" in answer["error"]["message"]
        assert "within 1.5 s" in answer["error"]["message"]
        assert len(notifications(client, "notifications/progress")) >= 10  # it lived longer than its timeout
