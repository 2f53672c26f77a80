"""Wrong messages made from right ones. Pure: bytes in, bytes out; nothing here knows when or why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from random import Random

UNKNOWN_ID: Final = 987_654_321
_DEPTH: Final = 100
_WIDE: Final = "žluťoučký kůň 🐎 漢字"  # two, three and four bytes a character
_MAX_CUTS: Final = 4096


def readdressed(frame: bytes, to: str) -> bytes:
    """The answer under another id: "unknown", "null_id", "retyped" (1 for "1") or "no_id"."""
    message = _parsed(frame)
    if to == "no_id":
        message.pop("id", None)
    elif to == "retyped":
        identifier = message.get("id")
        message["id"] = _number(identifier) if isinstance(identifier, str) else str(identifier)
    else:
        message["id"] = UNKNOWN_ID if to == "unknown" else None
    return to_json(message)


def with_result(frame: bytes, **members: Any) -> bytes:
    """The answer with members of its result replaced; an error stays as it is."""
    message = _parsed(frame)
    if isinstance(message.get("result"), dict):
        message["result"] |= members
    return to_json(message)


def padded(frame: bytes, size: int) -> bytes:
    """The same message, longer by about ``size`` bytes, in a place any reader has to accept."""
    return _with_meta(frame, "dmcp/padding", "x" * size)


def wide(frame: bytes) -> bytes:
    """The same message with multi-byte characters in it."""
    return _with_meta(frame, "dmcp/wide", _WIDE) if frame.isascii() else frame


def inside_characters(frame: bytes) -> tuple[int, ...]:
    """Where to cut a message so that pieces begin with the second byte of a character, at most 64 times."""
    starts = [at + 1 for at, byte in enumerate(frame) if byte >= 0xC0]  # noqa: PLR2004 - UTF-8's first bytes
    return tuple(starts[:: max(1, len(starts) // 64)])


def every(frame: bytes, size: int) -> tuple[int, ...]:
    """Where to cut a message into pieces of ``size`` bytes; larger ones if there were too many."""
    step = max(size, len(frame) // _MAX_CUTS + 1)
    return tuple(range(step, len(frame), step))


def halved(frame: bytes) -> tuple[int, ...]:
    """Where the first half of a message ends."""
    return (max(1, len(frame) // 2),)


def garbage(kind: str, random: Random) -> bytes:
    """One line that is no message, without line feeds: "text", "binary", "json" or "empty"."""
    if kind == "empty":
        return b""
    if kind == "json":
        return to_json(random.choice(([1, 2], "ready", 42, None, {"level": "info"}, {"jsonrpc": "1.0"})))
    if kind == "binary":
        return random.randbytes(48).replace(b"\n", b"\x00").replace(b"\r", b"\x00")
    return f"Listening... ready in {random.randrange(1000)} ms {{not json}}".encode()


def malformed(frame: bytes, how: str) -> bytes:
    """The message, broken in one of the ways of ``message_faults.Malformed``."""
    match how:
        case "truncated":
            return frame[:-1]
        case "invalid_utf8":
            return frame[:-1] + b',"dmcp":"\xff\xfe"}'
        case "lone_surrogate":
            return frame[:-1] + b',"dmcp":"\\ud800"}'
        case "not_object":
            return b"[[" + frame + b"]]"
        case "deep":
            return _with_meta(frame, "dmcp/deep", _nested())
    message = _parsed(frame)
    body = _body_name(message)
    match how:
        case "no_version":
            message.pop("jsonrpc", None)
        case "both":
            message |= {"result": message.get("result", {}), "error": {"code": -32603, "message": "both"}}
        case "neither":
            message.pop(body, None)
            message.pop("method", None)
        case "nameless" | "twins":
            _spoil_entries(message, how)
        case _:
            message[body] = "wrong"
    return to_json(message)


def _spoil_entries(message: dict[str, Any], how: str) -> None:
    result = message.get("result")
    for entries in result.values() if isinstance(result, dict) else ():
        if isinstance(entries, list) and entries and isinstance(entries[0], dict):
            if how == "twins":
                entries.append({**entries[0], "description": "the second of this name"})
            else:
                entries[0].pop("name", None)


def _with_meta(frame: bytes, key: str, value: Any) -> bytes:
    message = _parsed(frame)
    body = message.setdefault(_body_name(message), {})
    if isinstance(body, dict):
        meta = body.setdefault("data" if "error" in message else "_meta", {})
        if isinstance(meta, dict):
            meta[key] = value
    return to_json(message)


def _body_name(message: dict[str, Any]) -> str:
    return "params" if "method" in message else "error" if "error" in message else "result"


def _nested() -> Any:
    value: Any = "deep"
    for _ in range(_DEPTH):
        value = [value]
    return value


def _number(identifier: str) -> int:
    return int(identifier) if identifier.isdecimal() else UNKNOWN_ID


def _parsed(frame: bytes) -> dict[str, Any]:
    """The message as an object; the core writes nothing else, and a wrapped server's frames are checked before."""
    message = from_json(frame)
    return message if isinstance(message, dict) else {}
