"""The frontend where things go wrong at the wrong moment: every request of the client is answered once all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.messages import supervisor, upstream
from dmcp.messages.frontend import (
    ClientFrames,
    Finish,
    GraceOver,
    ServerRequest,
    Settled,
    UpstreamGone,
)
from dmcp.protocol.operations import ListRoots, Result
from unit.actors.test_frontend import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    "unreadable",
    [
        b'{"jsonrpc":"2.0","id":1,"error":"text"}',
        b'{"jsonrpc":"2.0","id":1,"result":{"text":"\xff"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{]}',
    ],
)
async def test_an_answer_of_the_client_that_cannot_be_read_fails_the_question_and_nothing_else(
    stage: Stage, unreadable: bytes
) -> None:
    stage.begin(roots={})
    stage.call(1)
    stage.hand(ServerRequest(b'"q"', "g", stage.upstream, None, ListRoots({})))
    assert stage.written[-1]["id"] == 1
    stage.written.clear()
    stage.hand(ClientFrames((unreadable,)))
    (answer,) = stage.upstream.of(upstream.AnswerServerRequest)
    assert answer.id == b'"q"'
    assert b"could not be read" in answer.error
    assert stage.written == []  # 1 is also the id of a call in flight: it must not be answered
    stage.hand(Settled(stage.call_id(), Result(b"{}")))
    assert stage.written == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


async def test_an_unreadable_answer_to_no_question_does_not_answer_a_call_of_the_same_id(
    stage: Stage,
) -> None:
    stage.begin()
    stage.call(7)
    stage.hand(ClientFrames((b'{"jsonrpc":"2.0","id":7,"error":"text"}',)))
    (refusal,) = stage.written
    assert refusal["id"] is None
    stage.hand(Settled(stage.call_id(), Result(b"{}")))
    assert stage.written[1:] == [{"jsonrpc": "2.0", "id": 7, "result": {}}]


async def test_a_batch_with_an_unreadable_answer_in_it_is_answered_whole(stage: Stage) -> None:
    stage.begin("2025-03-26", roots={})
    stage.hand(ServerRequest(b'"q"', "g", stage.upstream, None, ListRoots({})))
    stage.written.clear()
    ping = '{"jsonrpc":"2.0","id":9,"method":"ping"}'
    stage.hand(ClientFrames((f'[{{"jsonrpc":"2.0","id":1,"error":"text"}},{ping}]'.encode(),)))
    assert stage.written == [[{"jsonrpc": "2.0", "id": 9, "result": {}}]]
    assert len(stage.upstream.of(upstream.AnswerServerRequest)) == 1


async def test_a_request_cancelled_before_there_is_a_configuration_is_never_made(stage: Stage) -> None:
    stage.says({"id": 0, "method": "initialize", "params": HELLO})
    stage.call(1)
    stage.call(2)
    stage.says({"method": "notifications/cancelled", "params": {"requestId": 1}})
    stage.directory()
    (request,) = stage.upstream.of(upstream.Submit)
    stage.hand(Settled(request.call, Result(b"{}")))
    assert [one["id"] for one in stage.written] == [0, 2]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/list", {}),
        ("resources/read", {"uri": "x:1"}),
        ("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": "g"}}),
    ],
)
async def test_what_the_catalog_can_no_longer_answer_is_an_error_and_not_the_end_of_the_rest(
    stage: Stage, method: str, params: dict[str, object]
) -> None:
    stage.begin()
    stage.call(1)
    stage.catalog.end()
    stage.says({"id": 2, "method": method, "params": params})
    (refusal,) = stage.written
    assert refusal["id"] == 2
    assert "has not run" in refusal["error"]["message"]
    stage.says({"method": "notifications/cancelled", "params": {"requestId": 2}})
    stage.hand(Settled(stage.call_id(), Result(b"{}")))
    assert stage.written[-1]["id"] == 1


async def test_a_cancel_of_what_waits_in_a_catalog_that_has_ended_is_no_failure(stage: Stage) -> None:
    stage.begin()
    stage.says({"id": 2, "method": "resources/list"})
    stage.catalog.end()
    stage.says({"method": "notifications/cancelled", "params": {"requestId": 2}})
    assert stage.written == []


async def test_at_the_end_only_what_was_sent_is_said_to_have_run_perhaps(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    stage.says({"id": 2, "method": "resources/list"})
    stage.hand(Finish(1.0), GraceOver())
    told = {one["id"]: one["error"]["message"] for one in stage.written}
    assert "its outcome is unknown" in told[1]
    assert "has not run" in told[2]


async def test_the_questions_of_an_upstream_that_failed_are_withdrawn(stage: Stage) -> None:
    stage.begin(roots={})
    stage.hand(ServerRequest(b"1", "g", stage.upstream, None, ListRoots({})))
    stage.hand(UpstreamGone(stage.upstream, "g", "dmcp failed"))
    assert stage.written[-1]["method"] == "notifications/cancelled"
    assert stage.supervisor.of(supervisor.Shutdown) == []


async def test_whatever_a_result_holds_it_is_answered_under_the_clients_id(stage: Stage) -> None:
    stage.begin()
    stage.call(1)
    # A server that repeats the id: the body dmcp cuts out of its answer has an id in it.
    stage.hand(Settled(stage.call_id(), Result(b'{"a":1},"id":99')))
    assert stage.written[-1]["id"] == 1


CALL = '{"id":%d,"method":"tools/call","params":{"name":"call_dynamic_tool","arguments":'
DEEP = {
    "args": CALL + '{"group":"g","name":"t","args":{"a":%s}}}}',
    "another argument": CALL + '{"group":"g","name":"t","x":%s}}}',
    "arguments": CALL + "%s}}",
    "in _meta": CALL + '{"group":"g","name":"t"},"_meta":{"a":%s}}}',
    "_meta": CALL + '{"group":"g","name":"t"},"_meta":%s}}',
    "beside the group": '{"id":%d,"method":"tools/call","params":'
    '{"name":"get_dynamic_tools","arguments":{"group":"g","x":%s}}}',
    "group": '{"id":%d,"method":"tools/call","params":{"name":"get_dynamic_tools","arguments":{"group":%s}}}',
    "cursor": '{"id":%d,"method":"tools/list","params":{"cursor":%s}}',
    "uri": '{"id":%d,"method":"resources/read","params":{"uri":%s}}',
    "ref": '{"id":%d,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"x","a":%s}}}',
    "level": '{"id":%d,"method":"logging/setLevel","params":{"level":%s}}',
    "initialize": '{"id":%d,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s}}',
    "requestId": '{"m":%d,"method":"notifications/cancelled","params":{"requestId":%s}}',
    "progress": '{"m":%d,"method":"notifications/progress","params":{"progressToken":1,"progress":%s}}',
    "progressToken": '{"m":%d,"method":"notifications/progress","params":{"progressToken":%s}}',
    "result": '{"id":%d,"result":{"a":%s}}',
    "error": '{"id":%d,"error":{"code":1,"message":"m","data":%s}}',
}


def _higher(frames: int, work: Callable[[], None]) -> None:
    """Do it with so many more frames on the stack: how deep a reader gets depends on what is there already."""
    if frames:
        _higher(frames - 1, work)
    else:
        work()


@pytest.mark.parametrize("frames", [0, 40])
@pytest.mark.parametrize("place", DEEP)
async def test_what_nests_deeply_is_passed_on_or_refused_wherever_it_stands(
    stage: Stage, place: str, frames: int
) -> None:
    stage.begin(roots={})
    for depth in (100, *range(850, 1010, 3), 3000):
        stage.hand(ServerRequest(b'"q"', "g", stage.upstream, None, ListRoots({})))
        text = DEEP[place] % (depth, "[" * depth + "]" * depth)
        frame = ClientFrames((('{"jsonrpc":"2.0",' + text[1:]).encode(),))
        _higher(frames, lambda frame=frame: stage.hand(frame))  # type: ignore[misc]
    stage.hand(ClientFrames((b'{"jsonrpc":"2.0","id":"last","method":"ping"}',)))
    assert stage.written[-1] == {"jsonrpc": "2.0", "id": "last", "result": {}}
