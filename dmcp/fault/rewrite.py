"""What the faults that are due make of an exchange: pure functions from faults to steps.

``arriving`` is asked when something comes in, before it is carried out; ``leaving`` when a message goes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from dmcp.fault import faults, steps
from dmcp.fault.steps import Respond, Send, Stop
from dmcp.protocol.jsonrpc import error_object, failure, notification, request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from dmcp.fault.faults import Limits
    from dmcp.fault.plan import Due
    from dmcp.fault.steps import Step


def arriving(due: Sequence[Due], identifier: bytes = b"null") -> list[Step]:
    """Return the steps before a request is carried out, or at a moment that has no message; the id is encoded."""
    return [step for one in due for step in _before(one.fault, one.random, identifier)]


def leaving(frame: bytes, due: Sequence[Due]) -> list[Step]:
    """Return the steps in the place of sending one message.

    Several faults act one after the other on each other's steps, but for messages that are in pieces already.
    """
    leaves: list[Step] = [Send(frame)]
    for one in due:
        changed: list[Step] = []
        for step in leaves:
            if isinstance(step, Send) and not step.cuts:
                changed += _instead(one.fault, one.random, step.frame)
            else:
                changed.append(step)
        leaves = changed
    return leaves


def outlasts_cancelling(due: Sequence[Due]) -> bool:
    """Return whether the answer is sent although the client has cancelled the request."""
    return any(isinstance(one.fault, faults.Late) for one in due)


def _before(fault: Limits, random: Random, identifier: bytes) -> list[Step]:  # noqa: C901, PLR0911, PLR0912 - a table
    match fault:
        case faults.Refuse():
            return [steps.Reject(fault.reason, fault.status), Stop()]
        case faults.Exit(when="before") | faults.Crash(when="before") | faults.Hang(when="before"):
            return [_end(fault)]
        case faults.Slow():
            return [steps.Wait(fault.delay.sample(random))]
        case faults.Flood():
            return _flood(fault)
        case faults.CloseOutput():
            return [steps.Cut()]
        case faults.Deaf():
            return [steps.Deaf(fault.seconds)]
        case faults.Orphan():
            return [steps.Orphan(fault.seconds, fault.ignore_sigterm, fault.holds_output)]
        case faults.Ask():
            return [
                Send(request(b'"dmcp-fault-%d"' % number, fault.what, fault.params))
                for number in range(fault.count)
            ]
        case faults.Refusal():
            body = error_object(fault.code, fault.message, fault.details)
            return [Send(failure(identifier, body)), Stop()]
        case faults.Garbage() if fault.when == "before" or fault.on in {"connect", "shutdown"}:
            return _noise(fault, random)
        case faults.Status() | faults.Unauthorized() | faults.ContentType(body=str()):
            return [_response(fault), Stop()]
        case faults.CutStream() if fault.when == "before" or fault.on in {"connect", "shutdown"}:
            return [steps.Cut(fault.abort), Stop()]
        case faults.ForgetSession():
            gone = Respond(404, (("content-type", "text/plain"),), b"no such session")
            return [gone, steps.Forget(), Stop()]
    return []


def _instead(fault: Limits, random: Random, frame: bytes) -> list[Step]:  # noqa: C901, PLR0911, PLR0912 - a table
    half = Send(frame, halved(frame), whole=False)
    match fault:
        case faults.Exit() | faults.Crash() | faults.Hang():
            return _ended(fault, frame, half)
        case faults.Drop():
            return []
        case faults.Duplicate():
            return [Send(frame)] * (1 + fault.copies)
        case faults.Late():
            return [steps.Wait(fault.delay.sample(random)), Send(frame)]
        case faults.Reorder():
            return [steps.AwaitOthers(fault.behind, fault.at_most), Send(frame)]
        case faults.Half():
            return [half]
        case faults.Split():
            frame = wide(frame)
            return [Send(frame, inside_characters(frame), fault.pause)]
        case faults.Drip():
            return [Send(frame, every(frame, fault.size), fault.pause)]
        case faults.Oversize(valid=True):
            return [Send(padded(frame, fault.size))]
        case faults.Oversize():
            return [steps.Noise(b"x" * fault.size), Send(frame)]
        case faults.Garbage(when="after"):
            return [Send(frame), *_noise(fault, random)]
        case faults.Misaddress():
            wrong = Send(readdressed(frame, fault.to))
            return [wrong, Send(frame)] if fault.extra else [wrong]
        case faults.Malformed():
            return [steps.Noise(malformed(frame, fault.how))]
        case faults.Version():
            return [Send(with_result(frame, protocolVersion=fault.version))]
        case faults.Loop():
            cursor = "again" if fault.cursor == "same" else f"p0-{random.randrange(10**9)}"
            return [Send(with_result(frame, nextCursor=cursor))]
        case faults.ContentType(body=None):
            return [Respond(200, (("content-type", fault.value),), frame)]
        case faults.CutStream():
            return [half if fault.when == "during" else Send(frame), steps.Cut(fault.abort)]
    return [Send(frame)]


def _noise(fault: faults.Garbage, random: Random) -> list[Step]:
    return [steps.Noise(garbage(fault.kind, random)) for _ in range(fault.lines)]


def _ended(fault: faults.Exit | faults.Crash | faults.Hang, frame: bytes, half: Step) -> list[Step]:
    match fault.when:
        case "unanswered":
            return [_end(fault)]
        case "during":
            return [half, _end(fault)]
        case "after":
            return [Send(frame), _end(fault)]
    return [Send(frame)]


def _end(fault: faults.Exit | faults.Crash | faults.Hang) -> Step:
    if isinstance(fault, faults.Hang):
        return steps.Hang(fault.seconds, fault.scope == "server", fault.ignore_sigterm)
    return steps.Die(fault.status) if isinstance(fault, faults.Exit) else steps.Die(signal=fault.signal)


def _flood(fault: faults.Flood) -> list[Step]:
    text = "flood " + "." * fault.size
    if fault.of == "stderr":
        return [steps.Diagnose(text, fault.count)]
    params = {"level": "debug", "data": text} if fault.what == "notifications/message" else {}
    return [Send(notification(fault.what, params))] * fault.count


def _response(fault: faults.Status | faults.Unauthorized | faults.ContentType) -> Respond:
    match fault:
        case faults.Status():
            headers = {"content-type": fault.content_type, **fault.headers}
            if fault.retry_after is not None:
                headers["retry-after"] = str(fault.retry_after)
            return Respond(fault.status, tuple(headers.items()), fault.body.encode())
        case faults.Unauthorized():
            challenge = () if fault.challenge is None else (("www-authenticate", fault.challenge),)
            body = to_json({"error": "invalid_token" if fault.status == 401 else "insufficient_scope"})  # noqa: PLR2004 - HTTP
            return Respond(fault.status, (("content-type", "application/json"), *challenge), body)
        case faults.ContentType():
            return Respond(200, (("content-type", fault.value),), (fault.body or "").encode())


UNKNOWN_ID: Final = 987_654_321
_DEPTH: Final = 100
_WIDE: Final = "žluťoučký kůň 🐎 漢字"  # two, three and four bytes a character
_MAX_CUTS: Final = 4096


def readdressed(frame: bytes, to: str) -> bytes:
    """Return the answer under another id: "unknown", "null_id", "retyped" (1 for "1") or "no_id"."""
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
    """Return the answer with members of its result replaced; an error stays as it is."""
    message = _parsed(frame)
    if isinstance(message.get("result"), dict):
        message["result"] |= members
    return to_json(message)


def padded(frame: bytes, size: int) -> bytes:
    """Return the same message, longer by about ``size`` bytes, in a place any reader has to accept."""
    return _with_meta(frame, "dmcp/padding", "x" * size)


def wide(frame: bytes) -> bytes:
    """Return the same message with multi-byte characters in it."""
    return _with_meta(frame, "dmcp/wide", _WIDE) if frame.isascii() else frame


def inside_characters(frame: bytes) -> tuple[int, ...]:
    """Return where to cut a message so that pieces begin with the second byte of a character, at most 64 times."""
    starts = [at + 1 for at, byte in enumerate(frame) if byte >= 0xC0]  # noqa: PLR2004 - UTF-8's first bytes
    return tuple(starts[:: max(1, len(starts) // 64)])


def every(frame: bytes, size: int) -> tuple[int, ...]:
    """Return where to cut a message into pieces of ``size`` bytes; larger ones if there were too many."""
    step = max(size, len(frame) // _MAX_CUTS + 1)
    return tuple(range(step, len(frame), step))


def halved(frame: bytes) -> tuple[int, ...]:
    """Return where the first half of a message ends."""
    return (max(1, len(frame) // 2),)


def garbage(kind: str, random: Random) -> bytes:
    """Return one line that is no message, without line feeds: "text", "binary", "json" or "empty"."""
    if kind == "empty":
        return b""
    if kind == "json":
        return to_json(random.choice(([1, 2], "ready", 42, None, {"level": "info"}, {"jsonrpc": "1.0"})))
    if kind == "binary":
        return random.randbytes(48).replace(b"\n", b"\x00").replace(b"\r", b"\x00")
    return f"Listening... ready in {random.randrange(1000)} ms {{not json}}".encode()


def malformed(frame: bytes, how: str) -> bytes:
    """Return the message, broken in one of the ways of ``faults.Malformed``."""
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
    """Return the message as an object; the core writes nothing else, and wrapped frames are checked before."""
    message = from_json(frame)
    return message if isinstance(message, dict) else {}
