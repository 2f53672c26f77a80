"""Large results that are one plain text are read another way than all others, and mean the same."""

from __future__ import annotations

import pytest

from dmcp.protocol import jsonrpc, scan, wire
from dmcp.protocol.jsonrpc import Response

TEXT = "Some words, here: [and] {there}. " * 4000
OTHERS = ("x" * 100_000, TEXT, "größer " * 20_000, "\U0001f600" * 30_000)


@pytest.fixture(autouse=True)
def _fast() -> None:
    wire.use_fast_json()


def _slowly(frame: bytes) -> jsonrpc.Message:
    return scan.at_once(jsonrpc.read_in_slices(frame))


def _shown(message: jsonrpc.Message | None) -> object:
    """A message, comparable: a view and the bytes it shows are the same."""
    if isinstance(message, jsonrpc.Request):
        return message._replace(params={name: wire.opened(value) for name, value in message.params.items()})
    if not isinstance(message, Response):
        return message
    return (
        message.id,
        *(None if body is None else bytes(body) for body in (message.result, message.error)),
    )


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize(
    "shape",
    [
        '{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"%s"}]}}',
        '{"result":{"content":[{"type":"image","data":"%s","mimeType":"image/png"}]},"jsonrpc":"2.0","id":17}',
        ' { "jsonrpc" : "2.0" , "id" : "a\\n" , "result" : { "x" : "%s" , "y":[1,{"z":null}]} } ',
        '{"jsonrpc":"2.0","id":17,"result":"%s"}',
        '{"jsonrpc":"2.0","id":17,"result":{"%s":1}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"\\"%s"}}',
        '{"jsonrpc":"2.0","id":1,"result":{"a":"%s"},"id":17}',
    ],
)
def test_a_plain_result_is_a_view_of_its_frame(shape: str, text: str) -> None:
    frame = shape.replace("%s", text).encode()
    read = jsonrpc.read_at_once(frame)
    assert isinstance(read, Response)
    assert isinstance(read.result, memoryview), "it has been copied"
    assert _shown(read) == _shown(_slowly(frame))


@pytest.mark.parametrize(
    "frame",
    [
        '{"jsonrpc":"2.0","id":17,"result":{"a":"%s"}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"%s}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"%s"}} x',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"%s","b":NaN}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":%s}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"b"%s"c":"d"}}',
        '{"jsonrpc":"1.0","id":17,"result":{"a":"%s"}}',
        '{"jsonrpc":"2.0","result":{"a":"%s"}}',
        '{"jsonrpc":"2.0","id":17,"error":{"code":1,"message":"%s"}}',
        '{"jsonrpc":"2.0","id":17,"error":{"code":1,"message":"%s"},"result":{}}',
        '{"jsonrpc":"2.0","id":17,"method":"ping","result":{"a":"%s"}}',
        '{"jsonrpc":"2.0","id":17,"method":"prompts/get","params":{"a":"%s"}}',
        '{"jsonrpc":"2.0","id":17,"x":"%s","result":{"a":1}}',
        '{"jsonrpc":"2.0","id":"%s","result":{"a":1}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"%s"},"result":{"a":2}}',
        '{"jsonrpc":"2.0","id":17,"result":{"a":\n"%s"}}',
        '[{"jsonrpc":"2.0","id":17,"result":{"a":"%s"}}]',
        '{"jsonrpc":"2.0","id":17,"result":{"a":"\\ud800","b":"%s"}}',
        "%s",
        '"%s"',
    ],
)
def test_other_frames_mean_what_they_always_did(frame: str) -> None:
    """No JSON, no result, an escape or a line break: what the general reader says of it counts."""
    whole = frame.replace("%s", TEXT).encode()
    assert _shown(jsonrpc.read(whole)) == _shown(_slowly(whole))


@pytest.mark.parametrize(
    "inside",
    [
        b"\x00",
        b"\x1f",
        b"\t",
        b"\n",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\\",
        b"\\x",
        b'"',
        b"\\n",
    ],
)
@pytest.mark.parametrize("at", [0, 50_000, 100_000])
def test_what_no_string_may_hold_is_found_in_the_middle_of_a_text(inside: bytes, at: int) -> None:
    text = b"x" * at + inside + b"x" * (100_000 - at)
    frame = b'{"jsonrpc":"2.0","id":17,"result":{"a":"%b"}}' % text
    assert _shown(jsonrpc.read(frame)) == _shown(_slowly(frame))
    assert isinstance(jsonrpc.read(frame), Response) is (inside == b"\\n")
