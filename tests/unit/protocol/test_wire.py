"""Reading JSON strictly, writing it exactly, and finding the bytes of one member."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.protocol import wire

pytestmark = pytest.mark.usefixtures("json_of")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"nul",
        b"NaN",
        b"[NaN]",
        b"{1:2}",
        b'{"a":1,}',
        b'{"a":-Infinity}',
        b"'a'",
        b'"\x01"',
        b'["\xff"]',
        b"[" * 10**5,
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.decode(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -0.0,
        1.5,
        2**64,
        -(10**30),
        "",
        "ü\u2028\x00",
        "\ud800",
        {"\udfff": ["\ud83d"]},
        {"a": [1, {"b": None}]},
    ],
)
def test_what_is_written_reads_the_same_and_is_one_line(value: Any) -> None:
    text = wire.encode(value)
    assert b"\n" not in text
    assert json.loads(text) == value


def test_infinity_is_written_as_null_because_json_has_no_word_for_it() -> None:
    wire.use_fast_json()  # the first messages have no numbers worth mentioning
    assert wire.encode(wire.decode(b'{"a":1e999}')) == b'{"a":null}'


def test_infinity_beside_a_lone_surrogate_is_written_as_null_too() -> None:
    value = wire.decode(b'{"a": ["\\ud800", 1e400, {"b": -1e999}]}')
    assert json.loads(wire.encode(value)) == {"a": ["\ud800", None, {"b": None}]}


@pytest.mark.parametrize("depth", range(800, 1000, 7))
def test_what_can_be_read_can_be_written_from_further_up_the_stack(depth: int) -> None:
    text = b"[" * depth + b"]" * depth
    try:
        value = wire.decode(text)
    except ValueError:
        return

    def write(calls: int) -> bytes:
        return write(calls - 1) if calls else wire.encode(value)

    assert write(25) == text


def test_what_nests_too_deeply_to_be_written_is_a_value_error() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        wire.encode(value)
    while value:  # taken apart by hand: freeing it at once would recurse as deeply
        value = value[0]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"b":[],"a":'])
def test_how_deep_a_message_may_nest_is_the_same_on_every_python(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth: int) -> bytes:
        return opening * depth + b"1" + closing * depth

    assert wire.decode(nested(800))
    with pytest.raises(ValueError, match="nested too deeply"):
        wire.decode(nested(951))


def test_one_member_is_replaced_and_every_other_byte_stays() -> None:
    text = b'{ "code":-1 ,"message": "no", "data":{"message":1.0} }'
    assert (
        wire.with_member(text, "message", b'"yes"')
        == b'{ "code":-1 ,"message": "yes", "data":{"message":1.0} }'
    )


def test_of_a_repeated_member_the_last_one_counts_as_in_parsers() -> None:
    assert wire.member(b'{"a":1,"a":2}', "a") == b"2"


def test_a_member_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        wire.member(b'{"a":{"b":1}}', "b")
