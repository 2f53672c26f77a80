"""Two clients of one dmcp, attached as the product attaches its own: nothing of one reaches the other.

A whole core with the in-memory link on both sides; the server is a function that keeps what it was sent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from faults.inner import PATIENCE, InnerApp, calling, server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

pytestmark = pytest.mark.anyio

FILES = [f"file:///{name}" for name in "abc"]
CAPABILITIES: dict[str, Any] = {
    "tools": {},
    "resources": {"subscribe": True, "listChanged": True},
    "logging": {},
}


class Shared(InnerApp):
    """A dmcp with one server, and two clients with different capabilities.

    Attributes:
        sent: every message the server got, decoded.
    """

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__()
        self.one, self.two = self.client, self.attach()
        self.configure(server("s"))

    def _serve(self, name: str, frame: bytes) -> Sequence[bytes]:
        message = json.loads(frame)
        self.sent.append(message)
        if "id" not in message or "method" not in message:
            return ()
        match message["method"], message["params"]:
            case "initialize", params:
                about = {"name": name, "version": "1"}
                result = {
                    "protocolVersion": params["protocolVersion"],
                    "capabilities": CAPABILITIES,
                    "serverInfo": about,
                }
            case "tools/list", _:
                names = ("echo", "wait")
                result = {"tools": [{"name": tool, "inputSchema": {"type": "object"}} for tool in names]}
            case "resources/list", _:
                result = {"resources": [{"uri": uri, "name": uri[-1]} for uri in FILES]}
            case "resources/templates/list", _:
                result = {"resourceTemplates": []}
            case "tools/call", {"name": "echo", "arguments": args}:
                result = {"content": [{"type": "text", "text": args["said"]}]}
            case "tools/call", _:
                return ()
            case _:
                result = {}
        return (json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode(),)

    def says(self, **message: Any) -> None:
        """Have the server send something."""
        self.links["s"].emit(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def got(self, method: str) -> list[dict[str, Any]]:
        """The params of what the server was sent of this method, in order."""
        return [message.get("params", {}) for message in self.sent if message.get("method") == method]

    def answers(self, number: int) -> list[dict[str, Any]]:
        """The answers to one of the server's requests."""
        return [message for message in self.sent if message.get("id") == number and "method" not in message]

    def waiting(self) -> list[dict[str, Any]]:
        """The calls the server does not answer."""
        return [
            message
            for message in self.sent
            if message.get("method") == "tools/call" and message["params"]["name"] == "wait"
        ]

    def answer(self, call: dict[str, Any], text: str) -> None:
        self.says(id=call["id"], result={"content": [{"type": "text", "text": text}]})


