"""JSON-RPC 2.0 envelopes: one frame in, one typed message out; and the frames dmcp writes itself.

Payloads are not modelled: ``result``, ``error`` and each member of ``params`` stay the bytes they were, whatever the
method (``msgspec.Raw``; ``wire.opened`` decodes one). What means something is the business of an era's module.
What is large is read in slices (``read_in_slices``), so that it holds nobody up.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from dmcp.protocol import plain_text, scan
from dmcp.protocol.limits import (
    KIB,
    MAX_AT_ONCE,
    MAX_BATCH,
    MAX_ID,
    MAX_METHOD,
    MAX_SERVER_REQUEST,
    MAX_VALUES,
    MIB,
)
from dmcp.protocol.wire import (
    decode,
    decode_bounded,
    encode,
    engine,
    one_line,
    opened,
    use_fast_json,
    weight,
)
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.protocol.wire import Engine

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
UPSTREAM_FAILED = -32000
UPSTREAM_TIMEOUT = -32001
RESOURCE_NOT_FOUND = -32002

JsonObject: TypeAlias = dict[str, Any]
Body: TypeAlias = bytes | memoryview
"""Bytes of a message that are passed on: joined, written or measured, and never searched."""


class Request(NamedTuple):
    """A request.

    Attributes:
        id: the encoded id, so that ``1`` and ``"1"`` stay apart.
        method: of any name.
        params: by name; a value is decoded, or kept as the bytes it was.
    """

    id: bytes
    method: str
    params: JsonObject


class Notification(NamedTuple):
    """A notification. Attributes as in ``Request``."""

    method: str
    params: JsonObject


class Response(NamedTuple):
    """A response: exactly one of ``result`` and ``error`` is set, as the bytes that were sent.

    Attributes:
        id: the encoded id; ``b"null"`` when the peer could not tell which request it answers.
        result: the bytes of the result. A large one is a view of the message it came in: copying takes its time too.
        error: the bytes of the error object, likewise.
        message_at: where in a large ``error`` its message begins, ``ABSENT`` when it has none; -1 when it is looked up
            when needed.
        code_at: likewise for its code.
    """

    id: bytes
    result: Body | None
    error: Body | None
    message_at: int = -1
    code_at: int = -1

    @property
    def value(self) -> Any:
        """Decode the result or the error, at each use; ``None`` when it is too large, or has too many values."""
        body = self.error if self.result is None else self.result
        if body is None or len(body) > MAX_AT_ONCE:
            return None
        try:
            return decode_bounded(bytes(body))
        except ValueError:
            return None


class Malformed(NamedTuple):
    """Not a JSON-RPC message.

    Attributes:
        id: the encoded id if one could be made out, else ``b"null"``.
        code: of the error that says so.
        message: likewise.
        is_response: whether it was meant as an answer: then ``id`` is the reader's own.
        is_notification: whether it was meant as a notification, which is never answered (JSON-RPC 2.0, 4.1).
        is_foreign: whether nothing says that it was meant as a message at all, as of a log line in JSON.
        is_request: whether it surely was meant as a request: then its sender waits for an answer.
    """

    id: bytes
    code: int
    message: str
    is_response: bool = False
    is_notification: bool = False
    is_request: bool = False
    is_foreign: bool = False


class Batch(NamedTuple):
    """Several messages in one frame (revision 2025-03-26 only)."""

    messages: tuple[Single, ...]


Single: TypeAlias = "Request | Notification | Response | Malformed"
Message: TypeAlias = "Single | Batch"


ABSENT: Final = -2
"""The place of a member that a large error does not have."""

_MEMBERS: Final = ("jsonrpc", "id", "method", "params", "result", "error")
_LENIENT: Final = 64 * KIB
"""Bytes up to which a message that the fast reader refuses is read again at once. Larger ones are read in slices."""
_BATCH_AT_ONCE: Final = 2 * KIB
"""Bytes up to which what may be a batch is read at once: each of its messages costs as much as a message does."""
_SHOWN: Final = 100  # characters of a peer's word in an error
_NULL: Final = b"null"
_TOO_LONG: Final = object()  # in the place of a method's name
_VERSION: Final = b'"2.0"'
_NUMBER_STARTS: Final = frozenset(b"%c" % each for each in b"-0123456789")
_LONGEST_WORD: Final = 128 * KIB  # bytes of an id or method that are looked at to find that it is too long
_LONGEST_ECHO: Final = 64 * KIB  # bytes of an id that is refused under itself, and not under null
_LONGEST_OWN: Final = 32  # bytes of the id of a request of dmcp's own, as a peer may give it back


def read(frame: bytes) -> Message:
    """Understand one frame and decode its params, however long it takes. Never raises, see ``Malformed``."""
    message = read_at_once(frame)
    if message is None:
        message = scan.at_once(read_in_slices(frame))
    if isinstance(message, Batch):
        return Batch(tuple(map(_opened, message.messages)))
    return _opened(message)


def _opened(message: Single) -> Single:
    if not isinstance(message, Request | Notification):
        return message
    try:
        return message._replace(params={name: opened(value) for name, value in message.params.items()})
    except ValueError as error:
        return _request(message.id if isinstance(message, Request) else None, message.method, error)


def read_at_once(frame: bytes) -> Message | None:
    """Understand one frame; ``None`` when that takes so long that it has to be done in slices. Never raises."""
    fast = engine()
    if fast is None or len(frame) > _LENIENT:
        return _read_long(frame, fast)
    try:
        found = fast.envelope(frame)
        if not frame.isascii():
            frame.decode()  # members that are not decoded have not been looked at
        identifier, method, none = bytes(found.id), found.method, fast.none
        if (
            identifier.isdigit() and len(identifier) <= MAX_ID
        ):  # as nearly all; the others are looked at more closely
            if method is fast.unset:
                if found.error is none and found.result is not none:
                    return Response(identifier, one_line(bytes(found.result)), None)
            elif (
                found.params is not none
                and len(method) < MAX_METHOD - 1
                and b"\n" not in frame
                and b"\r" not in frame
            ):
                return Request(identifier, method, fast.members(found.params))
    except fast.refused:
        return (
            None if frame[:1] == b"[" and len(frame) > _BATCH_AT_ONCE else scan.at_once(read_in_slices(frame))
        )
    return _read_found(found, fast)


def _read_long(frame: bytes, fast: Engine | None) -> Message | None:
    """Understand a longer frame, or one of the first of the process; ``None`` as above."""
    if len(frame) > MAX_AT_ONCE:
        return None
    if fast is None:
        return _read_first(frame)
    if (plain := plain_text.find(frame, fast)) is not None:
        return Response(_id(plain.id), plain.result, None)
    try:
        found = fast.envelope(frame)
        if not frame.isascii():
            frame.decode()
    except fast.refused:
        return None
    has_params = found.method is not fast.unset and found.params is not fast.none
    return None if has_params and weight(frame) > MAX_VALUES else _read_found(found, fast)


def _read_found(found: Any, fast: Engine) -> Message | None:
    """Build the message of an envelope; ``None`` as above."""
    raw = {"jsonrpc": _VERSION}
    for name in ("id", "result", "error"):
        if (member := getattr(found, name)) is not fast.none:
            raw[name] = bytes(member)
    if found.method is not fast.unset:
        params = None if found.params is fast.none else found.params
        return (
            _read_request(raw.get("id"), found.method, params) if len(found.method) < MAX_METHOD - 1 else None
        )
    # The code and the message of a long error have to be found in it.
    return _read_members(raw) if len(raw.get("error", b"")) <= _LENIENT else None


def _read_first(frame: bytes) -> Message:
    """Understand one of the first messages of a process, before the fast libraries are there."""
    try:
        value = decode(frame)
    except ValueError:
        value = None
    if not isinstance(value, dict) or "method" not in value:
        return scan.at_once(read_in_slices(frame))
    return _read_members({name: encode(value[name]) for name in _MEMBERS if name in value})


def read_in_slices(frame: bytes) -> scan.Steps[Message]:
    """Understand one frame of any size, in pieces (see ``dmcp.protocol.scan``). Never raises."""
    spans: dict[str, scan.Span] = {}
    try:
        start = yield from scan.space(frame, 0)
        if frame[start : start + 1] != b"{":
            yield from scan.check_utf8(frame)
            if frame[start : start + 1] == b"[":
                return (yield from _read_batch(frame, start))
            yield from scan.whole(frame)
            return _not_an_object()
        found = yield from scan.members(frame, start, _MEMBERS, into=spans)
        yield from scan.finish(frame, found.end)
        yield from scan.check_utf8(frame)
    except ValueError as error:
        return _unreadable(frame, spans, error)
    return (yield from _read_spans(frame, spans))


def _not_an_object() -> Malformed:
    return Malformed(_NULL, INVALID_REQUEST, "Invalid request: a message must be a JSON object")


def _unreadable(frame: bytes, spans: dict[str, scan.Span], error: ValueError) -> Malformed:
    """Say what is wrong, and whose answer it would have been, so that its call can fail at once."""
    identifier, at = _NULL, spans.get("id")
    if (
        at is not None
        and at.end > at.start
        and "method" not in spans
        and ("result" in spans or "error" in spans)
    ):
        identifier = _id(frame[at.start : min(at.end, at.start + MAX_ID + 1)])
    return Malformed(identifier, PARSE_ERROR, f"Parse error: {error}", identifier != _NULL)


def _read_batch(frame: bytes, start: int) -> scan.Steps[Message]:
    end, spans = yield from scan.elements(frame, start, MAX_BATCH)
    if len(spans) > MAX_BATCH:
        return Malformed(
            _NULL, INVALID_REQUEST, f"Invalid request: more than {MAX_BATCH:,} messages in a batch"
        )
    yield from scan.finish(frame, end)
    messages: list[Single] = []
    for span in spans:
        item = frame[span.start : span.end]
        yield
        message = None if item[:1] == b"[" else read_at_once(item)
        if message is None and item[:1] != b"[":
            message = yield from read_in_slices(item)
        messages.append(_not_an_object() if message is None or isinstance(message, Batch) else message)
    return Batch(tuple(messages))


def _read_spans(frame: bytes, spans: dict[str, scan.Span]) -> scan.Steps[Single]:
    """Build the message whose members stand there. Each long copy has a turn of its own."""
    raw: dict[str, Any] = {}
    for name in spans.keys() - {"params"}:
        text = yield from _one_line(frame, spans[name])
        raw[name] = text if name in ("result", "error") else bytes(text[:_LONGEST_WORD])
    if "params" in spans and "method" in raw and raw.get("jsonrpc") == _VERSION:
        method = _method_of(raw["method"])
        params: Any = {}
        try:
            if method != "ping":  # it has none that count, and is answered however long it is
                params = yield from _params_in_slices(frame, spans["params"])
        except ValueError as error:
            params = ValueError(str(error))  # without its traceback, which would keep the frame alive
        return _request(raw.get("id"), method, params)
    message = _read_members(raw)
    if isinstance(message, Response) and message.error is not None and len(message.error) > _LENIENT:
        start = spans["error"].start
        found = yield from scan.members(frame, start, ("message", "code"))
        at = {name: span.start - start for name, span in found.spans.items()}
        message = message._replace(message_at=at.get("message", ABSENT), code_at=at.get("code", ABSENT))
    return message


def _one_line(frame: bytes, span: scan.Span) -> scan.Steps[Body]:
    """Cut out a value, without line breaks. A large one is a view of the frame, or put together in pieces."""
    if span.end - span.start <= MAX_AT_ONCE:
        return one_line(frame[span.start : span.end])
    yield
    if frame.find(b"\n", span.start, span.end) < 0 and frame.find(b"\r", span.start, span.end) < 0:
        yield
        return memoryview(frame)[span.start : span.end]
    pieces = bytearray()
    for at in range(span.start, span.end, MIB):
        pieces += one_line(frame[at : min(at + MIB, span.end)])
        yield
    return memoryview(pieces)


def _params_in_slices(frame: bytes, span: scan.Span) -> scan.Steps[Any]:
    """Take the params of a large message apart; see ``_params``.

    What is large among them are the arguments of a tool, which are another's business: they are taken apart too, and
    their own members kept. All else dmcp may have to decode, so it is bounded.
    """
    if frame[span.start : span.start + 1] != b"{":
        return [] if span.end - span.start > _LENIENT else decode(frame[span.start : span.end])
    params: JsonObject = {}
    kept, size = use_fast_json().raw, 0
    for name, at in (yield from scan.members(frame, span.start)).spans.items():
        if name == "arguments" and frame[at.start : at.start + 1] == b"{":
            arguments: JsonObject = {}
            for key, of in (yield from scan.members(frame, at.start)).spans.items():
                arguments[key] = kept((yield from _one_line(frame, of)))
                yield
            params[name] = arguments
            continue
        size += at.end - at.start
        if size > MAX_SERVER_REQUEST:
            raise ValueError(f"longer than {MAX_SERVER_REQUEST // MIB} MiB")
        values = 1
        for start in range(at.start, at.end, MIB):
            end = min(start + MIB, at.end)
            values += sum(frame.count(mark, start, end) for mark in (b",", b"[", b"{"))
            yield
        if values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values")
        params[name] = kept((yield from _one_line(frame, at)))
        yield
    return params


def _read_members(raw: dict[str, Any]) -> Single:
    """Build the message with these members, as bytes (``result`` and ``error``: or as views)."""
    version = raw.get("jsonrpc", b"")
    if version != _VERSION and (len(version) > MAX_METHOD or decode(version or _NULL) != "2.0"):
        text = 'Invalid request: "jsonrpc" must be "2.0"'
        return Malformed(_id(raw.get("id")), INVALID_REQUEST, text, is_foreign=_is_foreign(raw))
    if "method" in raw:
        method = _method_of(raw["method"])
        return _read_request(raw.get("id"), method, raw.get("params"))
    error = raw.get("error", _NULL)
    if error != _NULL:
        if error[:1] != b"{":
            text = 'Invalid request: "error" must be an object'
            return Malformed(_id(raw.get("id")), INVALID_REQUEST, text, is_response=True)
        return Response(_id(raw.get("id")), None, _flat(error))
    if "result" in raw and "id" in raw:
        return Response(_id(raw["id"]), _flat(raw["result"]), None)
    # A log line in JSON may have an id and even a version: it answers nothing.
    text = 'Invalid request: no "method", "result" or "error"'
    return Malformed(_id(raw.get("id")), INVALID_REQUEST, text, is_foreign="error" not in raw)


def _is_foreign(raw: dict[str, Any]) -> bool:
    return not (raw.keys() & {"jsonrpc", "method", "result"} or raw.get("error", _NULL)[:1] == b"{")


def _flat(body: Body) -> Body:
    return body if isinstance(body, memoryview) else one_line(body)


def _method_of(raw: bytes) -> Any:
    if len(raw) <= MAX_METHOD:
        return decode(raw)
    return _TOO_LONG if raw[:1] == b'"' else None


def _read_request(identifier: bytes | None, method: Any, raw: Any) -> Single:
    """Build a request or notification; ``raw`` are its params as bytes, ``None`` if it has none."""
    params: Any = None
    if raw is not None:
        try:
            params = _params(raw)
        except ValueError as error:
            params = ValueError(str(error))  # without its traceback, which would keep the frame alive
    return _request(identifier, method, params)


def _request(identifier: bytes | None, method: Any, params: Any) -> Single:  # noqa: PLR0911 - one return for each fault
    if not isinstance(method, str):
        text, surely = f'"method" must be a string of at most {MAX_METHOD} bytes', method is _TOO_LONG
        if surely and identifier is not None:
            return Malformed(_id(identifier), METHOD_NOT_FOUND, f"Method not found: {text}", is_request=True)
        return Malformed(_id(identifier), INVALID_REQUEST, f"Invalid request: {text}", is_notification=surely)
    if params is None:
        params = {}
    elif not isinstance(params, dict):
        why = f" ({params})" if isinstance(params, ValueError) else ""
        text = f'Invalid params: "params" of {printable(method, _SHOWN)} must be an object{why}'
        no_id = identifier is None
        return Malformed(_id(identifier), INVALID_PARAMS, text, is_notification=no_id, is_request=not no_id)
    if identifier is None:
        return Notification(method, params)
    encoded = _id(identifier)
    if len(identifier) > MAX_ID:
        text = f"Invalid request: the id is longer than {MAX_ID} bytes"
        return Malformed(encoded, INVALID_REQUEST, text, is_request=True)
    if encoded == _NULL:
        text = 'Invalid request: "id" must be a string or a number'
        return Malformed(_NULL, INVALID_REQUEST, text, is_request=True)
    return Request(encoded, method, params)


def _params(raw: Any) -> Any:
    """Return params with each member as the bytes it was. Line breaks are left out: a link may end a frame at one.

    Raises:
        ValueError: they nest too deeply.
    """
    fast = engine()
    if fast is None:
        return decode_bounded(bytes(raw))
    try:
        found = fast.members(raw)
    except fast.refused:  # no object, or names with lone surrogates
        return decode_bounded(bytes(raw))
    text = bytes(raw)
    if b"\n" in text or b"\r" in text:
        return {name: fast.raw(one_line(bytes(value))) for name, value in found.items()}
    return found


def _id(raw: bytes | None) -> bytes:
    """Return the id as it is written to the peer and compared: ``null`` for what is none, or too long.

    Numbers beyond the range of floats stay as they were sent.
    """
    if raw is None or len(raw) > _LONGEST_ECHO:
        return _NULL
    if len(raw) <= MAX_ID and raw.isdigit():
        return raw
    if raw[:1] == b'"':
        return raw if b"\\" not in raw else encode(decode(raw))
    if raw[:1] not in _NUMBER_STARTS:
        return _NULL
    if len(raw) > MAX_ID:  # many readers stumble over a number that long
        return _NULL
    number = decode(raw)
    return raw if isinstance(number, float) and not isfinite(number) else encode(number)


def own_number(identifier: Any) -> int | None:
    """Return which of dmcp's own numbers a peer's id or token is meant to be, ``None`` for none.

    Some servers give back ``1`` as ``"1"`` or ``1.0``. dmcp's own are positive integers, so nothing is ambiguous.

    Args:
        identifier: an encoded id, or a decoded token.
    """
    text = identifier.encode("ascii", "replace") if isinstance(identifier, str) else identifier
    if isinstance(text, bytes):  # first: so it is in nearly every answer
        if len(text) > _LONGEST_OWN:
            return None
        if text.isdigit():
            return int(text)
        whole, _, rest = text.strip(b'"').partition(b".")
        return int(whole) if whole.isdigit() and not rest.strip(b"0") else None
    if isinstance(identifier, float):
        return int(identifier) if identifier.is_integer() else None
    return identifier if isinstance(identifier, int) and not isinstance(identifier, bool) else None


def is_answered(message: Single) -> bool:
    """Return whether the one who sent this is owed an answer."""
    return isinstance(message, Request) or (isinstance(message, Malformed) and not message.is_notification)


@lru_cache(maxsize=256)
def _method(name: str) -> bytes:
    return encode(name)


def request(identifier: bytes, method: str, params: JsonObject | None) -> bytes:
    """Return a request frame. ``identifier`` is an encoded id."""
    head = (b'{"jsonrpc":"2.0","id":', identifier, b',"method":', _method(method))
    if params is None:
        return b"".join((*head, b"}"))
    return b"".join((*head, b',"params":', encode(params), b"}"))


def notification(method: str, params: JsonObject | None = None) -> bytes:
    """Return a notification frame."""
    body = b"" if params is None else b',"params":' + encode(params)
    return b'{"jsonrpc":"2.0","method":' + _method(method) + body + b"}"


def result(identifier: bytes, body: Body) -> bytes:
    """Return a successful response frame around the bytes of a result."""
    return b"".join((b'{"jsonrpc":"2.0","id":', identifier, b',"result":', body, b"}"))


_HEADS: Final = {"result": b'{"result":', "error": b'{"error":'}


def forward_response(identifier: bytes, name: str, body: Body) -> tuple[bytes, Body, bytes]:
    """Return a response frame around a server's own bytes, in its three parts; ``name`` is "result" or "error".

    The id stands last: where the server has repeated a member of its answer, the bytes may hold another id, and
    parsers take the last one.
    """
    return _HEADS[name], body, b',"jsonrpc":"2.0","id":' + identifier + b"}"


def failure(identifier: bytes, body: Body) -> bytes:
    """Return a failed response frame around the bytes of an error object."""
    return b"".join((b'{"jsonrpc":"2.0","id":', identifier, b',"error":', body, b"}"))


def error_object(code: int, message: str, details: Any = None) -> bytes:
    """Return the bytes of an error object."""
    body: JsonObject = {"code": code, "message": message}
    return encode(body if details is None else {**body, "data": details})
