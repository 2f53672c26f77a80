"""JSON as it stands on the wire: strict reading, exact writing, and the bytes of one member of an object.

Values are read and written by msgspec (RFC 8259, strict), which also finds the members of an object without decoding
them (``msgspec.Raw``); those that may nest deeply are read by pydantic_core. What they refuse although another
implementation may have meant it (lone surrogates, very deep nesting) is read again with the standard library, so that
such a message still passes; what is no JSON at all (NaN, garbage, invalid UTF-8) is refused by all. Large texts are
``dmcp.protocol.scan``'s.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from dmcp.protocol import scan
from dmcp.protocol.limits import MAX_DEPTH, MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_LEVELS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(each for each in range(256) if each not in _LEVELS)
_RESERVED_FRAMES = (
    60  # frames of the stack that reading leaves to writing: what could be read can be passed on
)
_OPENINGS: Final = b"[{"
_LENIENT_STARTS: Final = frozenset(bytes([each]) for each in b'{["-0123456789')
_OBJECT: Final = 0x7B
_LONG_NUMBER: Final = 18  # digits
_SURELY_FLAT: Final = 600  # brackets; msgspec nests as deep as a text does, up to what the stack has room for
_LIGHT = 64 * 1024  # bytes; nothing so short has enough values to matter


class Engine(NamedTuple):
    """The fast library.

    Attributes:
        from_json: decodes a document.
        to_json: encodes a value that may hold ``msgspec.Raw``, as ``msgspec.json.encode`` does.
        raw: the type of a value that is kept as the bytes it was.
        members: decodes an object to its members as ``raw``.
        text: decodes a string, and refuses everything else.
        envelope: decodes a JSON-RPC message to its members as ``raw``, but for the method, which is a string.
        none: what stands for a member that the message does not have.
        unset: likewise, for the method.
        refused: the errors of all of them but ``from_json``.
    """

    from_json: Callable[[Any], Any]
    to_json: Callable[[Any], bytes]
    raw: type[Any]
    members: Callable[[Any], dict[str, Any]]
    text: Callable[[Any], str]
    envelope: Callable[[bytes], Any]
    none: Any
    unset: Any
    refused: tuple[type[Exception], ...]


def use_fast_json() -> Engine:
    """Read and write with msgspec from now on, and return what it does.

    Until then it is the standard library, twenty times slower: importing msgspec takes its time, and the first message
    is small.
    """
    global _engine, _raw  # noqa: PLW0603 - loaded once, and late
    if _engine is None:
        import msgspec  # noqa: PLC0415 - see above

        none = msgspec.Raw(b"")
        method = ("method", str | msgspec.UnsetType, msgspec.UNSET)
        raw = [(name, msgspec.Raw, none) for name in ("id", "params", "result", "error")]
        message: list[Any] = [("jsonrpc", Literal["2.0"]), method, *raw]
        _engine = Engine(
            msgspec.json.Decoder().decode,
            msgspec.json.Encoder().encode,
            msgspec.Raw,
            msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
            msgspec.json.Decoder(str).decode,
            msgspec.json.Decoder(msgspec.defstruct("Envelope", message, gc=False)).decode,
            none,
            msgspec.UNSET,
            (msgspec.MsgspecError, ValueError, RecursionError),
        )
        _raw = msgspec.Raw
    return _engine


class _NothingRaw:
    """Stands for ``msgspec.Raw`` before that is loaded."""


_engine: Engine | None = None
_raw: type[Any] = _NothingRaw


@cache
def careful_reader() -> Callable[..., Any]:
    """Return pydantic_core's ``from_json``, which nests no deeper than 200 levels on any Python.

    Importing it takes 9 ms and 4 MB: only those who get large listings or texts pay for it.
    """
    from pydantic_core import from_json  # noqa: PLC0415 - see above

    return from_json


def engine() -> Engine | None:
    """Return the fast library if it is loaded."""
    return _engine


def is_raw(value: Any) -> bool:
    """Return whether a value is kept as the bytes it was."""
    return isinstance(value, _raw)


def opened(value: Any) -> Any:
    """Return a member of an object decoded if it is kept as the bytes it was, else as it is.

    Raises:
        ValueError: it has too many values; see ``decode_bounded``.
    """
    return decode_bounded(bytes(value)) if is_raw(value) else value


def text_of(value: Any) -> str | None:
    """Return a value that is a string, decoded or not; ``None`` for any other. Never raises."""
    if _engine is not None and isinstance(value, _raw):
        try:
            return _engine.text(value)
        except _engine.refused:  # no string, or one with lone surrogates
            value = scalar(value)
    return value if isinstance(value, str) else None


def is_object(value: Any) -> bool:
    """Return whether a value is an object, decoded or not."""
    return memoryview(value)[0] == _OBJECT if isinstance(value, _raw) else isinstance(value, dict)


def scalar(value: Any) -> Any:
    """Return a value decoded; ``None`` for an object or array kept as the bytes it was. Never raises."""
    if not is_raw(value):
        return value
    text = bytes(value)
    if text.isdigit() and len(text) < _LONG_NUMBER:
        return int(text)
    try:
        return None if text[0] in _OPENINGS else decode(text)
    except ValueError:
        return None


def members(value: Any) -> Any:
    """Return an object with its members kept as the bytes they were, where it is kept so itself; else ``opened``.

    Raises:
        ValueError: it has too many values; see ``decode_bounded``.
    """
    if _engine is None or not is_raw(value):
        return value
    text = bytes(value)
    if len(text) > _LIGHT and weight(text) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    try:
        return _engine.members(text)
    except _engine.refused:  # no object, or a name with lone surrogates
        return decode(text)


def decode(text: bytes) -> Any:
    """Read one JSON document.

    Raises:
        ValueError: it is not JSON; the message says where. Also for nesting too deep for any reader here.
    """
    if _engine is None:
        return _decode_leniently(text)
    try:
        if text.count(b"[") + text.count(b"{") <= _SURELY_FLAT:
            return _engine.from_json(text)
        return careful_reader()(text, allow_inf_nan=False, cache_strings="keys")
    except _engine.refused:
        if text.lstrip()[:1] not in _LENIENT_STARTS:  # a number may be beyond what msgspec takes: 1e999
            raise
        return _decode_leniently(text)


def decode_bounded(text: bytes) -> Any:
    """Read a document that dmcp has to understand itself, unless it has more than ``MAX_VALUES`` values.

    Raises:
        ValueError: it is not JSON, or has too many values; the message says which.
    """
    if len(text) > _LIGHT and weight(text) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    return decode(text)


def weight(text: bytes) -> int:
    """Return how many values a document has at most, in no time to speak of: commas in texts are counted too."""
    return text.count(b",") + text.count(b"{") + text.count(b"[") + 1


def _decode_leniently(text: bytes) -> Any:
    import json  # noqa: PLC0415 - seldom needed

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def read(room: int) -> Any:
        return read(room - 1) if room else json.loads(text.decode("utf-8"), parse_constant=refuse)

    try:
        value = read(_RESERVED_FRAMES)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not valid UTF-8") from None
    if _nests_deeper(text, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return value


def _nests_deeper(text: bytes, levels: int) -> bool:
    """Return whether valid JSON has more levels than so many. Linear, and without recursion."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    unescaped = text.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_texts = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_texts.translate(None, _NO_BRACKETS)
    return max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > levels


