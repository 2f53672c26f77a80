"""One upstream and two clients: what it does for them together, and what it keeps apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.messages import frontend, upstream
from dmcp.messages.upstream import CallContext
from dmcp.protocol.clients import EVERYTHING
from dmcp.protocol.operations import ClientProfile
from dmcp.protocol.pending import CallId
from dmcp.protocol.wire import opened
from unit.actors.fakes import Inbox, answer_of, asked
from unit.actors.test_upstream import PROFILE, Stage

pytestmark = pytest.mark.anyio

SERVER = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "logging": {}, "resources": {"subscribe": True}},
    "serverInfo": {"name": "s"},
}


class Shared(Stage):
    """An upstream with the clients 1 and 2."""

    def __init__(self) -> None:
        super().__init__(joined=False)
        self.clients = {1: Inbox(), 2: Inbox()}
        self.enter(1)
        self.enter(2)
        self.opened()
        self.says({"id": self.number_of("initialize"), "result": SERVER})
        for method, member in (
            ("tools/list", "tools"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
        ):
            listed = [{"name": "echo"}] if member == "tools" else []
            self.says({"id": self.number_of(method), "result": {member: listed}})
        self.link.sent.clear()

    def enter(self, client: int, **more: Any) -> None:
        self.hand(upstream.ClientJoined(client, self.clients[client], PROFILE, **more))

    def ask(self, client: int, number: int, method: str, **params: Any) -> None:
        context = CallContext(self.clients[client], wants_progress=True)
        self.hand(upstream.Submit(CallId(client, number), asked(method, params), context))

    def sent_of(self, method: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message.get("method") == method]

    def answer(self, method: str, result: dict[str, Any] | None = None) -> None:
        self.says({"id": self.number_of(method), "result": result or {}})

    def told(self, client: int, kind: type) -> list[Any]:
        return self.clients[client].of(kind)


@pytest.fixture
async def shared() -> Shared:
    return Shared()


async def test_several_clients_are_introduced_as_one_that_can_everything() -> None:
    stage = Stage(joined=False)
    for client in (1, 2):
        stage.hand(upstream.ClientJoined(client, Inbox(), ClientProfile("2025-11-25")))
    stage.opened()
    (hello,) = stage.sent
    assert hello["params"]["capabilities"] == EVERYTHING.capabilities
    assert hello["params"]["clientInfo"]["name"] == "dmcp"


async def test_answers_and_progress_go_to_the_client_of_the_call_under_equal_numbers_too(
    shared: Shared,
) -> None:
    shared.ask(1, 7, "tools/call", name="echo")
    first = shared.number_of("tools/call")
    shared.ask(2, 7, "tools/call", name="echo")
    second = shared.number_of("tools/call")
    for number in (second, first):
        progress = {"progressToken": number, "progress": number}
        shared.says({"method": "notifications/progress", "params": progress})
        shared.says({"id": number, "result": {"content": [number]}})
    for client, number in ((1, first), (2, second)):
        ((call, params),) = shared.told(client, frontend.Progressed)
        assert (call, opened(params["progress"])) == (CallId(client, 7), number)
        (settled,) = shared.told(client, frontend.Settled)
        assert settled.call == CallId(client, 7)
        assert json.loads(answer_of(settled)[0] or b"") == {"content": [number]}


async def test_cancelling_ends_the_call_of_that_client_only(shared: Shared) -> None:
    shared.ask(1, 7, "tools/call", name="echo")
    shared.ask(2, 7, "tools/call", name="echo")
    kept = shared.number_of("tools/call")
    shared.hand(upstream.Cancel(CallId(1, 7), "enough"))
    (cancelled,) = shared.sent_of("notifications/cancelled")
    assert cancelled["params"]["requestId"] != kept
    shared.says({"id": kept, "result": {}})
    assert len(shared.told(2, frontend.Settled)) == 1


async def test_the_server_is_told_the_most_verbose_log_level_and_only_when_it_changes(shared: Shared) -> None:
    for client, level in ((1, "error"), (2, "debug"), (1, "emergency"), (2, "info"), (2, "info")):
        shared.hand(upstream.SetLogLevel(client, level))
    shared.hand(upstream.ClientLeft(2))
    levels = [message["params"]["level"] for message in shared.sent_of("logging/setLevel")]
    assert levels == ["error", "debug", "info", "emergency"]


async def test_the_first_client_subscribes_and_the_last_one_unsubscribes(shared: Shared) -> None:
    for client in (1, 2):
        shared.ask(client, 1, "resources/subscribe", uri="x:a")
        if client == 1:
            shared.answer("resources/subscribe")
    assert len(shared.sent_of("resources/subscribe")) == 1
    for client in (1, 2):
        shared.ask(client, 2, "resources/unsubscribe", uri="x:a")
    assert len(shared.sent_of("resources/unsubscribe")) == 1
    shared.answer("resources/unsubscribe")
    for client in (1, 2):
        assert [answer_of(settled)[0] for settled in shared.told(client, frontend.Settled)] == [b"{}", b"{}"]


async def test_who_subscribes_while_the_last_other_leaves_is_subscribed_in_the_end(shared: Shared) -> None:
    shared.ask(1, 1, "resources/subscribe", uri="x:a")
    shared.answer("resources/subscribe")
    shared.ask(1, 2, "resources/unsubscribe", uri="x:a")
    shared.ask(2, 1, "resources/subscribe", uri="x:a")
    shared.answer("resources/unsubscribe")
    methods = [message["method"] for message in shared.sent]
    assert methods == ["resources/subscribe", "resources/unsubscribe", "resources/subscribe"]


async def test_one_of_several_that_does_not_read_does_not_stop_the_server(shared: Shared) -> None:
    shared.hand(upstream.SetFlow(1, paused=True))
    assert not shared.link.paused
    shared.hand(upstream.SetFlow(2, paused=True))
    assert shared.link.paused
    shared.hand(upstream.ClientLeft(1))
    assert shared.link.paused
    shared.hand(upstream.ClientLeft(2))
    assert not shared.link.paused


async def test_a_server_request_on_the_stream_of_a_call_goes_to_its_client(shared: Shared) -> None:
    for client in (1, 2):
        shared.ask(client, 1, "tools/call", name="echo")
    frame = b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}'
    shared.hand(upstream.FrameArrived(shared.connection, frame, shared.number_of("tools/call")))
    (request,) = shared.told(2, frontend.ServerRequest)
    assert request.call == CallId(2, 1)
    assert not shared.told(1, frontend.ServerRequest)


async def test_a_server_request_that_may_be_for_several_is_refused_and_not_guessed(shared: Shared) -> None:
    asked = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}}
    shared.says({"id": "nobody", **asked})
    shared.ask(2, 1, "tools/call", name="echo")
    shared.says({"id": "two", **asked})
    shared.says({"id": "roots", "method": "roots/list"})
    shared.ask(1, 1, "tools/call", name="echo")
    shared.says({"id": "either", **asked})
    refused = {message["id"]: message["error"]["message"] for message in shared.sent if "error" in message}
    assert sorted(refused) == ["either", "nobody", "roots"]
    assert "several clients" in refused["either"]
    assert [request.id.partition(b"/")[2] for request in shared.told(2, frontend.ServerRequest)] == [b'"two"']
    assert not shared.told(1, frontend.ServerRequest)


async def test_a_client_that_leaves_leaves_nothing_behind(shared: Shared) -> None:
    for number, uri in enumerate(("x:a", "x:b"), 1):
        shared.ask(1, number, "resources/subscribe", uri=uri)
        shared.answer("resources/subscribe")
    shared.ask(2, 1, "resources/subscribe", uri="x:b")
    shared.ask(1, 3, "resources/subscribe", uri="x:c")  # in flight
    shared.ask(1, 4, "tools/call", name="echo")
    shared.says(
        {"id": "q", "method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}}
    )
    shared.ask(2, 2, "tools/call", name="echo")
    shared.link.sent.clear()
    shared.clients[1].told.clear()
    shared.hand(upstream.ClientLeft(1))
    assert len(shared.sent_of("notifications/cancelled")) == 2
    unsubscribed = [message["params"]["uri"] for message in shared.sent_of("resources/unsubscribe")]
    assert sorted(unsubscribed) == ["x:a", "x:c"]
    (refused,) = [message for message in shared.sent if "error" in message]
    assert refused["id"] == "q"
    assert not shared.told(1, frontend.Settled)
    shared.link.sent.clear()
    shared.says({"method": "notifications/message", "params": {"level": "info", "data": "x"}})
    assert not shared.told(1, frontend.SendNotification)
    assert len(shared.told(2, frontend.SendNotification)) == 1
    shared.hand(upstream.ClientLeft(1))
    assert shared.sent == []
