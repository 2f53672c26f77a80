"""What the faults that are due make of an exchange: pure functions from faults to steps.

``arriving`` is asked when something comes in, before it is carried out; ``leaving`` when a message goes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json

from dmcp.fault import forge
from dmcp.fault import http_faults as web
from dmcp.fault import message_faults as message
from dmcp.fault import process_faults as process
from dmcp.fault.steps import (
    AwaitOthers,
    Cut,
    Deaf,
    Diagnose,
    Die,
    Forget,
    Hang,
    Noise,
    Orphan,
    Part,
    Respond,
    Send,
    Stop,
    TurnAway,
    Wait,
)
from dmcp.protocol.jsonrpc import error_object, failure, notification, request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from dmcp.fault.limits import Limits
    from dmcp.fault.plan import Due
    from dmcp.fault.steps import Step


def arriving(due: Sequence[Due], identifier: bytes = b"null") -> list[Step]:
    """The steps before a request is carried out, or at a moment that has no message of its own.

    Args:
        due: the faults that act.
        identifier: the request's encoded id.
    """
    steps: list[Step] = []
    for one in due:
        steps += _before(one.fault, one.random, identifier)
    return steps


def leaving(frame: bytes, due: Sequence[Due]) -> list[Step]:
    """The steps in the place of sending one message. Several faults act one after the other on each other's steps."""
    steps: list[Step] = [Send(frame)]
    for one in due:
        changed: list[Step] = []
        for step in steps:
            changed += _instead(one.fault, one.random, step.frame) if isinstance(step, Send) else [step]
        steps = changed
    return steps


def outlasts_cancelling(due: Sequence[Due]) -> bool:
    """Whether the answer is sent although the client has cancelled the request."""
    return any(isinstance(one.fault, message.Late) for one in due)


def _before(fault: Limits, random: Random, identifier: bytes) -> list[Step]:  # noqa: C901, PLR0911, PLR0912 - a table
    match fault:
        case process.Refuse():
            return [TurnAway(fault.reason, fault.status), Stop()]
        case process.Exit(when="before") | process.Crash(when="before") | process.Hang(when="before"):
            return [_end(fault)]
        case process.Slow():
            return [Wait(fault.delay.sample(random))]
        case process.Flood():
            return _flood(fault)
        case process.CloseOutput():
            return [Cut()]
        case process.Deaf():
            return [Deaf(fault.seconds)]
        case process.Orphan():
            return [Orphan(fault.seconds, fault.ignore_sigterm, fault.holds_output)]
        case process.Ask():
            return [
                Send(request(b'"dmcp-fault-%d"' % number, fault.what, fault.params))
                for number in range(fault.count)
            ]
        case message.Refusal():
            body = error_object(fault.code, fault.message, fault.details)
            return [Send(failure(identifier, body)), Stop()]
        case message.Garbage() if fault.when == "before" or fault.on in {"connect", "shutdown"}:
            return [Noise(forge.garbage(fault.kind, random)) for _ in range(fault.lines)]
        case web.Status() | web.Unauthorized() | web.ContentType(body=str()):
            return [_response(fault), Stop()]
        case web.CutStream() if fault.when == "before" or fault.on in {"connect", "shutdown"}:
            return [Cut(fault.abort), Stop()]
        case web.ForgetSession():
            gone = Respond(404, (("content-type", "text/plain"),), b"no such session")
            return [gone, Forget(), Stop()]
    return []


def _instead(fault: Limits, random: Random, frame: bytes) -> list[Step]:  # noqa: C901, PLR0911, PLR0912 - a table
    half = Part(frame, forge.halved(frame), 0.0, whole=False)
    match fault:
        case process.Exit() | process.Crash() | process.Hang():
            return _ended(fault, frame, half)
        case message.Drop():
            return []
        case message.Duplicate():
            return [Send(frame)] * (1 + fault.copies)
        case message.Late():
            return [Wait(fault.delay.sample(random)), Send(frame)]
        case message.Reorder():
            return [AwaitOthers(fault.behind, fault.at_most), Send(frame)]
        case message.Half():
            return [half]
        case message.Split():
            frame = forge.wide(frame)
            return [Part(frame, forge.inside_characters(frame), fault.pause, whole=True)]
        case message.Drip():
            return [Part(frame, forge.every(frame, fault.size), fault.pause, whole=True)]
        case message.Oversize(valid=True):
            return [Send(forge.padded(frame, fault.size))]
        case message.Oversize():
            return [Noise(b"x" * fault.size), Send(frame)]
        case message.Garbage(when="after"):
            noise = [Noise(forge.garbage(fault.kind, random)) for _ in range(fault.lines)]
            return [Send(frame), *noise]
        case message.Misaddress() | message.Malformed() | message.Version() | message.Loop():
            return _untrue(fault, random, frame)
        case web.ContentType(body=None):
            return [Respond(200, (("content-type", fault.value),), frame)]
        case web.CutStream():
            sent: list[Step] = [half] if fault.when == "during" else [Send(frame)]
            return [*sent, Cut(fault.abort)]
    return [Send(frame)]


def _untrue(
    fault: message.Misaddress | message.Malformed | message.Version | message.Loop,
    random: Random,
    frame: bytes,
) -> list[Step]:
    match fault:
        case message.Misaddress():
            wrong = Send(forge.readdressed(frame, fault.to))
            return [wrong, Send(frame)] if fault.extra else [wrong]
        case message.Malformed():
            return [Noise(forge.malformed(frame, fault.how))]
        case message.Version():
            return [Send(forge.with_result(frame, protocolVersion=fault.version))]
        case message.Loop():
            cursor = "again" if fault.cursor == "same" else f"p0-{random.randrange(10**9)}"
            return [Send(forge.with_result(frame, nextCursor=cursor))]


def _ended(fault: process.Exit | process.Crash | process.Hang, frame: bytes, half: Step) -> list[Step]:
    match fault.when:
        case "unanswered":
            return [_end(fault)]
        case "during":
            return [half, _end(fault)]
        case "after":
            return [Send(frame), _end(fault)]
    return [Send(frame)]


def _end(fault: process.Exit | process.Crash | process.Hang) -> Step:
    if isinstance(fault, process.Hang):
        return Hang(fault.seconds, fault.scope == "server", fault.ignore_sigterm)
    return Die(fault.status) if isinstance(fault, process.Exit) else Die(signal=fault.signal)


def _flood(fault: process.Flood) -> list[Step]:
    text = "flood " + "." * fault.size
    if fault.of == "stderr":
        return [Diagnose(text, fault.count)]
    params = {"level": "debug", "data": text} if fault.what == "notifications/message" else {}
    return [Send(notification(fault.what, params))] * fault.count


def _response(fault: web.Status | web.Unauthorized | web.ContentType) -> Respond:
    match fault:
        case web.Status():
            headers = {"content-type": fault.content_type, **fault.headers}
            if fault.retry_after is not None:
                headers["retry-after"] = str(fault.retry_after)
            return Respond(fault.status, tuple(headers.items()), fault.body.encode())
        case web.Unauthorized():
            challenge = () if fault.challenge is None else (("www-authenticate", fault.challenge),)
            body = to_json({"error": "invalid_token" if fault.status == 401 else "insufficient_scope"})  # noqa: PLR2004 - HTTP
            return Respond(fault.status, (("content-type", "application/json"), *challenge), body)
        case web.ContentType():
            return Respond(200, (("content-type", fault.value),), (fault.body or "").encode())
