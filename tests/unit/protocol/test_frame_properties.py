"""Properties of frames: whatever JSON value stands in a message arrives equal, and a result byte by byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmcp.protocol import jsonrpc, scan, tools, wire
from dmcp.protocol.eras import handshake
from dmcp.protocol.operations import CallTool

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
SPACES = st.sampled_from(["", " ", "\t", "  "])
EASY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def both(frame: bytes) -> list[jsonrpc.Message]:
    """What the fast way and the one in slices make of it."""
    wire.use_fast_json()
    return [jsonrpc.read_at_once(frame) or jsonrpc.read(frame), scan.at_once(jsonrpc.read_in_slices(frame))]


def frame_of(method: str, params: bytes) -> bytes:
    """A request with these params."""
    return b'{"jsonrpc":"2.0","id":7,"method":"%b","params":%b}' % (method.encode(), params)


def text(value: Any, space: str, *, plain: bool) -> bytes:
    spelled = json.dumps(value, ensure_ascii=not plain, separators=("," + space, ":" + space))
    return spelled.encode("utf-8", "surrogatepass")


@EASY
@given(VALUES, SPACES)
def test_a_result_arrives_byte_by_byte(value: Any, space: str) -> None:
    body = text(value, space, plain=False)
    for message in both(b'{"jsonrpc":"2.0","id":7,"result":%b}' % body):
        assert isinstance(message, jsonrpc.Response)
        assert message.result == body


@EASY
@given(OBJECTS, SPACES)
def test_params_arrive_equal_and_the_arguments_of_a_tool_byte_by_byte(
    value: dict[str, Any], space: str
) -> None:
    body = text(value, space, plain=False)
    for message in both(frame_of("x", body)):
        assert isinstance(message, jsonrpc.Request)
        assert {name: wire.opened(member) for name, member in message.params.items()} == value
    assert jsonrpc.read(frame_of("x", body)).params == value  # type: ignore[union-attr]  # as above
    arguments = b'{"group":"g","name":"n","args":%b}' % body
    for message in both(frame_of("tools/call", b'{"name":"t","arguments":%b}' % arguments)):
        assert isinstance(message, jsonrpc.Request)
        operation = handshake.read_request(message.method, message.params).operation
        assert isinstance(operation, CallTool)
        call = tools.read_call(operation.arguments)
        assert isinstance(call, tools.ToolCall)
        assert bytes(call.arguments) == body
        assert body in handshake.request(1, CallTool(call.name, call.arguments))


@EASY
@given(TEXTS | st.integers(-(10**30), 10**30))
def test_an_id_comes_back_equal(identifier: Any) -> None:
    for message in both(b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % text(identifier, "", plain=False)):
        assert isinstance(message, jsonrpc.Request)
        assert json.loads(message.id) == identifier


@EASY
@given(VALUES, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_damaged_message_is_judged_alike_both_ways_and_never_raises(
    value: Any, at: int, damage: bytes
) -> None:
    frame = b'{"jsonrpc":"2.0","id":7,"result":%b}' % text(value, "", plain=False)
    at = min(at, len(frame))
    fast, sliced = both(frame[:at] + damage + frame[at:])
    assert type(fast) is type(sliced)


@EASY
@given(VALUES, SPACES)
def test_the_scanner_finds_the_members_a_parser_finds(value: Any, space: str) -> None:
    body = text({"a": value, "b": [value], "a\\": 1}, space, plain=False)
    found = scan.at_once(scan.members(body, 0))
    assert found.end == len(body)
    assert {name: json.loads(body[start:end]) for name, (start, end) in found.spans.items()} == json.loads(
        body
    )


@pytest.mark.parametrize(
    "text",
    [
        "[1,]",
        "{,}",
        '{"a":1,}',
        "[01]",
        "[1.]",
        "[+1]",
        "[.5]",
        '["\t"]',
        '["\\x"]',
        "[1 2]",
        "[]]",
        "[}",
        "tru",
        "-",
        '"',
        "[1e]",
    ],
)
def test_the_scanner_refuses_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        scan.at_once(scan.whole(text.encode()))
