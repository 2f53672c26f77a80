"""What a server can get wrong once it is connected: its calls get a clear answer, everybody else notices nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import call_of, dmcp, echoes, failure_of, rogue, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio


async def heard_by(client: RawClient, group: str = "g") -> list[dict[str, Any]]:
    """All messages the server has been sent so far."""
    messages: list[dict[str, Any]] = json.loads(text_of(await client.call(group, "heard")))
    return messages


async def test_garbage_on_stdout_is_skipped_and_the_answer_after_it_arrives(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "garbage")) == "after the garbage"
        assert not client.inbox
        await echoes(client, "g")
        await client.until(lambda: "Listening on port 8080" in client.stderr, "a word about the garbage")
        await client.logged("g: ")


async def test_an_answer_that_comes_byte_by_byte_arrives_whole(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "drip")) == "dröp"


async def test_of_two_answers_the_first_counts(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "twice")) == "first"
        await echoes(client, "g")


async def test_answers_nobody_asked_for_are_dropped(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "stray")) == "mine"
        await echoes(client, "g")


async def test_an_error_without_an_id_answers_no_call(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "null_error")) == "mine"


async def test_answers_out_of_order_reach_their_own_calls(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        calls = [client.ask("tools/call", call_of("reversed", {"n": n, "of": 20})) for n in range(20)]
        texts = [text_of((await client.answer(call))["result"]) for call in calls]
        assert texts == [str(n) for n in range(20)]


async def test_an_answer_after_the_deadline_is_dropped_and_the_server_was_told(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(timeout={"tools": "300ms"})}) as client:
        await client.initialize()
        await echoes(client, "g")
        error = await failure_of(client, "g", "wait")
        assert error.code == -32001
        assert error.message.startswith("g: no answer to tools/call within 0.3 s")
        assert "may have run" in error.message
        assert text_of(await client.call("g", "release")) == "done"  # the late answer came before this one
        heard = await heard_by(client)
        late = next(m["id"] for m in heard if m.get("params", {}).get("name") == "wait")
        cancelled = [m["params"] for m in heard if m["method"] == "notifications/cancelled"]
        assert cancelled == [{"requestId": late, "reason": "timed out"}]


async def test_a_deadline_of_one_server_is_no_business_of_another(tmp_path: Path) -> None:
    servers = {"slow": rogue(timeout={"tools": "300ms"}), "other": rogue()}
    async with dmcp(tmp_path, servers) as client:
        await client.initialize()
        await echoes(client, "slow")
        kept = client.ask("tools/call", call_of("wait", group="other"))
        await failure_of(client, "slow", "wait")
        await client.call("other", "release")
        assert text_of((await client.answer(kept))["result"]) == "released"


async def test_a_cancelled_call_is_not_answered_and_the_server_is_told_under_its_own_id(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        identifier = client.ask("tools/call", call_of("wait"), identifier="mine")
        await client.heard("notifications/message")
        client.notify("notifications/cancelled", {"requestId": identifier, "reason": "no longer needed"})
        assert text_of(await client.call("g", "release")) == "done"
        heard = await heard_by(client)
        theirs = next(m["id"] for m in heard if m.get("params", {}).get("name") == "wait")
        cancelled = [m["params"] for m in heard if m["method"] == "notifications/cancelled"]
        assert cancelled == [{"requestId": theirs, "reason": "no longer needed"}]
        assert not any(b'"mine"' in line for line in client.lines)


async def test_an_error_object_passes_unchanged_except_that_its_message_names_the_group(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        await failure_of(client, "g", "error")
        line = client.lines[-1]
        assert b'"error":{"code": -7,  "message": "g: no", "data": {"n": 1.50, "deep": [[[' in line


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":NaN}',
        b"{oops",
        b'{"a":"\xff"}',
        # Later Pythons would read them all, and some of what is done with them then ends in a full stack.
        *(b'{"a":' + b"[" * depth + b"]" * depth + b"}" for depth in (1200, 5000, 50_000)),
    ],
    ids=["NaN", "no JSON", "no UTF-8", "deep", "deeper", "deepest"],
)
async def test_an_answer_that_is_no_json_fails_its_call_at_once_and_only_that(
    tmp_path: Path, body: bytes
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        error = await failure_of(client, "g", "raw", {"hex": body.hex()})
        assert error.message.startswith("g: ")
        assert "cannot be passed on" in error.message
        await echoes(client, "g")


async def test_an_error_that_is_no_object_fails_its_call(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        error = await failure_of(client, "g", "text_error")
        assert error.message.startswith("g: ")
        await echoes(client, "g")


async def test_results_arrive_byte_for_byte(tmp_path: Path) -> None:
    bodies = [
        b'{"content":[],"x":1.0,"y":1e2,"z":12345678901234567890123,"w":0.10}',
        b'{ "content" : [ ] , "odd" : "\\u00fc\\/\\ud83d\\ude00" }',
        b'{"content":[{"type":"text","text":"lone \\ud83d surrogate"}]}',
        b'{"content":[],"_meta":{"a/b":null},"unknown":[[],{}],"isError":false}',
        b'{"content":[],"deep":' + b'{"a":[' * 100 + b"1" + b"]}" * 100 + b"}",
        b'{"content":[],"deep":' + b"[" * 900 + b"]" * 900 + b"}",
        '{"content":[{"type":"text","text":"ü € 😀 \u2028"}]}'.encode(),
        b'{"content":[],"jsonrpc":"2.0","id":1,"result":{"result":2}}',
        b'{"content":[{"type":"text","text":"' + b"x" * 3_000_000 + b'"}]}',
        b'{"content":[],"huge":1e400,"tiny":1e-400}',
    ]
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        for body in bodies:
            call = client.ask("tools/call", call_of("raw", {"hex": body.hex()}))
            await client.answer(call)
            answer = b'{"result":' + body + b',"jsonrpc":"2.0","id":%d}' % int(call)
            assert client.lines[-1] == answer, body[:80]


async def test_a_message_over_64_mib_fails_its_call_and_the_server_is_connected_anew(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "other": rogue()}) as client:
        await client.initialize()
        before = text_of(await client.call("g", "pid"))
        other = text_of(await client.call("other", "pid"))
        error = await failure_of(client, "g", "too_long")
        assert "64 MiB" in error.message
        assert error.message.startswith("g: ")
        assert text_of(await client.call("g", "pid")) != before
        assert text_of(await client.call("other", "pid")) == other


async def test_a_flood_on_stderr_is_drained_and_delays_no_answer(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "grumble", {"megabytes": 16})) == "grumbled"
        assert len(client.stderr) < 100_000


async def test_a_flood_of_notifications_within_the_limit_arrives_complete_and_in_order(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue(limits={"notifications": 1000})}) as client:  # 5,000 at once
        await client.initialize()
        await client.call("g", "chatter", {"count": 5000})
        notes = [note["params"] for note in client.inbox if note["method"] == "notifications/message"]
        assert [note["data"]["number"] for note in notes] == list(range(5000))
        assert {note["logger"] for note in notes} == {"g"}


async def test_log_messages_below_the_level_the_client_asked_for_are_not_shown(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        await client.request("logging/setLevel", {"level": "error"})
        await client.call("g", "chatter", {"count": 10})
        assert not [note for note in client.inbox if note["method"] == "notifications/message"]
        assert {"level": "error"} in [
            m["params"] for m in await heard_by(client) if m["method"] == "logging/setLevel"
        ]


async def test_a_question_the_client_cannot_know_is_refused_on_its_behalf(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        reply = json.loads(text_of(await client.call("g", "ask_nonsense")))
        assert reply["id"] == "q"
        assert reply["error"]["code"] == -32601


async def test_calls_beyond_the_bound_get_a_clear_error_and_the_others_are_answered(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "other": rogue()}) as client:
        await client.initialize()
        await echoes(client, "g")
        waiting = [client.ask("tools/call", call_of("wait")) for _ in range(255)]
        last = client.ask("tools/call", call_of("wait"))
        for _ in range(256):
            await client.heard("notifications/message")
        error = await failure_of(client, "g", "echo")
        assert error.code == -32000
        assert "256 calls in flight" in error.message
        await echoes(client, "other")
        client.notify("notifications/cancelled", {"requestId": last})
        await client.call("g", "release")
        assert all([("result" in await client.answer(call)) for call in waiting])
