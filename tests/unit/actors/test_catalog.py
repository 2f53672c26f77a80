"""The catalog, never started: told listings and states, asked for lists, routes and tools."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dmcp.actors.catalog import Catalog
from dmcp.config.model import Features, ServerConfig, StdioServer, Timeouts
from dmcp.messages import frontend, upstream
from dmcp.messages.catalog import (
    Browse,
    CancelWait,
    GetTools,
    GroupState,
    Listed,
    ResolveRoute,
    ToolsWritten,
    WaitExpired,
)
from dmcp.messages.supervisor import Directory, Group
from dmcp.protocol.operations import ListChanged, ListItems, Result
from dmcp.protocol.tool_listing import Wanted
from harness.measured import processor_time
from unit.actors.fakes import Inbox, answer_of, asked, call_id

pytestmark = pytest.mark.anyio


class Stage:
    """A catalog that knows two groups, "a" and "b"."""

    def __init__(self, **features: Features) -> None:
        self.actor = Catalog()
        self.client = Inbox()
        self.upstreams = {"a": Inbox(), "b": Inbox()}
        groups = {}
        for name, inbox in self.upstreams.items():
            shown = features.get(name, Features())
            config = ServerConfig(name, f"The {name} server", StdioServer("run"), shown)
            groups[name] = Group(config, inbox)
        self.hand(Directory(groups, Inbox(), Inbox()))

    def hand(self, *messages: Any) -> None:
        for message in messages:
            self.actor.on_receive(message)

    def ready(self, group: str, generation: int = 1, **listings: list[dict[str, Any]]) -> None:
        for kind, entries in listings.items():
            self.hand(Listed(group, generation, kind, tuple(entries)))  # type: ignore[arg-type]  # a kind by its name
        self.hand(GroupState(group, generation, "ready"))

    def browse(self, number: int, method: str, **params: Any) -> None:
        self.hand(Browse(call_id(number), asked(method, params), self.client))

    def route(self, number: int, method: str, **params: Any) -> None:
        self.hand(ResolveRoute(call_id(number), asked(method, params), self.client))

    def result(self, number: int) -> Any:
        (reply,) = [reply for reply in self.client.of(frontend.Settled) if reply.call.number == number]
        result, error = answer_of(reply)
        assert result is not None, error
        return json.loads(result)

    def error(self, number: int) -> str:
        (reply,) = [reply for reply in self.client.of(frontend.Settled) if reply.call.number == number]
        result, error = answer_of(reply)
        assert error is not None, result
        message: str = json.loads(error)["message"]
        return message


def resources(*uris: str) -> list[dict[str, Any]]:
    return [{"uri": uri, "name": uri} for uri in uris]


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_a_list_waits_for_servers_that_connect_for_the_first_time(stage: Stage) -> None:
    stage.browse(1, "resources/list")
    stage.ready("a", resources=resources("x:1"))
    assert stage.client.told == []
    stage.ready("b", resources=resources("x:2"))
    assert [entry["uri"] for entry in stage.result(1)["resources"]] == ["x:1", "x:2"]


async def test_a_list_does_not_wait_longer_than_its_patience(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.browse(1, "resources/list")
    stage.hand(WaitExpired(call_id(1)))
    assert [entry["uri"] for entry in stage.result(1)["resources"]] == ["x:1"]


async def test_an_unavailable_server_makes_its_entries_missing_and_the_list_not_fail(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b", resources=resources("x:2"))
    stage.hand(GroupState("b", 2, "unavailable", "exited"))
    stage.browse(1, "resources/list")
    assert [entry["uri"] for entry in stage.result(1)["resources"]] == ["x:1"]


async def test_a_list_request_that_was_cancelled_is_not_answered(stage: Stage) -> None:
    stage.browse(1, "resources/list")
    stage.hand(CancelWait(call_id(1)))
    stage.ready("a")
    stage.ready("b")
    stage.hand(WaitExpired(call_id(1)))
    assert stage.client.of(frontend.Settled) == []


async def test_what_has_been_answered_or_cancelled_leaves_no_timer_behind(stage: Stage) -> None:
    for number in range(1, 51):
        stage.browse(number, "resources/list")
    stage.hand(*(CancelWait(call_id(number)) for number in range(1, 26)))
    stage.ready("a")
    stage.ready("b")
    assert len(stage.client.of(frontend.Settled)) == 25
    assert not stage.actor._timers


async def test_what_an_old_generation_still_lists_changes_nothing(stage: Stage) -> None:
    stage.ready("b")
    stage.ready("a", 2, resources=resources("new:1"))
    stage.hand(
        Listed("a", 1, "resources", tuple(resources("old:1"))), GroupState("a", 1, "unavailable", "old")
    )
    stage.browse(1, "resources/list")
    assert [entry["uri"] for entry in stage.result(1)["resources"]] == ["new:1"]


async def test_the_client_is_told_of_a_change_once_and_only_of_a_list_it_has_seen(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b")
    stage.browse(1, "resources/list")
    for uri in ("x:2", "x:3"):
        stage.ready("a", resources=resources(uri))
    changes = stage.client.of(frontend.SendNotification)
    assert changes == [frontend.SendNotification(ListChanged(("resources", "templates")))]


async def test_the_same_listing_again_is_no_change(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b")
    stage.browse(1, "resources/list")
    stage.ready("a", 2, resources=resources("x:1"))
    assert not stage.client.of(frontend.SendNotification)


async def test_a_resource_goes_to_the_server_that_lists_it_under_the_servers_own_name(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b", resources=resources("x:1"))
    stage.route(1, "resources/read", uri="x:1")
    stage.route(2, "resources/read", uri="dmcp://b/x:1")
    routed = {
        one.call.number: (one.group, one.operation.uri) for one in stage.client.of(frontend.RouteResolved)
    }
    assert routed == {1: ("a", "x:1"), 2: ("b", "x:1")}


async def test_a_resource_only_a_template_describes_goes_to_the_template_that_says_most(stage: Stage) -> None:
    stage.ready("a", templates=[{"uriTemplate": "x://{+any}", "name": "t"}])
    stage.ready("b", templates=[{"uriTemplate": "x://users/{id}", "name": "t"}])
    stage.route(1, "resources/read", uri="x://users/7")
    assert [one.group for one in stage.client.of(frontend.RouteResolved)] == ["b"]


async def test_a_resource_nobody_has_is_an_error(stage: Stage) -> None:
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b", resources=resources("x:2"))
    stage.route(1, "resources/read", uri="y:1")
    assert "y:1" in stage.error(1)


async def test_one_resource_is_waited_for_as_long_as_servers_may_take_to_start(stage: Stage) -> None:
    stage.route(1, "resources/read", uri="x:2")
    (timer,) = stage.actor._timers
    assert timer.when() - asyncio.get_running_loop().time() > Timeouts().connect
    stage.ready("a", prompts=[])
    stage.hand(WaitExpired(call_id(1)))
    assert stage.error(1).endswith("no server lists it (still starting: 'b'; try again)")
    stage.route(2, "prompts/get", name="p")
    stage.hand(WaitExpired(call_id(2)))
    assert "(still starting: 'b'; try again)" in stage.error(2)


async def test_a_feature_that_is_off_is_invisible_in_lists_and_an_error_when_named() -> None:
    stage = Stage(a=Features(tools=False, resources=False))
    stage.ready("a", resources=resources("x:1"))
    stage.ready("b")
    stage.browse(1, "resources/list")
    assert stage.result(1)["resources"] == []
    stage.browse(2, "resources/list", group="a")
    assert "switched off" in stage.error(2)
    stage.hand(GetTools(call_id(3), Wanted("a"), stage.client))
    assert stage.result(3)["isError"] is True


async def test_tools_of_a_connecting_group_are_waited_for_and_the_server_is_woken(stage: Stage) -> None:
    stage.hand(GetTools(call_id(1), Wanted("a"), stage.client))
    assert len(stage.upstreams["a"].of(upstream.Wake)) == 1
    stage.ready("a", tools=[{"name": "echo"}])
    stage.hand(WaitExpired(call_id(1)))  # it is being composed, and is not given up
    stage.hand(ToolsWritten(call_id(1), Result(b'{"content": []}')))
    assert stage.result(1) == {"content": []}


async def test_an_answer_about_tools_that_comes_too_late_goes_nowhere(stage: Stage) -> None:
    stage.ready("a", tools=[{"name": "echo"}])
    stage.hand(GetTools(call_id(1), Wanted("a"), stage.client), CancelWait(call_id(1)))
    stage.hand(ToolsWritten(call_id(1), Result(b'{"content": []}')))
    assert stage.client.of(frontend.Settled) == []


async def test_tools_of_a_group_that_fails_to_connect_are_an_error_with_the_reason(stage: Stage) -> None:
    stage.hand(
        GetTools(call_id(1), Wanted("a"), stage.client),
        GroupState("a", 1, "unavailable", "exited with status 3"),
    )
    assert "exited with status 3" in stage.error(1)


async def test_a_mistyped_group_is_a_tool_error_with_the_close_match(stage: Stage) -> None:
    stage.hand(GetTools(call_id(1), Wanted("A"), stage.client))
    assert "'a'" in stage.result(1)["content"][0]["text"]


async def test_servers_that_come_and_go_cost_little_however_much_all_of_them_list() -> None:
    groups = {f"g{n}": Group(ServerConfig(f"g{n}", "d", StdioServer("run")), Inbox()) for n in range(100)}
    catalog, listed = Catalog(), {n: tuple(resources(*(f"{n}:{e}" for e in range(500)))) for n in range(100)}
    catalog.on_receive(Directory(groups, Inbox(), Inbox()))
    with processor_time() as used:
        for number in range(100):
            group = f"g{number}"
            catalog.on_receive(Listed(group, 1, "resources", listed[number]))
            for generation, state in ((1, "ready"), (2, "unavailable"), (3, "ready")):
                catalog.on_receive(GroupState(group, generation, state))  # type: ignore[arg-type]  # by its name
    assert used.seconds < 3  # merging all that is listed each time takes more than ten


async def test_thousands_of_lists_asked_for_while_servers_connect_are_not_looked_at_at_each_change() -> None:
    groups = {f"g{n}": Group(ServerConfig(f"g{n}", "d", StdioServer("run")), Inbox()) for n in range(100)}
    catalog, client = Catalog(), Inbox()
    catalog.on_receive(Directory(groups, Inbox(), Inbox()))
    for number in range(2000):
        catalog.on_receive(Browse(call_id(number), ListItems("resources"), client))
    with processor_time() as used:
        for number in range(100):
            catalog.on_receive(Listed(f"g{number}", 1, "resources", tuple(resources(f"x:{number}"))))
            assert not client.told
            catalog.on_receive(GroupState(f"g{number}", 1, "ready"))
    assert used.seconds < 2  # looking at each again at each change takes more than ten
    assert len({reply.outcome for reply in client.of(frontend.Settled)}) == 1
    assert len(client.told) == 2000