def encode(value: Any) -> bytes:
    """Write compact JSON, on one line.

    Raises:
        ValueError: the value nests too deeply for what is on the stack already.
    """
    if _engine is not None:
        try:  # 1e400 is JSON, but no reader here can tell it from infinity, which is not: it becomes null
            return _engine.to_json(value)
        except _engine.refused:
            return _encode_leniently(value)
    return _encode_leniently(value)


def _encode_leniently(value: Any) -> bytes:
    import json  # noqa: PLC0415 - for the first messages, lone surrogates and deep nesting

    def write(what: Any) -> bytes:
        return json.dumps(what, separators=(",", ":"), allow_nan=False).encode("ascii")

    try:
        try:
            return write(value)
        except (ValueError, TypeError):
            return write(_plain(value))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _plain(value: Any) -> Any:
    """Return what the standard library can write: raw members decoded, and null beyond the range of numbers."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if is_raw(value):
        return _plain(decode(bytes(value)))
    return None if isinstance(value, float) and not isfinite(value) else value


def one_line(text: bytes) -> bytes:
    """Return the same JSON without line breaks. In valid JSON they stand between tokens only."""
    if b"\n" in text or b"\r" in text:
        return text.translate(_BREAKS)
    return text


def member(text: bytes, name: str) -> bytes:
    """Return the bytes of one member of a JSON object, exactly as they stand (the last one, as in parsers).

    Raises:
        KeyError: the object has no such member.
        ValueError: it is no object.
    """
    start, end = _span(text, name)
    return text[start:end]


def with_member(text: bytes, name: str, value: bytes) -> bytes:
    """Return the same object with one member replaced and every other byte untouched.

    Raises:
        KeyError: the object has no such member.
        ValueError: it is no object.
    """
    start, end = _span(text, name)
    return b"".join((text[:start], value, text[end:]))


def member_at(text: bytes, name: str) -> int:
    """Return where the value of one member of a JSON object begins. Raises as ``member`` does."""
    return _span(text, name).start


def _span(text: bytes, name: str) -> scan.Span:
    start = scan.at_once(scan.space(text, 0))
    return scan.at_once(scan.members(text, start, (name,))).spans[name]
