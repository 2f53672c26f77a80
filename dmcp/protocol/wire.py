"""JSON as it stands on the wire: strict reading, exact writing, and the bytes of one member of an object.

The fast path is pydantic_core (RFC 8259, strict). What it refuses although another implementation may have
meant it (lone surrogates, very deep nesting) is read again with the standard library, so that such a message
still passes; what is no JSON at all (NaN, garbage, invalid UTF-8) is refused by both.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TAIL_REACH = 256  # bytes from the end in which the closing members of an envelope are looked for
_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_ROOM = 60  # frames of the stack that reading leaves to writing: what could be read can be passed on
_DEEPEST = (
    950  # levels; the stack of Python 3.11 has room for no more, those of later versions for 1,500 to 65,000
)


class _Envelope(NamedTuple):
    """What stands around the body of an answer, in the usual spellings."""

    head: re.Pattern[bytes]
    front: re.Pattern[bytes]
    tail: re.Pattern[bytes]


@cache
def _envelope() -> _Envelope:
    """Compiled at the first answer of a server: the first answer to the client does not wait for it."""
    number = rb'(-?\d{1,18}|"[^"\\]*")'  # an id dmcp gives out is never longer
    version, identity = rb'"jsonrpc"\s*:\s*"2\.0"', rb'"id"\s*:\s*' + number
    both = rb"(?:" + version + rb"\s*,\s*" + identity + rb"|" + identity + rb"\s*,\s*" + version + rb")"
    body = rb'"(?:result|error)"\s*:\s*'
    return _Envelope(
        head=re.compile(rb"\s*\{\s*" + both + rb"\s*,\s*" + body),
        front=re.compile(rb"\s*\{\s*" + body),
        tail=re.compile(rb"\s*,\s*" + both + rb"\s*\}\s*\Z"),
    )


def speed_up() -> None:
    """Read and write with pydantic_core from now on.

    Until then it is the standard library, twenty times slower: importing pydantic_core takes longer than anything
    else before the first answer, and that one message is small.
    """
    global _from_json, _to_json
    from pydantic_core import from_json, to_json  # noqa: PLC0415 - see above

    _from_json, _to_json = from_json, to_json


_from_json: Callable[..., Any] | None = None
_to_json: Callable[..., bytes] | None = None


def decode(text: bytes) -> Any:
    """Read one JSON document.

    Raises:
        ValueError: it is not JSON; the message says where. Also for nesting too deep for any reader here.
    """
    if _from_json is None:
        return _decode_leniently(text)
    try:
        return _from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        if text.lstrip()[:1] not in (b"{", b"["):
            raise
        return _decode_leniently(text)


def _decode_leniently(text: bytes) -> Any:
    import json  # noqa: PLC0415 - seldom needed

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def read(room: int) -> Any:
        return read(room - 1) if room else json.loads(text.decode("utf-8"), parse_constant=refuse)

    try:
        value = read(_ROOM)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None
    if _nests_deeper(value, _DEEPEST):
        raise ValueError("nested too deeply")
    return value


def _nests_deeper(value: Any, levels: int) -> bool:
    """Whether a value has more levels than so many. Without recursion: that is what it protects the others from."""
    level: list[Any] = [[value]]
    for _ in range(levels + 1):
        contents = (each.values() if isinstance(each, dict) else each for each in level)
        level = [member for content in contents for member in content if isinstance(member, dict | list)]
        if not level:
            return False
    return True


def encode(value: Any) -> bytes:
    """Write compact JSON, on one line.

    Raises:
        ValueError: the value nests too deeply for what is on the stack already.
    """
    if _to_json is not None:
        # 1e400 is JSON, but no reader here can tell it from infinity, which is not.
        with suppress(ValueError, RecursionError):
            return _to_json(value, inf_nan_mode="null")
    import json  # noqa: PLC0415 - for the first messages, lone surrogates and deep nesting

    def write(what: Any) -> bytes:
        return json.dumps(what, separators=(",", ":"), allow_nan=False).encode("ascii")

    try:
        try:
            return write(value)
        except ValueError:
            return write(_finite(value))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(value: Any) -> Any:
    """The same with null for what is beyond the range of numbers, as pydantic_core writes it."""
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def encode_id(identifier: Any) -> bytes:
    """Write a JSON-RPC id. Most are small integers, for which this is several times cheaper than ``encode``."""
    return b"%d" % identifier if type(identifier) is int else encode(identifier)


def one_line(text: bytes) -> bytes:
    """The same JSON without line breaks. In valid JSON they stand between tokens only."""
    if b"\n" in text or b"\r" in text:
        return text.translate(_BREAKS)
    return text


def answer_body(frame: bytes, parsed: dict[str, Any], name: str) -> bytes:
    """The bytes of member ``name`` ("result" or "error") of an answer, exactly as they were sent.

    Args:
        frame: one JSON-RPC answer.
        parsed: the same, decoded; it must have the member.
        name: the member wanted.
    """
    keys = tuple(parsed)
    if len(keys) == 3:  # noqa: PLR2004 - jsonrpc, id and the body: every answer that has nothing unusual
        body = _body_last(frame, parsed) if keys[2] == name else _body_first(frame, parsed, keys, name)
        if body is not None:
            return one_line(body)
    return one_line(member(frame, name))


def _body_last(frame: bytes, parsed: dict[str, Any]) -> bytes | None:
    head = _envelope().head.match(frame)
    if head is None or not _same_id(head, parsed):
        return None
    return frame[head.end() : frame.rindex(b"}")]


def _body_first(frame: bytes, parsed: dict[str, Any], keys: tuple[str, ...], name: str) -> bytes | None:
    front = _envelope().front.match(frame)
    tail = _envelope().tail.search(frame, max(0, len(frame) - _TAIL_REACH))
    if keys[0] != name or front is None or tail is None or not _same_id(tail, parsed):
        return None
    return frame[front.end() : tail.start()]


def answered_id(frame: bytes) -> bytes:
    """The encoded id of what looks like an answer but cannot be read, so that its call can fail at once."""
    head = _envelope().head.match(frame)
    return (head[1] or head[2]) if head else b"null"


def _same_id(match: re.Match[bytes], parsed: dict[str, Any]) -> bool:
    """Whether the envelope's id is the one the parser saw: a repeated key must not smuggle in another."""
    text = match[1] or match[2]
    return bool(text == encode_id(parsed["id"]))


def member(text: bytes, name: str) -> bytes:
    """The bytes of one member of a JSON object, exactly as they stand. The slow and general way.

    Raises:
        KeyError: the object has no such member.
    """
    start, end = _span(text.decode("utf-8"), name)
    return text.decode("utf-8")[start:end].encode("utf-8")


def with_member(text: bytes, name: str, value: bytes) -> bytes:
    """The same object with one member replaced and every other byte untouched.

    Raises:
        KeyError: the object has no such member.
    """
    whole = text.decode("utf-8")
    start, end = _span(whole, name)
    return whole[:start].encode("utf-8") + value + whole[end:].encode("utf-8")


_SPACE = re.compile(r"[ \t\r\n]*")


def _span(text: str, name: str) -> tuple[int, int]:
    """Where the value of the last member called ``name`` starts and ends (the last one wins, as in parsers)."""
    from json import JSONDecoder  # noqa: PLC0415 - see decode

    scan = JSONDecoder().raw_decode
    found: tuple[int, int] | None = None
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, at = scan(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = scan(text, start)
        if key == name:
            found = (start, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    if found is None:
        raise KeyError(name)
    return found


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
