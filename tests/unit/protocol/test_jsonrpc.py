"""From a frame to a typed message, and the frames dmcp writes itself."""

from __future__ import annotations

import json

import pytest

from dmcp.protocol import jsonrpc

pytestmark = pytest.mark.usefixtures("json_of")

SHAPES = [b"%b", b"[%b]", b'[{"jsonrpc":"2.0","id":1,"result":%b}]', b'{"jsonrpc":"2.0","id":%b}']


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', jsonrpc.Call),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":null}', jsonrpc.Call),
        (b'{"jsonrpc":"2.0","method":"note"}', jsonrpc.Note),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', jsonrpc.Answer),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":null}', jsonrpc.Answer),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', jsonrpc.Answer),
        (b"[]", jsonrpc.Batch),
    ],
)
def test_each_kind_of_message_is_recognised(frame: bytes, kind: type) -> None:
    assert isinstance(jsonrpc.read(frame), kind)


@pytest.mark.parametrize(
    ("frame", "code", "identifier"),
    [
        (b"oops", jsonrpc.PARSE_ERROR, b"null"),
        (b"7", jsonrpc.INVALID_REQUEST, b"null"),
        (b'{"jsonrpc":"2.0","id":3}', jsonrpc.INVALID_REQUEST, b"3"),
        (b'{"id":3,"method":"x"}', jsonrpc.INVALID_REQUEST, b"3"),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', jsonrpc.INVALID_REQUEST, b"null"),
        (b'{"jsonrpc":"2.0","id":null,"method":"x"}', jsonrpc.INVALID_REQUEST, b"null"),
        (b'{"jsonrpc":"2.0","id":3,"method":[]}', jsonrpc.INVALID_REQUEST, b"3"),
        (b'{"jsonrpc":"2.0","id":3,"method":"x","params":[]}', jsonrpc.INVALID_PARAMS, b"3"),
        (b'{"jsonrpc":"2.0","id":3,"error":"text"}', jsonrpc.INVALID_REQUEST, b"3"),
        (b'{"jsonrpc":"2.0","id":3,"result":{]}', jsonrpc.PARSE_ERROR, b"3"),
    ],
)
def test_what_is_no_message_says_why_and_whose_it_would_have_been(
    frame: bytes, code: int, identifier: bytes
) -> None:
    message = jsonrpc.read(frame)
    assert isinstance(message, jsonrpc.Malformed)
    assert (message.code, message.id) == (code, identifier)


def test_a_notification_nobody_can_read_is_owed_no_answer_and_a_request_is() -> None:
    note = jsonrpc.read(b'{"jsonrpc":"2.0","method":"x","params":[]}')
    call = jsonrpc.read(b'{"jsonrpc":"2.0","id":null,"method":"x","params":[]}')
    assert isinstance(note, jsonrpc.Malformed)
    assert isinstance(call, jsonrpc.Malformed)
    assert (jsonrpc.is_answered(note), jsonrpc.is_answered(call)) == (False, True)


def test_a_number_and_the_same_number_as_text_are_two_ids() -> None:
    number = jsonrpc.read(b'{"jsonrpc":"2.0","id":1,"method":"x"}')
    text = jsonrpc.read(b'{"jsonrpc":"2.0","id":"1","method":"x"}')
    assert isinstance(number, jsonrpc.Call)
    assert isinstance(text, jsonrpc.Call)
    assert number.id != text.id


@pytest.mark.parametrize("depth", [10, 100, 500, 900, 950, 970, 980, 990, 1000, 2000, 10**5])
@pytest.mark.parametrize(
    "shape", [b"%b", b"[%b]", b'[{"jsonrpc":"2.0","id":1,"result":%b}]', b'{"jsonrpc":"2.0","id":%b}']
)
def test_reading_never_raises_however_deep_it_gets(depth: int, shape: bytes) -> None:
    jsonrpc.read(shape % (b"[" * depth + b"]" * depth))
    jsonrpc.read(shape % (b'{"a":' * depth + b"1" + b"}" * depth))


def test_every_prefix_of_a_message_is_a_parse_error() -> None:
    frame = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"ü","b":[1,null]}}'.encode()
    for end in range(len(frame)):
        message = jsonrpc.read(frame[:end])
        assert isinstance(message, jsonrpc.Malformed)
        assert message.code == jsonrpc.PARSE_ERROR


def test_frames_dmcp_writes_are_one_line_of_json_each() -> None:
    frames = [
        jsonrpc.request(b'"a"', "x\n", {"k": "line\nbreak"}),
        jsonrpc.request(b"1", "x", None),
        jsonrpc.notification("n", {"a": 1}),
        jsonrpc.result(b"1", b"{}"),
        jsonrpc.failure(b"null", jsonrpc.error_object(-1, "m", {"d": 1})),
    ]
    for frame in frames:
        assert b"\n" not in frame
        assert json.loads(frame)["jsonrpc"] == "2.0"
