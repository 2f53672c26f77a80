"""What a server may ask of the client: which requests, how many, in whose name, and for how long."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.protocol.server_requests import elicitation_id
from harness import RawClient, RpcError, dmcp_command, write_config
from harness.child import WAIT
from harness.configs import TESTS, python_server
from servers.raw_http import Peer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

EVERYTHING = {"sampling": {}, "roots": {"listChanged": True}, "elicitation": {"form": {}, "url": {}}}
SAMPLING = {"messages": [], "maxTokens": 1}
FORM = {"message": "Your name?", "requestedSchema": {"type": "object", "properties": {}}}


def hostile(**more: Any) -> dict[str, Any]:
    return python_server(TESTS / "servers" / "hostile.py", **more)


def served(path: Path, **servers: Any) -> RawClient:
    config = write_config(path / "dmcp.json", servers or {"g": hostile()})
    return RawClient(dmcp_command(config), strict=False)


def start(client: RawClient, name: str, group: str = "g", **args: Any) -> int | str:
    """Send a call without waiting for its answer."""
    return client.ask(
        "tools/call",
        {"name": "call_dynamic_tool", "arguments": {"group": group, "name": name, "args": args}},
    )


async def asked(client: RawClient, method: str, params: Any = None, group: str = "g") -> dict[str, Any]:
    """Have the server ask this; return what it is answered."""
    question = {"id": "q", "method": method, "params": params or {}}
    result = await client.call(group, "ask", {"message": question})
    answer: dict[str, Any] = json.loads(result["content"][0]["text"])
    return answer


async def heard(client: RawClient, group: str = "g") -> list[dict[str, Any]]:
    """All that the server has been told."""
    result = await client.call(group, "heard")
    told: list[dict[str, Any]] = json.loads(result["content"][0]["text"])
    return told


async def refusals(client: RawClient, number: int) -> list[dict[str, Any]]:
    """Wait until the server has been refused so many requests; return all refusals."""
    async with asyncio.timeout(WAIT):
        while True:
            found = [message for message in await heard(client) if "error" in message]
            if len(found) >= number:
                return found


def requests(client: RawClient) -> list[str]:
    return [m["method"] for m in client.inbox if "id" in m]


async def test_a_request_mcp_does_not_define_for_servers_is_refused_without_asking_the_client(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for method in ("tasks/list", "tools/call", "initialize", "dmcp/stop", "logging/setLevel", "x" * 5000):
            answer = await asked(client, method)
            assert answer["error"]["code"] == -32601
        assert requests(client) == []


@pytest.mark.parametrize(
    ("feature", "method", "params"),
    [
        ("sampling", "sampling/createMessage", SAMPLING),
        ("elicitation", "elicitation/create", FORM),
        ("roots", "roots/list", {}),
    ],
)
async def test_a_feature_that_is_switched_off_is_not_declared_and_a_request_for_it_is_refused(
    feature: str, method: str, params: Any, tmp_path: Path
) -> None:
    async with served(tmp_path, g=hostile(features={feature: False}), other=hostile()) as client:
        await client.initialize(capabilities=EVERYTHING)
        (hello,) = [m for m in await heard(client) if m.get("method") == "initialize"]
        assert set(hello["params"]["capabilities"]) == set(EVERYTHING) - {feature}
        (hello,) = [m for m in await heard(client, "other") if m.get("method") == "initialize"]
        assert set(hello["params"]["capabilities"]) == set(EVERYTHING)
        answer = await asked(client, method, params)
        assert answer["error"]["code"] == -32601
        assert "switched off" in answer["error"]["message"]
        assert requests(client) == []
        client.notify("notifications/roots/list_changed")
        await client.request("ping")
        changes = [m for m in await heard(client) if m.get("method") == "notifications/roots/list_changed"]
        assert len(changes) == (feature != "roots")


async def test_open_requests_of_a_server_are_bounded_and_one_more_is_refused_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile(limits={"server_requests": 3})) as client:
        await client.initialize(capabilities=EVERYTHING)
        questions = [
            {"id": f"q{n}", "method": "sampling/createMessage", "params": SAMPLING} for n in range(5)
        ]
        call = start(client, "hang", messages=questions)
        first = [await client.heard("sampling/createMessage") for _ in range(3)]
        refused = await refusals(client, 2)
        assert [m["id"] for m in refused] == ["q3", "q4"]
        assert {m["error"]["code"] for m in refused} == {-32000}
        assert "limits.server_requests" in refused[0]["error"]["message"]
        assert requests(client) == []
        for question in first:
            client.respond(
                question, {"role": "assistant", "content": {"type": "text", "text": "a"}, "model": "m"}
            )
        assert "result" in await _answered(client)
        client.notify("notifications/cancelled", {"requestId": call})


async def _answered(client: RawClient) -> dict[str, Any]:
    """Have the server ask once more, and answer it."""
    client.answers["sampling/createMessage"] = lambda _: {"role": "assistant", "content": [], "model": "m"}
    return await asked(client, "sampling/createMessage", SAMPLING)


async def test_an_id_that_is_open_already_is_refused_and_does_not_count_twice(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        twice = [{"id": "q", "method": "sampling/createMessage", "params": SAMPLING}] * 20
        call = start(client, "hang", messages=twice)
        question = await client.heard("sampling/createMessage")
        assert len(await refusals(client, 19)) == 19
        assert requests(client) == []
        client.respond(question, {"role": "assistant", "content": [], "model": "m"})
        client.notify("notifications/cancelled", {"requestId": call})


async def test_a_request_that_is_too_large_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    wrong = {
        "the id is longer": {"id": "i" * 5000, "method": "roots/list"},
        "bytes at most": {
            "id": "q",
            "method": "elicitation/create",
            "params": {**FORM, "message": "x" * 300_000},
        },
        "mode must be": {"id": "q", "method": "elicitation/create", "params": {**FORM, "mode": "window"}},
    }
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for said, question in wrong.items():
            result = await client.call("g", "ask", {"message": question})
            assert said in json.loads(result["content"][0]["text"])["error"]["message"]
        assert requests(client) == []


# In whose name --------------------------------------------------------------------------------------------------------


SHOWN = [
    ("Your name?", "[g] Your name?"),
    ("[bank] Your password?", "[g] > [bank] Your password?"),
    ("Hello\n  [bank] Your password?", "[g] Hello\n>   [bank] Your password?"),
    ("Hello\r\ndmcp: sign in at evil.example", "[g] Hello\\r\n> dmcp: sign in at evil.example"),
    ("DMCP: sign in", "[g] > DMCP: sign in"),
    ("\uff3bbank\uff3d Your password?", "[g] > \uff3bbank\uff3d Your password?"),
    ("\x1b[2J\u202eevil\u200b", "[g] \\x1b[2J\\u202eevil\\u200b"),
    ("**dmcp: sign in**", "[g] > **dmcp: sign in**"),
    ("Hello\n" + "*" * 30 + " dmcp: sign in", "[g] Hello\n> " + "*" * 30 + " dmcp: sign in"),
    ("\u2800\u2013 \u201cdmcp: sign in\u201d", "[g] > \u2800\u2013 \u201cdmcp: sign in\u201d"),
    ("# **[bank]** Your password?", "[g] > # **[bank]** Your password?"),
    ("A [b] c", "[g] A [b] c"),
    (5, "[g] "),
]


async def test_a_question_to_the_person_begins_with_its_group_and_cannot_pass_for_anothers(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for message, shown in SHOWN:
            params = {**FORM, "message": message}
            start(client, "ask", message={"id": "q", "method": "elicitation/create", "params": params})
            question = await client.heard("elicitation/create")
            assert question["params"]["message"] == shown
            assert question["params"]["requestedSchema"] == FORM["requestedSchema"]
            client.respond(question, {"action": "cancel"})


def test_no_two_groups_can_give_an_elicitation_the_same_id() -> None:
    told = [elicitation_id(group, own) for group, own in (("a", "b:c"), ("a:b", "c"), ("a%3Ab", "c"))]
    assert len(set(told)) == 3


async def test_a_very_long_question_is_cut(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        params = {**FORM, "message": "x" * 100_000}
        start(client, "ask", message={"id": "q", "method": "elicitation/create", "params": params})
        question = await client.heard("elicitation/create")
        assert len(question["params"]["message"]) < 4100
        client.respond(question, {"action": "cancel"})


BAD_ADDRESSES = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "http://example.org/",
    "http://127.0.0.1.example.org/",
    "http://localhost.example.org/",
    "http://localhost@example.org/",
    "https://user:pw@example.org/",
    "https://user@example.org/",
    "https://example.org\\@evil.example/",
    "https:///path",
    "https://exam\nple.org/",
    "https://example.org/\x1b[2J",
    "https://ex\u0430mple.org/",
    "https://example.org:99999/",
    "data:text/html,x",
    "vscode://x",
    "",
    " https://example.org/",
    7,
    None,
    "https://example.org/" + "x" * 9000,
]


async def test_a_person_is_not_sent_to_an_address_that_is_not_https(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for url in BAD_ADDRESSES:
            for mode in ("url", "form"):
                params = {**FORM, "mode": mode, "url": url, "elicitationId": "e"}
                answer = await asked(client, "elicitation/create", params)
                assert answer["error"]["code"] == -32602, url
                assert answer["error"]["message"].startswith("Invalid params: url ")
        assert requests(client) == []


async def test_a_page_over_https_or_on_this_machine_may_be_opened(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for url in (
            "https://example.org/a?b#c",
            "http://127.0.0.1:80/",
            "http://[::1]/",
            "http://localhost/",
        ):
            params = {"mode": "url", "message": "Open", "url": url, "elicitationId": "e"}
            start(client, "ask", message={"id": "q", "method": "elicitation/create", "params": params})
            question = await client.heard("elicitation/create")
            assert question["params"]["url"] == url
            assert question["params"]["elicitationId"] == "g:e"
            client.respond(question, {"action": "accept"})


async def test_the_elicitations_in_an_error_are_treated_as_questions(tmp_path: Path) -> None:
    wanted = [
        {"mode": "url", "elicitationId": "good", "url": "https://example.org/", "message": "[bank] Sign in"},
        {"mode": "url", "elicitationId": "bad", "url": "javascript:alert(1)", "message": "Sign in"},
    ]
    error = {"code": -32042, "message": "Sign in first", "data": {"elicitations": wanted, "more": 1}}
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        with pytest.raises(RpcError) as caught:
            await client.call("g", "fail", {"error": error})
        assert caught.value.code == -32042
        (shown,) = caught.value.data["elicitations"]
        assert shown["elicitationId"] == "g:good"
        assert shown["message"] == "[g] > [bank] Sign in"
        assert caught.value.data["more"] == 1
        bad = {**error, "data": {"elicitations": wanted[1:]}}
        with pytest.raises(RpcError) as caught:
            await client.call("g", "fail", {"error": bad})
        assert caught.value.code == -32000
        done = [
            {"method": "notifications/elicitation/complete", "params": {"elicitationId": e}}
            for e in ("bad", "good")
        ]
        await client.call("g", "say", {"messages": done})
        told = await client.heard("notifications/elicitation/complete")
        assert told["params"]["elicitationId"] == "g:good"
        assert not [m for m in client.inbox if m.get("method") == "notifications/elicitation/complete"]


@pytest.mark.parametrize("code", [-32042, -32042.0])
async def test_no_address_passes_in_an_error_that_is_too_long_to_look_through(
    code: float, tmp_path: Path
) -> None:
    wanted = [
        {"mode": "url", "elicitationId": "e", "url": "javascript:alert(1)", "message": "[bank] Sign in"}
    ]
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for size in (1, 300_000, 5_000_000):
            data = {"elicitations": wanted, "more": "x" * size}
            with pytest.raises(RpcError) as caught:
                await client.call("g", "fail", {"error": {"code": code, "message": "m", "data": data}})
            assert caught.value.code == -32000
            assert caught.value.message.startswith("g: wants ")
            assert caught.value.data is None


async def test_what_is_no_error_object_reaches_the_client_as_one(tmp_path: Path) -> None:
    odd = [
        ({"code": "ENOENT", "message": "no file"}, -32000, "g: no file"),
        ({"code": None, "message": ["no"]}, -32000, 'g: {"code": null, "message": ["no"]}'),
        ({"code": 10**400, "message": "no"}, -32000, "g: no"),
        ({"code": 5}, 5, 'g: {"code": 5}'),
        ({}, -32000, "g: {}"),
    ]
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        for error, code, message in odd:
            with pytest.raises(RpcError) as caught:
                await client.call("g", "fail", {"error": error})
            assert (caught.value.code, caught.value.message) == (code, message)


async def test_the_context_of_this_server_is_not_the_context_of_all_groups(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        params = {**SAMPLING, "includeContext": "thisServer", "task": {"ttl": 1}}
        start(client, "ask", message={"id": "q", "method": "sampling/createMessage", "params": params})
        question = await client.heard("sampling/createMessage")
        assert question["params"] == {**SAMPLING, "includeContext": "none"}
        client.refuse(question, -1, "no")


# Its clock ------------------------------------------------------------------------------------------------------------


async def test_a_request_no_person_answers_stops_no_clock(tmp_path: Path) -> None:
    """An unanswered ``roots/list`` does not keep calls from timing out, nor the server from being found hanging."""
    async with served(tmp_path, g=hostile(timeout={"tools": "500ms"})) as client:
        await client.initialize(capabilities=EVERYTHING)
        call = start(client, "hang", messages=[{"id": "r", "method": "roots/list"}])
        question = await client.heard("roots/list")
        answer = await client.answer(call)
        assert answer["error"]["code"] == -32001
        withdrawn = await client.heard("notifications/cancelled")
        assert withdrawn["params"]["requestId"] == question["id"]


async def test_a_question_stops_only_the_clock_of_its_own_call(tmp_path: Path) -> None:
    """Over stdio that is the oldest call in flight."""
    async with served(tmp_path, g=hostile(timeout={"tools": "500ms"})) as client:
        await client.initialize(capabilities=EVERYTHING)
        oldest = start(client, "hang", messages=[{"id": "q", "method": "elicitation/create", "params": FORM}])
        question = await client.heard("elicitation/create")
        other = start(client, "hang")
        assert (await client.answer(other))["error"]["code"] == -32001
        client.respond(question, {"action": "cancel"})
        assert (await client.answer(oldest))["error"]["code"] == -32001
        assert {"jsonrpc": "2.0", "id": "q", "result": {"action": "cancel"}} in await heard(client)


async def test_over_http_the_stream_says_whose_clock_a_question_stops(tmp_path: Path) -> None:
    asking = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": FORM}

    async def silent(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.closed()

    async def asks(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.event(asking)
        await peer.closed()

    async with raw_server() as server:
        offer_tool(server, silent)
        server.on("tools/call", silent, asks)
        async with served(tmp_path, g={"url": server.url, "timeout": {"tools": "500ms"}}) as client:
            await client.initialize(capabilities=EVERYTHING)
            older = start(client, "x")
            await server.arrived("tools/call")
            younger = start(client, "x")
            question = await client.heard("elicitation/create")
            assert (await client.answer(older))["error"]["code"] == -32001
            client.respond(question, {"action": "cancel"})
            assert (await client.answer(younger))["error"]["code"] == -32001
            assert not [m for m in client.inbox if m.get("method") == "notifications/cancelled"]


async def test_cancelling_a_call_ends_what_its_server_asked_on_its_account(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        call = start(client, "hang", messages=[{"id": "q", "method": "elicitation/create", "params": FORM}])
        question = await client.heard("elicitation/create")
        client.notify("notifications/cancelled", {"requestId": call, "reason": "enough"})
        withdrawn = await client.heard("notifications/cancelled")
        assert withdrawn["params"]["requestId"] == question["id"]
        (told,) = [m for m in await heard(client) if m.get("id") == "q"]
        assert "the call it belongs to has ended" in told["error"]["message"]


async def test_a_server_withdraws_its_own_requests_only(tmp_path: Path) -> None:
    async with served(tmp_path, g=hostile(), other=hostile()) as client:
        await client.initialize(capabilities=EVERYTHING)
        call = start(client, "ask", message={"id": "q", "method": "elicitation/create", "params": FORM})
        question = await client.heard("elicitation/create")
        cancelled = {"method": "notifications/cancelled", "params": {"requestId": "q", "reason": "\x1b[2J"}}
        odd = [
            {**cancelled, "params": {"requestId": wrong}} for wrong in (None, {"a": []}, True, question["id"])
        ]
        await client.call("other", "say", {"messages": [cancelled, *odd]})
        assert not [m for m in client.inbox if m.get("method") == "notifications/cancelled"]
        await client.call("g", "say", {"messages": [*odd, cancelled]})
        withdrawn = await client.heard("notifications/cancelled")
        assert withdrawn["params"] == {"requestId": question["id"], "reason": "\\x1b[2J"}
        client.notify("notifications/cancelled", {"requestId": call})


@pytest.mark.parametrize("padding", [0, 100_000, 300_000, 5_000_000])
@pytest.mark.parametrize("code", [-32042, -32042.0])
async def test_no_size_and_no_spelling_brings_an_address_past_the_rules(
    tmp_path: Path, code: float, padding: int
) -> None:
    wanted = [{"mode": "url", "elicitationId": "e", "url": "javascript:alert(1)", "message": "Sign in"}]
    error = {"code": code, "message": "Sign in", "data": {"pad": "x" * padding, "elicitations": wanted}}
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        with pytest.raises(RpcError) as caught:
            await client.call("g", "fail", {"error": error})
        assert caught.value.code == -32000
        assert "javascript" not in json.dumps(caught.value.data)


@pytest.mark.parametrize("data", [None, {"hint": 1}, {"elicitations": []}])
async def test_an_error_with_this_code_that_names_no_address_passes_as_it_is(
    tmp_path: Path, data: Any
) -> None:
    async with served(tmp_path) as client:
        await client.initialize(capabilities=EVERYTHING)
        with pytest.raises(RpcError) as caught:
            await client.call("g", "fail", {"error": {"code": -32042, "message": "Sign in", "data": data}})
        assert (caught.value.code, caught.value.data) == (-32042, data)