async def until(true: Callable[[], object]) -> None:
    """One turn of the loop at a time, until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


async def settle(house: Shared) -> None:
    """Until what was said before has been handled by everybody: both clients have been answered once more."""
    for client in (house.one, house.two):
        await client.call("s", said="settled")
    await asyncio.sleep(0)


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[Shared]:
    shared = Shared()
    await shared.one.initialize(elicitation={"form": {}}, roots={"listChanged": True})
    await shared.two.initialize()
    for client in (shared.one, shared.two):
        await client.call("s", said="ready")
    yield shared
    if not shared.status.done():
        await shared.leave()
    assert not pykka.ActorRegistry.get_all()


def text(answer: dict[str, Any]) -> str:
    return str(answer["result"]["content"][0]["text"])


async def test_calls_under_the_same_id_are_answered_to_the_client_that_made_them(house: Shared) -> None:
    one, two = (client.ask("tools/call", calling("s", "wait")) for client in (house.one, house.two))
    await until(lambda: len(house.waiting()) == 2)
    first, second = house.waiting()
    house.answer(second, "for two")
    house.answer(first, "for one")
    assert text(await one) == "for one"
    assert text(await two) == "for two"


async def test_a_cancel_of_one_leaves_the_others_call_alone(house: Shared) -> None:
    params = calling("s", "wait")
    for client in (house.one, house.two):
        client.send({"id": 77, "method": "tools/call", "params": params})
    await until(lambda: len(house.waiting()) == 2)
    first, _ = house.waiting()
    house.one.send({"method": "notifications/cancelled", "params": {"requestId": 77}})
    await until(lambda: house.got("notifications/cancelled"))
    assert [params["requestId"] for params in house.got("notifications/cancelled")] == [first["id"]]


async def test_progress_reaches_the_client_whose_call_it_is_of(house: Shared) -> None:
    for client in (house.one, house.two):
        client.ask("tools/call", {**calling("s", "wait"), "_meta": {"progressToken": "same"}})
    await until(lambda: len(house.waiting()) == 2)
    token = house.waiting()[1]["params"]["_meta"]["progressToken"]
    house.says(method="notifications/progress", params={"progressToken": token, "progress": 1})
    await until(lambda: house.two.notes)
    await settle(house)
    assert house.two.notes == ["notifications/progress"]
    assert house.two.messages[0]["params"]["progressToken"] == "same"
    assert house.one.notes == []


async def test_each_client_gets_the_log_from_the_level_it_wants(house: Shared) -> None:
    await house.one.request("logging/setLevel", {"level": "debug"})
    await house.two.request("logging/setLevel", {"level": "error"})
    await settle(house)
    assert house.got("logging/setLevel")[-1] == {"level": "debug"}
    for level in ("info", "error"):
        house.says(method="notifications/message", params={"level": level, "data": level})
    await settle(house)
    data = [[message["params"]["data"] for message in client.messages] for client in (house.one, house.two)]
    assert data == [["info", "error"], ["error"]]


async def test_a_resource_that_changes_is_told_to_those_who_subscribed_to_it(house: Shared) -> None:
    await house.one.request("resources/subscribe", {"uri": FILES[0]})
    await house.two.request("resources/subscribe", {"uri": FILES[1]})
    for client in (house.one, house.two):
        await client.request("resources/subscribe", {"uri": FILES[2]})
    for uri in FILES:
        house.says(method="notifications/resources/updated", params={"uri": uri})
    await settle(house)
    told = [
        sorted(message["params"]["uri"] for message in client.messages) for client in (house.one, house.two)
    ]
    assert told == [[FILES[0], FILES[2]], [FILES[1], FILES[2]]]


async def test_the_server_is_asked_once_and_let_go_when_the_last_one_no_longer_wants_it(
    house: Shared,
) -> None:
    for client in (house.one, house.two):
        await client.request("resources/subscribe", {"uri": FILES[2]})
    assert house.got("resources/subscribe") == [{"uri": FILES[2]}]
    await house.one.request("resources/unsubscribe", {"uri": FILES[2]})
    assert house.got("resources/unsubscribe") == []
    house.says(method="notifications/resources/updated", params={"uri": FILES[2]})
    await settle(house)
    assert (house.one.notes, house.two.notes) == ([], ["notifications/resources/updated"])
    await house.two.request("resources/unsubscribe", {"uri": FILES[2]})
    assert house.got("resources/unsubscribe") == [{"uri": FILES[2]}]


QUESTION = {"message": "Which?", "requestedSchema": {"type": "object", "properties": {}}}


async def test_what_the_server_asks_goes_to_the_only_client_that_has_called_it(house: Shared) -> None:
    house.one.answer_to["elicitation/create"] = {"action": "decline"}
    house.one.ask("tools/call", calling("s", "wait"))
    await until(house.waiting)
    house.says(id=900, method="elicitation/create", params=QUESTION)
    await until(lambda: house.answers(900))
    assert house.answers(900)[0]["result"] == {"action": "decline"}
    assert [message["method"] for message in house.one.messages] == ["elicitation/create"]
    assert house.two.messages == []


async def test_what_the_server_asks_is_refused_where_the_client_cannot_be_known_or_cannot_answer(
    house: Shared,
) -> None:
    house.two.ask("tools/call", calling("s", "wait"))
    await until(house.waiting)
    house.says(id=901, method="elicitation/create", params=QUESTION)
    await until(lambda: house.answers(901))
    assert "error" in house.answers(901)[0], "this client cannot be asked"
    house.one.ask("tools/call", calling("s", "wait"))
    await until(lambda: len(house.waiting()) == 2)
    house.says(id=902, method="elicitation/create", params=QUESTION)
    await until(lambda: house.answers(902))
    assert "error" in house.answers(902)[0], "either of two may have caused it"
    assert house.one.messages == house.two.messages == []


async def test_a_client_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed(house: Shared) -> None:
    for client in (house.one, house.two):
        await client.request("logging/setLevel", {"level": "debug"})
    house.one.reads(False)
    for number in range(50):
        house.says(method="notifications/message", params={"level": "info", "data": number})
    await until(lambda: len(house.two.notes) == 50)
    assert text(await house.two.call("s", said="on")) == "on"
    assert house.one.notes == []
    house.one.reads(True)
    await until(lambda: house.one.notes)
    assert "50 notifications were dropped" in house.one.messages[0]["params"]["data"]


async def test_a_client_that_leaves_takes_its_calls_subscriptions_and_questions_along(house: Shared) -> None:
    third = house.attach()
    await third.initialize(elicitation={"form": {}})
    actors = len(pykka.ActorRegistry.get_all())
    await third.request("resources/subscribe", {"uri": FILES[0]})
    third.ask("tools/call", calling("s", "wait"))
    await until(house.waiting)
    house.says(id=903, method="elicitation/create", params=QUESTION)
    await until(lambda: third.messages)
    third.go()
    await until(lambda: house.got("notifications/cancelled") and house.answers(903))
    assert house.got("notifications/cancelled")[0]["requestId"] == house.waiting()[0]["id"]
    assert "error" in house.answers(903)[0]
    await until(lambda: house.got("resources/unsubscribe"))
    await settle(house)
    assert len(pykka.ActorRegistry.get_all()) == actors - 1
    assert not house.status.done()


async def test_nothing_holds_the_frontends_of_clients_that_have_left(house: Shared) -> None:
    gone = []
    for _ in range(5):
        client = house.attach()
        await client.initialize(elicitation={"url": {}})
        await client.request("resources/subscribe", {"uri": FILES[0]})
        gone.append(weakref.ref(client))
        client.go()
        await until(lambda client=client: client.failed is not None)  # type: ignore[misc]
    del client
    await settle(house)
    gc.collect()
    assert [one() for one in gone] == [None] * 5


async def test_when_the_client_of_standard_input_leaves_the_others_are_answered_before_the_end(
    house: Shared,
) -> None:
    asked = house.two.ask("tools/call", calling("s", "wait"))
    await until(house.waiting)
    house.one.go()
    assert "error" in await asked
    assert await house.ended() == 0


async def test_a_bug_in_one_frontend_ends_its_client_alone(house: Shared) -> None:
    third = house.attach()
    await third.initialize()
    third.frontend.tell(object())  # a message no actor knows: what a bug would do
    await until(lambda: third.failed is not None)
    assert third.failed
    assert text(await house.two.call("s", said="on")) == "on"
