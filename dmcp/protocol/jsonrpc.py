"""JSON-RPC 2.0 envelopes: one frame in, one typed message out; and the frames dmcp writes itself.

Payloads are not modelled: ``params`` stays the decoded object, ``result`` and ``error`` stay the bytes they were.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from dmcp.protocol.wire import answer_body, answered_id, decode, encode, encode_id

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "RESOURCE_NOT_FOUND",
    "UPSTREAM_FAILED",
    "UPSTREAM_TIMEOUT",
    "Answer",
    "Batch",
    "Call",
    "JsonObject",
    "Malformed",
    "Message",
    "Note",
    "Single",
    "encode",
    "error_object",
    "failure",
    "is_answered",
    "notification",
    "passed_on",
    "read",
    "request",
    "result",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
UPSTREAM_FAILED = -32000
UPSTREAM_TIMEOUT = -32001
RESOURCE_NOT_FOUND = -32002

JsonObject: TypeAlias = dict[str, Any]


class Call(NamedTuple):
    """A request. ``id`` is the encoded id, so that ``1`` and ``"1"`` stay apart."""

    id: bytes
    method: str
    params: JsonObject


class Note(NamedTuple):
    """A notification."""

    method: str
    params: JsonObject


class Answer(NamedTuple):
    """A response: exactly one of ``result`` and ``error`` is set, as the bytes that were sent.

    Attributes:
        id: the encoded id; ``b"null"`` when the peer could not tell which request it answers.
        result: the bytes of the result.
        error: the bytes of the error object.
        value: the result or the error, decoded.
    """

    id: bytes
    result: bytes | None
    error: bytes | None
    value: Any


class Malformed(NamedTuple):
    """Not a JSON-RPC message.

    Attributes:
        id: the encoded id if one could be made out, else ``b"null"``.
        code: of the error that says so.
        message: likewise.
        is_answer: whether it was meant as an answer: then ``id`` is the reader's own.
        is_note: whether it was meant as a notification, which is never answered (JSON-RPC 2.0, 4.1).
    """

    id: bytes
    code: int
    message: str
    is_answer: bool = False
    is_note: bool = False


class Batch(NamedTuple):
    """Several messages in one frame (revision 2025-03-26 only)."""

    messages: tuple[Single, ...]


Single: TypeAlias = "Call | Note | Answer | Malformed"
Message: TypeAlias = "Single | Batch"


def read(frame: bytes) -> Message:
    """Understand one frame. Never raises: what is no message comes back as ``Malformed``."""
    try:
        value = decode(frame)
    except ValueError as error:
        identifier = answered_id(frame)
        return Malformed(identifier, PARSE_ERROR, f"Parse error: {error}", identifier != b"null")
    if isinstance(value, list):
        return Batch(tuple(_read_object(encode(item), item) for item in value))
    return _read_object(frame, value)


def _read_object(frame: bytes, value: Any) -> Single:
    if not isinstance(value, dict):
        return Malformed(b"null", INVALID_REQUEST, "Invalid request: a message must be a JSON object")
    if value.get("jsonrpc") != "2.0":
        return Malformed(_id_of(value), INVALID_REQUEST, 'Invalid request: "jsonrpc" must be "2.0"')
    if "method" in value:
        return _read_request(value)
    if "error" in value and value["error"] is not None:
        return _read_error(frame, value)
    if "result" in value and "id" in value:
        return Answer(encode_id(value["id"]), answer_body(frame, value, "result"), None, value["result"])
    return Malformed(_id_of(value), INVALID_REQUEST, 'Invalid request: no "method", "result" or "error"')


def _read_request(value: JsonObject) -> Single:
    method, params = value["method"], value.get("params")
    if not isinstance(method, str):
        return Malformed(_id_of(value), INVALID_REQUEST, 'Invalid request: "method" must be a string')
    if params is None:
        params = {}
    elif not isinstance(params, dict):
        text = f'Invalid params: "params" of {method} must be an object'
        return Malformed(_id_of(value), INVALID_PARAMS, text, is_note="id" not in value)
    if "id" not in value:
        return Note(method, params)
    identifier = value["id"]
    if isinstance(identifier, bool) or not isinstance(identifier, int | str | float):
        return Malformed(b"null", INVALID_REQUEST, 'Invalid request: "id" must be a string or a number')
    return Call(encode_id(identifier), method, params)


def _read_error(frame: bytes, value: JsonObject) -> Single:
    error = value["error"]
    if not isinstance(error, dict):
        text = 'Invalid request: "error" must be an object'
        return Malformed(_id_of(value), INVALID_REQUEST, text, is_answer=True)
    return Answer(_id_of(value), None, answer_body(frame, value, "error"), error)


def _id_of(value: JsonObject) -> bytes:
    identifier = value.get("id")
    return encode_id(identifier) if isinstance(identifier, int | str | float) else b"null"


def is_answered(message: Single) -> bool:
    """Whether the one who sent this is owed an answer."""
    return isinstance(message, Call) or (isinstance(message, Malformed) and not message.is_note)


@lru_cache(maxsize=256)
def _method(name: str) -> bytes:
    return encode(name)


def request(identifier: bytes, method: str, params: JsonObject | None) -> bytes:
    """A request frame. ``identifier`` is an encoded id."""
    body = b"" if params is None else b',"params":' + encode(params)
    return b'{"jsonrpc":"2.0","id":' + identifier + b',"method":' + _method(method) + body + b"}"


def notification(method: str, params: JsonObject | None = None) -> bytes:
    """A notification frame."""
    body = b"" if params is None else b',"params":' + encode(params)
    return b'{"jsonrpc":"2.0","method":' + encode(method) + body + b"}"


def result(identifier: bytes, body: bytes) -> bytes:
    """A successful response frame around the bytes of a result."""
    return b"".join((b'{"jsonrpc":"2.0","id":', identifier, b',"result":', body, b"}"))


def passed_on(identifier: bytes, name: str, body: bytes) -> bytes:
    """A response frame around a server's own bytes; ``name`` is "result" or "error".

    The id stands last: where the server has repeated a member of its answer, the bytes may hold another id, and
    parsers take the last one.
    """
    return b"".join((b'{"%b":' % name.encode(), body, b',"jsonrpc":"2.0","id":', identifier, b"}"))


def failure(identifier: bytes, body: bytes) -> bytes:
    """A failed response frame around the bytes of an error object."""
    return b'{"jsonrpc":"2.0","id":' + identifier + b',"error":' + body + b"}"


def error_object(code: int, message: str, details: Any = None) -> bytes:
    """The bytes of an error object."""
    body: JsonObject = {"code": code, "message": message}
    if details is not None:
        body["data"] = details
    return encode(body)
