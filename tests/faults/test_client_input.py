"""What a client can get wrong: each time a clear answer, and the session goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import call_of, dmcp, echoes, rogue

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio

NO_GROUP = {"name": "call_dynamic_tool", "arguments": {"name": "echo"}}
NO_NAME = {"name": "call_dynamic_tool", "arguments": {"group": "g"}}
BAD_ARGS = {"name": "call_dynamic_tool", "arguments": {"group": "g", "name": "echo", "args": [1]}}
BAD_TEXT_ARGS = {"name": "call_dynamic_tool", "arguments": {"group": "g", "name": "echo", "args": "{oops"}}


NO_JSON = [
    b"hello",
    b"{",
    b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}}',
    b"{'jsonrpc':'2.0'}",
    b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\xff\xfe","method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}',
    b"\x00\x00",
    b"{" * 5000,
    b'{"a":' * 100_000,
]

NO_REQUEST = [
    (b"1", None),
    (b'"ping"', None),
    (b"null", None),
    (b"{}", None),
    (b'{"jsonrpc":"2.0","id":77}', 77),
    (b'{"id":78,"method":"ping"}', 78),
    (b'{"jsonrpc":"1.0","id":79,"method":"ping"}', 79),
    (b'{"jsonrpc":"2.0","id":80,"method":7}', 80),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', None),
    (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', None),
    (b'{"jsonrpc":"2.0","id":81,"error":"text"}', 81),
    (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}', None),
    (b'{"jsonrpc":"2.0","id":"' + b"x" * 5000 + b'","method":"ping"}', "x" * 5000),
]

NO_METHOD = ["server/discover", "tools/explode", "", "Ping", "notifications/initialized"]

BAD_PARAMS = [
    ("tools/call", {}, "name"),
    ("tools/call", {"name": 3}, "name"),
    ("tools/call", {"name": "no_such_tool"}, "no_such_tool"),
    ("tools/call", {"name": "get_dynamic_tools", "arguments": {"qery": "x"}}, "query"),
    ("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": 1}}, "group"),
    ("tools/call", {"name": "get_dynamic_tools", "arguments": "g"}, "arguments"),
    ("tools/call", NO_GROUP, "group"),
    ("tools/call", NO_NAME, "name"),
    ("tools/call", BAD_ARGS, "args"),
    ("tools/call", BAD_TEXT_ARGS, "args"),
    ("resources/read", {}, "uri"),
    ("resources/read", {"uri": ["x"]}, "uri"),
    ("resources/read", {"uri": "x:y", "group": 1}, "group"),
    ("resources/subscribe", {}, "uri"),
    ("resources/unsubscribe", {"uri": None}, "uri"),
    ("resources/list", {"cursor": "garbage"}, "cursor"),
    ("resources/list", {"cursor": 5}, "cursor"),
    ("resources/list", {"group": "nobody"}, "group"),
    ("tools/list", {"cursor": "dG9vbHM6OTk6MA=="}, "cursor"),
    ("prompts/get", {}, "name"),
    ("prompts/get", {"name": "nobody has this"}, "nobody has this"),
    ("completion/complete", {}, "ref"),
    ("completion/complete", {"ref": {"type": "ref/other"}}, "ref"),
    ("completion/complete", {"ref": {"type": "ref/prompt"}}, "name"),
    ("logging/setLevel", {}, "level"),
    ("logging/setLevel", {"level": "loud"}, "level"),
]

BAD_HELLO = [
    ({}, "protocolVersion"),
    ({"protocolVersion": 20251125}, "protocolVersion"),
    ({"protocolVersion": "2025-11-25", "capabilities": []}, "capabilities"),
    ({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": "me"}, "clientInfo"),
]

NEEDS_NO_ANSWER = [
    b'{"jsonrpc":"2.0","method":"notifications/unheard-of","params":{"a":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"a":[]}}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12345}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[],"progress":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}',
    b'{"jsonrpc":"2.0","method":"notifications/unheard-of","params":"text"}',
    b'{"jsonrpc":"2.0","method":"tools/list"}',
    b'{"jsonrpc":"2.0","id":4711,"result":{}}',
    b'{"jsonrpc":"2.0","id":"who","result":{}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}',
    b'{"jsonrpc":"2.0","id":-5,"result":{}}',
    b"",
    b"   \t ",
    b"\r",
]

DEPTHS = [100, 300, 900, 940, 950, 955, 960, 965, 970, 975, 980, 985, 990, 3000]


async def error_for(client: RawClient, raw: bytes, identifier: Any = None) -> dict[str, Any]:
    """The error a line is answered with; the session must go on after it."""
    if identifier is None:
        client.write(raw + b"\n")
    else:
        client.send_bytes(raw + b"\n")
    response = await client.answer(identifier)
    assert await client.request("ping") == {}
    assert "error" in response, raw[:100]
    error: dict[str, Any] = response["error"]
    return error


async def test_a_line_that_is_no_json_is_a_parse_error(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        for line in NO_JSON:
            assert (await error_for(client, line))["code"] == -32700, line[:100]


async def test_json_that_is_no_request_is_an_invalid_request(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}, strict=False) as client:
        await client.initialize()
        for line, identifier in NO_REQUEST:
            assert (await error_for(client, line, identifier))["code"] == -32600, line


async def test_an_unknown_method_is_method_not_found_and_is_named(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        for method in NO_METHOD:
            client.send({"jsonrpc": "2.0", "id": method, "method": method})
            error = (await client.answer(method))["error"]
            assert error["code"] == -32601
            assert method in error["message"]


async def test_server_discover_before_initialize_is_method_not_found_so_that_clients_fall_back(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {}) as client:
        client.send({"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {}})
        assert (await client.answer(0))["error"]["code"] == -32601
        assert (await client.initialize())["serverInfo"]["name"] == "dmcp"


async def test_bad_params_are_invalid_params_and_the_parameter_is_named(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        for number, (method, params, named) in enumerate(BAD_PARAMS):
            identifier = f"bad {number}"
            client.send({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params})
            answer = await client.answer(identifier)
            assert "error" in answer, (method, params)
            assert answer["error"]["code"] == -32602, (method, params)
            assert named in answer["error"]["message"], (method, params)


async def test_a_bad_initialize_is_invalid_params_and_a_good_one_may_follow(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        for number, (params, named) in enumerate(BAD_HELLO):
            identifier = f"bad {number}"
            client.send({"jsonrpc": "2.0", "id": identifier, "method": "initialize", "params": params})
            error = (await client.answer(identifier))["error"]
            assert error["code"] == -32602
            assert named in error["message"]
        await client.initialize()


async def test_params_that_are_a_list_are_invalid_params(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        error = await error_for(client, b'{"jsonrpc":"2.0","id":5,"method":"tools/list","params":[1]}', 5)
        assert error["code"] == -32602


async def test_before_initialize_only_ping_is_answered_with_a_result(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        assert await client.request("ping") == {}
        client.send({"jsonrpc": "2.0", "id": "early", "method": "tools/list"})
        error = (await client.answer("early"))["error"]
        assert error["code"] == -32600
        assert "initialize" in error["message"]
        await client.initialize()
        assert len((await client.request("tools/list"))["tools"]) == 2


async def test_a_second_initialize_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize("2025-06-18")
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        client.send({"jsonrpc": "2.0", "id": "again", "method": "initialize", "params": params})
        assert (await client.answer("again"))["error"]["code"] == -32600
        assert len((await client.request("tools/list"))["tools"]) == 2


async def test_an_unknown_revision_is_answered_with_the_latest(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}, strict=False) as client:
        assert (await client.initialize("1999-01-01"))["protocolVersion"] == "2025-11-25"


async def test_an_id_that_is_in_flight_is_refused_and_the_first_call_still_answered(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        call = call_of("wait")
        client.ask("tools/call", call, identifier="same")
        await client.heard("notifications/message")
        client.ask("tools/call", call, identifier="same")
        error = (await client.answer("same"))["error"]
        assert error["code"] == -32600
        assert '"same"' in error["message"]
        await client.call("g", "release")
        assert (await client.answer("same"))["result"]["content"][0]["text"] == "released"


async def test_one_id_twice_before_the_configuration_is_read_is_answered_twice_and_nothing_breaks(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        lines: list[dict[str, Any]] = [
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": "same", "method": "tools/list"},
            {"jsonrpc": "2.0", "id": "same", "method": "tools/list"},
        ]
        client.send_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        answers = [await client.answer("same"), await client.answer("same")]
        assert sorted("error" in answer for answer in answers) == [False, True]
        await echoes(client, "g")


async def test_ids_of_every_legal_kind_come_back_as_they_were(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        for identifier in (0, -1, 2**53, "", "0", "ü \u2028 \U0001f600", '"\\'):
            call = call_of("echo")
            client.ask("tools/call", call, identifier=identifier)
            assert "result" in await client.answer(identifier)


async def test_the_ids_one_and_text_one_are_two_calls(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        call = call_of("wait")
        client.ask("tools/call", call, identifier=501)
        client.ask("tools/call", call, identifier="501")
        await client.heard("notifications/message")
        await client.heard("notifications/message")
        await client.call("g", "release")
        assert "result" in await client.answer(501)
        assert "result" in await client.answer("501")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_an_empty_batch_is_an_invalid_request_in_every_revision(tmp_path: Path, revision: str) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize(revision)
        assert (await error_for(client, b"[]"))["code"] == -32600


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_a_batch_outside_its_revision_is_refused_as_a_whole(tmp_path: Path, revision: str) -> None:
    async with dmcp(tmp_path, {}, strict=False) as client:
        await client.initialize(revision)
        client.send([{"jsonrpc": "2.0", "id": "in a batch", "method": "ping"}])
        error = (await client.answer(None))["error"]
        assert error["code"] == -32600
        assert "2025-03-26" in error["message"]


async def test_a_mixed_batch_of_2025_03_26_is_answered_in_one_batch_and_each_part_once(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize("2025-03-26")
        call = call_of("echo")
        before = len(client.lines)
        batch: list[Any] = [
            {"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": call},
            {"jsonrpc": "2.0", "method": "notifications/unheard-of"},
            {"jsonrpc": "2.0", "method": "notifications/unheard-of", "params": [1]},
            {"jsonrpc": "2.0", "id": "b", "method": "no/such"},
            17,
            {"jsonrpc": "2.0", "id": "c", "method": "ping"},
        ]
        client.send_bytes(json.dumps(batch).encode() + b"\n")
        await client.answer("a")
        answers = [json.loads(line) for line in client.lines[before:] if line.startswith(b"[")]
        assert len(answers) == 1
        assert len(answers[0]) == 4
        assert {answer["id"]: answer.get("error", {}).get("code") for answer in answers[0]} == {
            "a": None,
            "b": -32601,
            None: -32600,
            "c": None,
        }


async def test_a_batch_of_notifications_is_not_answered(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize("2025-03-26")
        before = len(client.lines)
        client.send_bytes(b'[{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]\n')
        client.send_bytes(b'[{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":[]}]\n')
        await client.request("ping")
        assert len(client.lines) == before + 1


async def test_a_call_in_a_batch_that_is_cancelled_does_not_hold_up_the_rest_of_it(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize("2025-03-26")
        call = call_of("wait")
        batch = [
            {"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": call},
            {"jsonrpc": "2.0", "id": "quick", "method": "ping"},
        ]
        client.send_bytes(json.dumps(batch).encode() + b"\n")
        await client.heard("notifications/message")
        client.notify("notifications/cancelled", {"requestId": "slow"})
        assert (await client.answer("quick"))["result"] == {}


async def test_what_needs_no_answer_gets_none_and_the_session_goes_on(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        for line in NEEDS_NO_ANSWER:
            before = len(client.lines)
            client.write(line + b"\n")
            await client.request("ping")
            assert len(client.lines) == before + 1, line


async def test_an_answer_of_the_client_with_a_huge_number_as_id_is_refused_and_harms_nobody(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        client.write(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"result":{}}\n')
        assert await client.request("ping") == {}


async def test_lines_that_end_in_carriage_returns_are_understood(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        client.send_bytes(b'{"jsonrpc":"2.0","id":"crlf","method":"ping"}\r\n')
        assert (await client.answer("crlf"))["result"] == {}


async def test_a_request_that_comes_byte_by_byte_is_understood(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        arguments = {"group": "g", "name": "echo", "args": {"text": "ü€😀"}}
        params = {"name": "call_dynamic_tool", "arguments": arguments}
        identifier = client.ask("ping")
        await client.answer(identifier)
        request = {"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": params}
        client.ledger.record("client", request)
        for byte in json.dumps(request, ensure_ascii=False).encode() + b"\n":
            client.write(bytes([byte]))
            await client.drain()
        text = (await client.answer("slow"))["result"]["content"][0]["text"]
        assert json.loads(text) == {"text": "ü€😀"}


async def test_a_line_longer_than_64_mib_is_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        block = b"x" * (1 << 20)
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"')
        for _ in range(64):
            client.write(block)
            await client.drain()
        client.write(b'"}\n')
        error = (await client.answer(None))["error"]
        assert error["code"] == -32600
        assert "64 MiB" in error["message"]
        assert await client.request("ping") == {}


async def test_a_line_of_just_64_mib_passes(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {}) as client:
        await client.initialize()
        line = b'{"jsonrpc":"2.0","id":"big","method":"ping","params":{"pad":"'
        line += b"x" * (64 * 1024 * 1024 - len(line) - 3) + b'"}}'
        assert len(line) == 64 * 1024 * 1024
        client.send_bytes(line + b"\n")
        assert (await client.answer("big"))["result"] == {}


async def test_arguments_nested_deeply_are_passed_on_or_refused_and_no_other_call_suffers(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        waiting = client.ask("tools/call", call_of("wait"))
        await client.heard("notifications/message")
        for depth in DEPTHS:
            before = len(client.lines)
            line = b'{"jsonrpc":"2.0","id":"deep","method":"tools/call","params":{"name":"call_dynamic_tool",'
            line += (
                b'"arguments":{"group":"g","name":"pid","args":{"a":' + b"[" * depth + b"]" * depth + b"}}}}"
            )
            client.write(line + b"\n")
            await client.until(lambda before=before: len(client.lines) > before, "an answer")  # type: ignore[misc]
        await client.call("g", "release")
        assert "result" in await client.answer(waiting)


async def test_odd_texts_and_numbers_in_arguments_arrive_as_valid_json(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        for sent, seen in (
            (b'"\\ud800"', "\ud800"),
            (b"123456789012345678901234567890", 123456789012345678901234567890),
            (b"1e400", float("inf")),  # as it was sent: what that is, is the server's to say
            (b"-0.0", -0.0),
            (b"1.0", 1.0),
        ):
            line = b'{"jsonrpc":"2.0","id":"odd","method":"tools/call","params":{"name":"call_dynamic_tool",'
            line += b'"arguments":{"group":"g","name":"echo","args":{"x":' + sent + b"}}}}"
            client.write(line + b"\n")
            text = (await client.answer("odd"))["result"]["content"][0]["text"]
            assert json.loads(text) == {"x": seen}, sent


async def test_args_as_a_json_text_of_an_object_are_accepted(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        result = await client.call("g", "echo", '{"a": [1, 2]}')
        assert json.loads(result["content"][0]["text"]) == {"a": [1, 2]}


@pytest.mark.parametrize(("group", "tool", "hint"), [("gg", "echo", "'g'"), ("g", "ecko", "'echo'")])
async def test_a_mistyped_name_is_a_tool_error_that_names_the_close_match(
    tmp_path: Path, group: str, tool: str, hint: str
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        result = await client.call(group, tool)
        assert result["isError"] is True
        assert hint in result["content"][0]["text"]
