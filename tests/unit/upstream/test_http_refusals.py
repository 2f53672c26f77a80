"""A server's own words, wherever it puts them, and the refusals that mean that a session or a revision is unknown."""

from __future__ import annotations

import pytest

from dmcp.upstream import faults


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"Bad  session\\n"}}', "Bad session"),
        (b'{"error":"invalid_request","error_description":"no such client"}', "no such client"),
        (b'{"error":"gone"}', "gone"),
        (b'{"message":"Forbidden"}', "Forbidden"),
        (b'{"detail":"Not authenticated"}', "Not authenticated"),
        (b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "field required"),
        (b'{"type":"about:blank","title":"Bad thing"}', "Bad thing"),
        (b'{"title":"Bad thing","detail":"It was bad"}', "It was bad"),
        (b'{"errors":[{"message":"deep"}]}', "deep"),
        (b'{"error":{"errors":[{"message":"deeper"}]}}', "deeper"),
        (b'{"error_description":"","error":"x"}', "x"),
        (b'"just a string"', "just a string"),
        (b"No healthy upstream\n", "No healthy upstream"),
        (b"\xef\xbb\xbfplain", "plain"),
        (b"<html><head><title>502 &amp; Bad\n Gateway</title></head>", "502 & Bad Gateway"),
        (b"<!DOCTYPE html><TITLE lang=en>Oops</TITLE>", "Oops"),
        (b"evil \x1b[31mred\x07 \xe2\x80\xae", "evil \\x1b[31mred\\x07 \\u202e"),
        (b"<html>gone</html>", ""),
        (b"<title>never ends", ""),
        (b"[]", ""),
        (b"{}", ""),
        (b'{"error":{"error":{"error":{"error":"too deep"}}}}', ""),
        (b"\x89PNG\0\0", ""),
        (b"\xff\xfe\xfd", ""),
        (b"", ""),
    ],
)
def test_a_refusal_is_quoted(body: bytes, said: str) -> None:
    assert faults.words(body) == said


def test_300_characters_are_quoted() -> None:
    assert faults.words(b"x" * 300) == "x" * 300
    assert faults.words(b"x" * 301) == "x" * 299 + "…"


LOST = [
    "Bad Request: No valid session ID provided",
    "Bad Request: Server not initialized",
    "Session not found",
    "Invalid session ID",
    "unknown session",
    "Session has expired",
    "Missing session ID",
    "Bad Request: Mcp-Session-Id header is required",
    "Session abc-123 does not exist",
    "Session terminated",
    "no active session",
    "Session 550e8400-e29b-41d4 not found or expired",
    "The session is no longer valid",
    "Could not find session",
    "session timed out",
    "No transport found for sessionId",
    "Received request before initialization was complete",
    "invalid parameter: Mcp-Session-Id",
    "Unauthorized: Session not found",
    "Not Found: Unknown Mcp-Session-Id header",
    "Error POSTing to endpoint (HTTP 400): Bad Request: No valid session ID provided",
    "Mcp-Session-Id header is invalid",
    "MCP session has ended; please reinitialize",
    "Your session is not valid anymore",
    "Session closed",
    "The requested session cannot be found.",
    "Session ID mismatch: unknown session",
    "server restarted, session was lost",
    "No such session",
    "Session does not exist or has been evicted",
    "client not initialized",
]
NOT_LOST = [
    "Invalid params",
    "Missing required argument: session_name",
    "argument session must be a string",
    "Session quota exceeded",
    "Too many sessions",
    "Unsupported protocol version",
    "Tool not found",
    "Bad Request",
    "",
]


@pytest.mark.parametrize("text", LOST)
def test_a_session_that_is_lost_in_other_words_than_404(text: str) -> None:
    for status in (400, 401, 403, 409, 410, 422, 500, 503):
        assert faults.is_session_expired(status, text.encode())
        assert faults.is_session_expired(status, b'{"detail":"%s"}' % text.encode())
        assert faults.is_session_expired(status, b'{"message":"%s"}' % text.encode())
    assert faults.is_session_expired(404, b"")
    assert not faults.is_session_expired(429, text.encode())
    error = b'{"jsonrpc":"2.0","id":%s,"error":{"code":-32001,"message":"%s"}}'
    assert faults.response_expires_session(error % (b"7", text.encode()))
    assert faults.response_expires_session(error % (b"null", text.encode()))


@pytest.mark.parametrize("text", NOT_LOST)
def test_an_unrelated_refusal_loses_no_session(text: str) -> None:
    assert not faults.is_session_expired(400, text.encode())
    error = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"%s"}}' % text.encode()
    assert not faults.response_expires_session(error)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"\\"error\\": session not found"}]}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"session not found"}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"session not found"}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"session not found"}}' + b" " * 3000,
        b'{"jsonrpc":"2.0","id":7,"error":"session not found"}',
        b'{"error": session not found',
    ],
)
def test_what_only_speaks_of_sessions_is_passed_on(frame: bytes) -> None:
    assert not faults.response_expires_session(frame)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (
            b'{"error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2024-11-05"]}}}',
            True,
        ),
        (b"Bad Request: Unsupported protocol version (supported versions: 2025-03-26)", True),
        (b'{"error":{"code":-1,"message":"no","data":{"supported":["2024-11-05"]}}}', True),
        (b"unknown revision", True),
        (b"only 2024-11-05 here", True),
        (b"Invalid params", False),
        (b"", False),
    ],
)
def test_a_refusal_of_a_revision_is_recognised(body: bytes, *, refused: bool) -> None:
    assert faults.refuses_revision(body) is refused
