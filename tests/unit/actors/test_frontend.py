"""The frontend, never started: given the client's lines and the house's messages; what it writes is inspected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.actors.frontend import Frontend
from dmcp.actors.runtime import Watch
from dmcp.config.model import Features, ServerConfig, StdioServer
from dmcp.messages import catalog, upstream
from dmcp.messages.auth import Unsubscribe
from dmcp.messages.frontend import (
    ClientFrames,
    ClientGone,
    Finish,
    GraceOver,
    RouteResolved,
    SendNotification,
    ServerRequest,
    ServerRequestCancelled,
    Settled,
    SharingChanged,
    UpstreamGone,
    Writable,
)
from dmcp.messages.lifecycle import ChildStopped
from dmcp.messages.supervisor import ClientDetached, Directory, Group
from dmcp.protocol.operations import (
    CallTool,
    Error,
    ListChanged,
    ListRoots,
    LogMessage,
    ReadResource,
    Result,
    Sample,
)
from dmcp.protocol.wire import opened
from unit.actors.fakes import CLIENT, ClientPipe, Inbox

if TYPE_CHECKING:
    from dmcp.protocol.pending import CallId

pytestmark = pytest.mark.anyio


class Stage:
    """A frontend with a client, a catalog, a supervisor and the group "g"."""

    def __init__(self) -> None:
        self.pipe = ClientPipe()
        self.written = self.pipe.written
        self.supervisor, self.catalog, self.upstream, self.auth = Inbox(), Inbox(), Inbox(), Inbox()
        self.owner = Inbox()
        self.actor = Frontend(self.pipe, self.supervisor, CLIENT, Watch(self.owner, "client 1", CLIENT))

    def hand(self, *messages: Any) -> None:
        for message in messages:
            self.actor.on_receive(message)

    def says(self, *messages: dict[str, Any]) -> None:
        # One by one: what is left of several after 5 ms waits for a turn of the loop that nothing here grants.
        for message in messages:
            self.hand(ClientFrames((json.dumps({"jsonrpc": "2.0", **message}).encode(),)))

    def directory(self, life: Inbox | None = None, **features: bool) -> None:
        config = ServerConfig("g", "d", StdioServer("run"), Features(**features))
        self.hand(Directory({"g": Group(config, life or self.upstream)}, self.catalog, self.auth))

    def begin(self, revision: str = "2025-11-25", **capabilities: Any) -> None:
        params = {
            "protocolVersion": revision,
            "capabilities": capabilities,
            "clientInfo": {"name": "c", "version": "1"},
        }
        self.says(
            {"id": 0, "method": "initialize", "params": params}, {"method": "notifications/initialized"}
        )
        self.directory()
        self.written.clear()

    def call(self, identifier: Any, **more: Any) -> None:
        arguments = {"group": "g", "name": "echo", "args": {"a": 1}}
        params = {"name": "call_dynamic_tool", "arguments": arguments, **more}
        self.says({"id": identifier, "method": "tools/call", "params": params})

    def call_id(self, life: Inbox | None = None) -> CallId:
        found: CallId = (life or self.upstream).of(upstream.Submit)[-1].call
        return found


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_initialize_is_answered_before_there_is_a_configuration_and_the_rest_waits_for_it(
    stage: Stage,
) -> None:
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"},
    }
    stage.says({"id": 1, "method": "initialize", "params": hello}, {"method": "notifications/initialized"})
    assert stage.written[0]["result"]["protocolVersion"] == "2025-06-18"
    stage.call(2)
    assert len(stage.written) == 1
    stage.directory()
    (joined,) = stage.upstream.of(upstream.ClientJoined)
    assert joined.profile.capabilities == {"roots": {}}
    assert stage.upstream.told.index(joined) == 0, "the call came first"
    assert len(stage.upstream.of(upstream.Submit)) == 1


async def test_a_call_is_answered_under_its_own_id_exactly_once(stage: Stage) -> None:
    stage.begin()
    stage.call("mine")
    call_id = stage.call_id()
    stage.hand(
        Settled(call_id, Result(b'{"content":[]}')),
        Settled(call_id, Result(b'{"content":[1]}')),
        Settled(call_id, Error(b"{}")),
    )
    assert stage.written == [{"jsonrpc": "2.0", "id": "mine", "result": {"content": []}}]


async def test_the_clients_meta_goes_along_without_its_progress_token(stage: Stage) -> None:
    stage.begin()
    stage.call(1, _meta={"progressToken": "t", "example.org/x": 1})
    (request,) = stage.upstream.of(upstream.Submit)
    assert request.context.wants_progress
    assert {name: opened(value) for name, value in request.context.meta.items()} == {"example.org/x": 1}
    arguments = opened(request.operation.arguments)
    assert request.operation._replace(arguments=arguments) == CallTool("echo", {"a": 1})


async def test_a_cancelled_call_is_never_answered_and_its_id_is_free_again(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    call_id = stage.call_id()
    stage.says({"method": "notifications/cancelled", "params": {"requestId": 1, "reason": "enough"}})
    assert stage.upstream.of(upstream.Cancel) == [upstream.Cancel(call_id, "enough")]
    stage.hand(Settled(call_id, Result(b"{}")))
    assert stage.written == []
    stage.call(1)
    stage.hand(Settled(stage.call_id(), Result(b"{}")))
    assert len(stage.written) == 1


async def test_a_call_to_an_upstream_that_has_just_ended_is_answered_at_once(stage: Stage) -> None:
    stage.begin()
    stage.upstream.end()
    stage.call(1)
    (answer,) = stage.written
    assert "has not run" in answer["error"]["message"]


async def test_a_failed_upstream_actor_leaves_no_call_unanswered(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    stage.call(2)
    stage.hand(UpstreamGone(stage.upstream, "g", "dmcp failed: KeyError: x"))
    assert [answer["id"] for answer in stage.written] == [1, 2]
    assert all("may have run" in answer["error"]["message"] for answer in stage.written)


async def test_a_route_that_comes_after_the_cancel_goes_nowhere(stage: Stage) -> None:
    stage.begin()
    stage.says({"id": 1, "method": "resources/read", "params": {"uri": "x:1"}})
    (asked,) = stage.catalog.of(catalog.ResolveRoute)
    stage.says({"method": "notifications/cancelled", "params": {"requestId": 1}})
    assert len(stage.catalog.of(catalog.CancelWait)) == 1
    stage.hand(RouteResolved(asked.call, "g", ReadResource("x:1")))
    assert not stage.upstream.of(upstream.Submit)


async def test_a_group_whose_tools_are_off_is_a_tool_error(stage: Stage) -> None:
    stage.begin()
    stage.directory(tools=False)
    stage.call(1)
    assert stage.written[-1]["result"]["isError"] is True
    assert "switched off" in stage.written[-1]["result"]["content"][0]["text"]


async def test_a_question_goes_to_the_client_under_an_id_of_its_own_and_the_answer_back(stage: Stage) -> None:
    stage.begin(roots={})
    stage.hand(ServerRequest(b'"theirs"', "g", stage.upstream, None, ListRoots({})))
    asked = stage.written[-1]
    assert asked["method"] == "roots/list"
    stage.says({"id": asked["id"], "result": {"roots": []}}, {"id": asked["id"], "result": {"roots": [1]}})
    assert stage.upstream.of(upstream.AnswerServerRequest) == [
        upstream.AnswerServerRequest(b'"theirs"', b'{"roots": []}', None)
    ]


async def test_a_question_the_client_has_no_capability_for_is_refused_for_it(stage: Stage) -> None:
    stage.begin()
    stage.hand(ServerRequest(b"1", "g", stage.upstream, None, Sample({})))
    assert stage.written == []
    (refusal,) = stage.upstream.of(upstream.AnswerServerRequest)
    assert b"-32601" in refusal.error


async def test_a_question_is_held_until_the_client_is_initialized(stage: Stage) -> None:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"},
    }
    stage.says({"id": 0, "method": "initialize", "params": params})
    stage.hand(ServerRequest(b"1", "g", stage.upstream, None, ListRoots({})))
    assert len(stage.written) == 1
    stage.says({"method": "notifications/initialized"})
    assert stage.written[-1]["method"] == "roots/list"


async def test_a_client_that_never_says_it_is_initialized_is_asked_from_its_first_request_on(
    stage: Stage,
) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}
    stage.says({"id": 0, "method": "initialize", "params": params}, {"id": 1, "method": "ping"})
    stage.directory()
    stage.hand(ServerRequest(b"1", "g", stage.upstream, None, ListRoots({})))
    assert [message["id"] for message in stage.written] == [0, 1]
    stage.call(2)
    assert [message["method"] for message in stage.written[2:]] == ["roots/list"]
    stage.hand(SendNotification(ListChanged(("prompts",))))
    stage.says({"method": "notifications/initialized"})
    assert [message["method"] for message in stage.written[3:]] == ["notifications/prompts/list_changed"]


async def test_finishing_for_a_reason_tells_the_reason_to_what_waits_and_to_what_is_new(stage: Stage) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    stage.says({"id": 0, "method": "initialize", "params": params})
    stage.call(1)
    stage.hand(Finish(10.0, "so it is"))
    stage.call(2)
    stage.hand(GraceOver())
    told = {answer["id"]: answer["error"]["message"] for answer in stage.written[1:]}
    assert told == dict.fromkeys((1, 2), "so it is; the call has not run")


async def test_a_withdrawn_question_is_cancelled_at_the_client_and_its_answer_dropped(stage: Stage) -> None:
    stage.begin(roots={})
    stage.hand(ServerRequest(b"1", "g", stage.upstream, None, ListRoots({})))
    number = stage.written[-1]["id"]
    stage.hand(ServerRequestCancelled(stage.upstream, None, "exited"))
    assert stage.written[-1]["method"] == "notifications/cancelled"
    assert stage.written[-1]["params"]["requestId"] == number
    stage.says({"id": number, "result": {}})
    assert not stage.upstream.of(upstream.AnswerServerRequest)


async def test_finishing_waits_for_what_is_in_flight_and_refuses_what_is_new(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    stage.hand(Finish(10.0))
    stage.call(2)
    assert stage.written[-1]["id"] == 2
    assert "has not run" in stage.written[-1]["error"]["message"]
    assert not stage.owner.told
    stage.hand(Settled(stage.call_id(), Result(b"{}")))
    assert stage.owner.told == [ChildStopped("client 1", CLIENT)]
    assert stage.supervisor.of(ClientDetached) == [ClientDetached(CLIENT)]
    assert not stage.upstream.of(upstream.ClientLeft), "it is being stopped too"


async def test_when_the_grace_is_over_every_call_is_answered_all_the_same(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    stage.says({"id": 2, "method": "resources/list"})
    stage.hand(Finish(10.0), GraceOver())
    assert sorted(answer["id"] for answer in stage.written) == [1, 2]
    assert all("error" in answer for answer in stage.written)


async def test_the_frontend_of_a_client_that_has_left_ends_and_leaves_nothing_with_the_others(
    stage: Stage,
) -> None:
    stage.begin()
    stage.call(1)
    stage.hand(ClientGone(reading=True))
    assert not stage.owner.told, "it may still read the answer"
    stage.hand(ClientGone(reading=False), GraceOver())
    assert stage.owner.told == [ChildStopped("client 1", CLIENT)]
    assert stage.upstream.of(upstream.ClientLeft) == [upstream.ClientLeft(CLIENT)]
    assert stage.catalog.of(catalog.ClientLeft) == [catalog.ClientLeft(CLIENT)]
    assert [one.listener for one in stage.auth.of(Unsubscribe)] == [stage.actor.actor_ref]
    assert stage.supervisor.of(ClientDetached) == [ClientDetached(CLIENT)]


async def test_news_is_dropped_counted_and_said_where_one_of_several_clients_does_not_read(
    stage: Stage,
) -> None:
    news = SendNotification(LogMessage("info", None, {"data": "x"}))
    stage.begin()
    stage.hand(Writable(writable=False), news)
    assert len(stage.written) == 1, "alone it holds up only itself: its servers are not read"
    stage.hand(SharingChanged(shared=True), news, news, SendNotification(ListChanged(("tools",))))
    assert len(stage.written) == 2
    stage.hand(Writable(writable=True), news)
    said, passed = stage.written[2:]
    assert said["params"]["level"] == "warning"
    assert "2 notifications were dropped" in said["params"]["data"]
    assert passed["params"]["data"] == "x"


async def test_a_client_that_does_not_keep_up_is_reported(stage: Stage) -> None:
    stage.begin()
    stage.hand(Writable(False), Writable(True))
    assert [one.paused for one in stage.upstream.of(upstream.SetFlow)] == [True, False]


async def test_a_line_too_long_to_keep_is_refused(stage: Stage) -> None:
    stage.hand(ClientFrames((None,)))
    assert stage.written[0]["id"] is None
    assert stage.written[0]["error"]["code"] == -32600


async def test_an_upstream_that_is_new_learns_what_the_client_has_said_and_the_others_are_told_once(
    stage: Stage,
) -> None:
    stage.begin(roots={})
    stage.says({"id": 1, "method": "logging/setLevel", "params": {"level": "error"}})
    stage.hand(Writable(writable=False))
    stage.directory()
    second = Inbox()
    stage.directory(second)
    (joined,) = second.of(upstream.ClientJoined)
    assert (joined.client, joined.log_level, joined.paused) == (1, "error", True)
    assert joined.profile.can("roots")
    (first,) = stage.upstream.of(upstream.ClientJoined)
    assert (first.log_level, first.paused) == (None, False)
