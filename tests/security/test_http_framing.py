"""Answers whose framing is odd or hostile: what is taken, what is refused, and which connection is used again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from dmcp.upstream.connection import Connection, ResponseHead
from security.http_stage import stage
from unit.upstream.test_http_connection import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from servers.raw_http import Peer, Request

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\n"
GOOD = OK + b"content-length: 2\r\n\r\nab"
CHUNKED = OK + b"transfer-encoding: chunked\r\n"


async def answer_to(data: bytes, size: int) -> tuple[ResponseHead | httpx.HTTPError, bytes | None, bool]:
    """Return the head or the error, the body if it came whole, and whether the connection may be used again."""
    wire = Wire()
    connection = Connection(lambda _: None)
    connection.connection_made(wire)
    heard: list[ResponseHead | httpx.HTTPError] = []
    connection.start(b"", heard.append)
    for start in range(0, len(data), size):
        if not wire.closed:
            connection.data_received(data[start : start + size])
    await asyncio.sleep(0)
    body, again = connection.whole(), connection.idle
    if not wire.closed:
        connection.connection_lost(None)
    (head,) = heard
    return head, body, again


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "data",
    [
        *(
            OK + b"content-length: %b\r\n\r\nab" % length
            for length in (b"", b"-2", b"+2", b"2, 2", b"9" * 30)
        ),
        *(OK + b"content-length: 2\r\ncontent-length: %d\r\n\r\nab" % length for length in (2, 3)),
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"content-length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        *(
            OK + line + b"\r\ncontent-length: 2\r\n\r\nab"
            for line in (b"x: 1\r\n 2", b"x : 1", b": 1", b"x: a\0b")
        ),
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nab",
        *(
            b"%b 200 OK\r\ncontent-length: 2\r\n\r\nab" % version
            for version in (b"HTTP/9.9", b"ICY", b"HTTP")
        ),
        *(b"HTTP/1.1 %b X\r\ncontent-length: 2\r\n\r\nab" % code for code in (b"99", b"1000", b"2x0")),
        b"<html>hello</html>",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nab",
        b"HTTP/1.1 101 Switching\r\n\r\n" + GOOD,
        b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\nhello" + GOOD,
        b"HTTP/1.1 103 Hints\r\nx: y\r\n\r\n" * 300 + GOOD,
    ],
)
async def test_an_answer_that_breaks_the_rules_is_refused_in_words(data: bytes, size: int) -> None:
    head, _, again = await answer_to(data, size)
    assert isinstance(head, httpx.RemoteProtocolError)
    assert str(head).startswith("sent ")
    assert not again


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("chunk", [b"-2", b"0x2", b"f" * 18, b"2 2", b""])
async def test_a_chunk_of_no_size_ends_its_answer(chunk: bytes, size: int) -> None:
    _, body, again = await answer_to(CHUNKED + b"\r\n" + chunk + b"\r\nab\r\n0\r\n\r\n", size)
    assert body is None
    assert not again


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("data", "again"),
    [
        (GOOD, True),
        (b"\r\n\r\n" + GOOD, True),
        (b"HTTP/1.1 103 Hints\r\nx: y\r\n\r\n" * 20 + GOOD, True),
        (CHUNKED + b"\r\n2;a=b\r\nab\r\n0;x\r\n\r\n", True),
        (CHUNKED + b"\r\n2\r\nab\r\n0\r\nmcp-session-id: evil\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab", False),
        (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nab", False),
        (GOOD + GOOD, False),
        (GOOD + b"XYZ", False),
    ],
)
async def test_an_odd_answer_within_the_rules_is_taken(data: bytes, size: int, again: bool) -> None:
    head, body, reusable = await answer_to(data, size)
    assert isinstance(head, ResponseHead)
    assert head.status == 200
    assert "mcp-session-id" not in dict(head.headers)
    assert (body, reusable) == (b"ab", again)


async def test_the_error_of_a_call_says_which_rule_its_answer_breaks(tmp_path: Path) -> None:
    async def on_call(peer: Peer, request: Request) -> None:
        await peer.raw(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}")

    async with stage(tmp_path, on_call) as s:
        error = await s.attack()
        assert "what is not HTTP (Duplicate Content-Length)" in error["message"]
        s.assert_unharmed()
