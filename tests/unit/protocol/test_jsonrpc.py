"""From a frame to a typed message, and the frames dmcp writes itself."""

from __future__ import annotations

import gc
import json
import sys

import pytest

from dmcp.protocol import jsonrpc, scan, wire

pytestmark = pytest.mark.usefixtures("json_of")

SHAPES = [b"%b", b"[%b]", b'[{"jsonrpc":"2.0","id":1,"result":%b}]', b'{"jsonrpc":"2.0","id":%b}']


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', jsonrpc.Request),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":null}', jsonrpc.Request),
        (b'{"jsonrpc":"2.0","method":"note"}', jsonrpc.Notification),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', jsonrpc.Response),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"error":null}', jsonrpc.Response),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', jsonrpc.Response),
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
    assert isinstance(number, jsonrpc.Request)
    assert isinstance(text, jsonrpc.Request)
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


ODD_BODIES = [
    b"{}",
    b"null",
    b'{"a": 1.0, "b": 1e2, "c": 0.10, "d": 12345678901234567890123}',
    b'{"id":2,"jsonrpc":"1.0","result":{"result":[]}}',
    b'"}"',
    b'"\\"result\\":"',
    b'["\\ud83d", "\\u0000", "\\/"]',
    b"  [ 1 , 2 ]  ",
    '"ü € 😀 \u2028"'.encode(),
]
ENVELOPES = [
    b'{"jsonrpc":"2.0","id":1,"result":%b}',
    b'{"id":1,"jsonrpc":"2.0","result":%b}',
    b'{"result":%b,"id":1,"jsonrpc":"2.0"}',
    b'{"result":%b,"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","result":%b,"id":1}',
    b' { "jsonrpc" : "2.0" , "id" : 1 , "result" : %b } ',
    b'{"jsonrpc":"2.0","id":1,"result":%b,"extra":{"result":0}}',
    b'{"extra":{"result":0},"jsonrpc":"2.0","id":1,"result":%b}',
    b'{"result":"first","jsonrpc":"2.0","id":1,"result":%b}',
    b'{"id":9,"jsonrpc":"2.0","id":1,"result":%b}',
    b'{"jsonrpc":"2.0","id":1,"r\\u0065sult":%b}',
]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("body", ODD_BODIES)
def test_a_result_keeps_its_bytes_whatever_the_envelope_looks_like(envelope: bytes, body: bytes) -> None:
    wire.use_fast_json()
    for answer in (jsonrpc.read(envelope % body), scan.at_once(jsonrpc.read_in_slices(envelope % body))):
        assert isinstance(answer, jsonrpc.Response)
        assert answer.result is not None
        assert (answer.id, answer.result.strip()) == (b"1", body.strip())


def test_a_result_over_several_lines_comes_out_on_one_line_and_means_the_same() -> None:
    frame = b'{"jsonrpc":"2.0","id":1,"result":{\r\n "a":\n1}}'
    answer = jsonrpc.read(frame)
    assert isinstance(answer, jsonrpc.Response)
    body = answer.result or b""
    assert b"\n" not in body
    assert b"\r" not in body
    assert json.loads(body) == {"a": 1}


@pytest.mark.parametrize(
    ("frame", "identifier"),
    [
        (b'{"jsonrpc":"2.0","id":5,"result":{oops', b"5"),
        (b'{"id":"x","jsonrpc":"2.0","error":NaN}', b'"x"'),
        (b'{"jsonrpc":"2.0","method":"x"', b"null"),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"result":', b"null"),
        (b"garbage", b"null"),
    ],
)
def test_the_id_of_an_unreadable_answer_is_found_if_it_stands_where_it_should(
    frame: bytes, identifier: bytes
) -> None:
    message = jsonrpc.read(frame)
    assert isinstance(message, jsonrpc.Malformed)
    assert (message.id, message.is_response) == (identifier, identifier != b"null")


@pytest.mark.parametrize(
    ("identifier", "number"),
    [
        (b"12", 12),
        (b'"12"', 12),
        (b"12.0", 12),
        (b'"12.0"', 12),
        (12, 12),
        ("12", 12),
        (12.0, 12),
        (b"12.5", None),
        (b"-12", None),
        (b'"x"', None),
        (b"null", None),
        (b"1e3", None),
        (b"9" * 5000, None),
        ("9" * 5000, None),
        (True, None),
        (None, None),
        ([12], None),
        ("\N{ARABIC-INDIC DIGIT ONE}", None),
        (float("inf"), None),
    ],
)
def test_which_of_our_own_numbers_an_id_is_meant_to_be(identifier: object, number: int | None) -> None:
    assert jsonrpc.own_number(identifier) == number


@pytest.mark.parametrize(("length", "taken"), [(1000, True), (1024, True), (1025, False)])
def test_a_methods_name_has_one_limit_however_the_message_is_read(length: int, taken: bool) -> None:
    wire.use_fast_json()
    frame = b'{"jsonrpc":"2.0","id":1,"method":"%b"}' % (b"m" * (length - 2))
    for message in (jsonrpc.read(frame), scan.at_once(jsonrpc.read_in_slices(frame))):
        assert isinstance(message, jsonrpc.Request) is taken


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%b"}}' % (b"x" * 17 * 2**20),
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"data":[%b1]}}' % (b"1," * 100_001),
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":%b}' % (b"[" * 2000),
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":"text"}',
    ],
    ids=["long", "many values", "deep", "no UTF-8", "no object"],
)
def test_a_message_that_is_refused_is_let_go_at_once(frame: bytes) -> None:
    """An error kept with its traceback would hold 60 MB until the garbage collector happens to come by."""
    wire.use_fast_json()
    gc.disable()
    try:
        before = sys.getrefcount(frame)
        for _ in range(3):
            assert isinstance(scan.at_once(jsonrpc.read_in_slices(frame)), jsonrpc.Malformed)
            assert isinstance(jsonrpc.read(frame), jsonrpc.Malformed)
        assert sys.getrefcount(frame) == before
    finally:
        gc.enable()
