"""The pure parts of the HTTP transports: which message answers, what trouble means, when to try again."""

from __future__ import annotations

import ssl

import httpx
import pytest
from httpx_sse import ServerSentEvent
from pydantic_core import from_json

from dmcp.protocol.limits import MAX_HEADER_VALUE
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.upstream import faults
from dmcp.upstream.responses import as_frame, is_response_to
from dmcp.upstream.streamable_http import StreamPosition, may_resume


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{}}',
        b'{"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": ""}}',
        b'{"result":{"id":8},"jsonrpc":"2.0","id":7}',
        b'{"id":7,"jsonrpc":"2.0","result":null}',
        b'{"result":{},"id" : 7 ,"jsonrpc":"2.0"}',
        b'{"jsonrpc":"2.0","id":"7","result":{}}',
        b'{"jsonrpc":"2.0","id":7.0,"result":{}}',
        b'{"jsonrpc":"2.0","id":"7.0","error":{"code":1,"message":""}}',
        b'{"result":{},"id":"7"}',
        b'[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":7,"result":1}]',
    ],
)
def test_an_answer_is_recognised_however_it_is_spelt(frame: bytes) -> None:
    assert is_response_to(frame, 7)
    assert not is_response_to(frame, 8)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage"}',
        b'{"jsonrpc":"2.0","method":"x","params":{"id":7,"result":{}}}',
        b'{"jsonrpc":"2.0","id":70,"result":{"id":7}}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"\\"id\\":7}"}}',
        b'{"result":{"text":"\\"id\\":7}"},"jsonrpc":"2.0"}',
        b"[]",
        b"7",
        b"",
        b"{",
    ],
)
def test_what_only_looks_like_the_answer_is_none(frame: bytes) -> None:
    assert not is_response_to(frame, 7)


def test_true_is_not_the_id_one() -> None:
    assert not is_response_to(b'{"id":true,"result":{},"jsonrpc":"2.0"}', 1)


def test_a_body_of_several_lines_becomes_one_with_the_same_content() -> None:
    body = b'\xef\xbb\xbf{\r\n  "a": "b\\nc"\n}\n'
    assert b"\n" not in as_frame(body)
    assert from_json(as_frame(body)) == {"a": "b\nc"}


@pytest.mark.parametrize(
    ("error", "may_have_run"),
    [
        (httpx.ConnectError("x"), False),
        (httpx.ConnectTimeout("x"), False),
        (httpx.ReadError("x"), True),
        (httpx.WriteError("x"), True),
        (httpx.RemoteProtocolError("x"), True),
    ],
)
def test_a_request_may_have_run_unless_the_connection_was_never_made(
    error: httpx.HTTPError, may_have_run: bool
) -> None:
    fault = faults.from_exception(error)
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, may_have_run)


def test_the_reason_of_an_untrusted_certificate_says_what_to_do() -> None:
    error = httpx.ConnectError("x")
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error.__cause__ = cause
    reason = faults.from_exception(error).reason
    assert "self-signed certificate" in reason
    assert "SSL_CERT_FILE" in reason


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"Bad  session\\n"}}', ": Bad session"),
        (b'{"error":"invalid_request","error_description":"no such client"}', ": no such client"),
        (b'{"error":"gone"}', ": gone"),
        (b"<html>gone</html>", ""),
        (b"[]", ""),
        (b"", ""),
    ],
)
def test_a_refusal_quotes_what_the_server_says_in_json(body: bytes, quoted: str) -> None:
    assert faults.from_status(418, body).reason == f"answered HTTP 418{quoted}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("9" * 5000, 3600.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 3600.0),
        ("\u0663", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert faults.retry_after(value) == seconds


def test_the_wait_for_a_stream_is_the_servers_then_doubles_up_to_a_limit() -> None:
    position = StreamPosition()
    position.record(ServerSentEvent(id="1", retry=200))
    waits = [position.next_delay() for _ in range(12)]
    assert waits[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert waits[-1] == pytest.approx(30.0)


def test_an_event_makes_the_next_wait_short_again_and_keeps_the_last_id() -> None:
    position = StreamPosition()
    position.record(ServerSentEvent(id="1"))
    first = position.next_delay()
    position.next_delay()
    position.record(ServerSentEvent(id=""))
    assert position.next_delay() == first
    assert position.last_id == "1"


def test_a_stream_that_ends_at_once_again_and_again_is_asked_for_ever_more_seldom() -> None:
    position = StreamPosition()
    waits = []
    for number in range(300):
        position.record(ServerSentEvent(id=str(number), retry=0))
        waits.append(position.next_delay())
    assert waits[:20] == [0.05] * 20
    assert waits[20:200] == [0.5] * 180
    assert waits[200:] == [2.0] * 100


@pytest.mark.parametrize("retry", [10**9, 10**4000])
def test_a_server_that_wishes_for_a_wait_of_years_gets_an_hour(retry: int) -> None:
    position = StreamPosition()
    position.record(ServerSentEvent(id="1", retry=retry))
    assert position.next_delay() == 3600.0


def test_the_id_of_an_event_that_no_header_can_carry_is_not_kept() -> None:
    position = StreamPosition()
    for length, kept in ((MAX_HEADER_VALUE, True), (MAX_HEADER_VALUE + 1, False)):
        position.record(ServerSentEvent(id="x" * length))
        assert bool(position.last_id) is kept


def test_a_stream_is_asked_for_again_while_its_server_is_away_but_not_for_ever() -> None:
    away = LinkFault(FaultKind.UNREACHABLE, "away")
    position = StreamPosition()
    tries = 0
    while may_resume(away, position):
        position.next_delay()
        tries += 1
    assert 1 < tries < 20
    assert not may_resume(LinkFault(FaultKind.REJECTED, "no"), StreamPosition())


@pytest.mark.parametrize(
    ("status", "text", "forgotten"),
    [
        (404, "", True),
        (404, "anything", True),
        (400, "Bad Request: No valid session ID provided", True),
        (400, "Bad Request: Server not initialized", True),
        (400, "Invalid params", False),
        (400, "", False),
        (500, "no session", True),
        (502, "no session", False),
        (500, "database failed", False),
    ],
)
def test_a_session_is_forgotten_when_the_server_says_so(status: int, text: str, *, forgotten: bool) -> None:
    body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"%s"}}' % text.encode()
    assert faults.is_session_expired(status, body) is forgotten


@pytest.mark.parametrize(
    ("identifier", "kept"), [("größe 7", "größe 7"), ("7\x01", ""), ("7\x7f", ""), ("7\t8", "")]
)
def test_an_event_id_that_no_header_can_carry_is_not_asked_for(identifier: str, kept: str) -> None:
    position = StreamPosition(last_id="before")
    position.record(ServerSentEvent(data="x", id=identifier))
    assert position.last_id == kept
