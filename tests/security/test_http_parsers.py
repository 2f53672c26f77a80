"""Every parser on the HTTP side reads a megabyte of its worst case in linear time.

The bound is two seconds of processor time, about ten times what the slowest takes here: a quadratic reader would need
minutes, an exponential one for ever.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from dmcp.auth import challenge
from dmcp.protocol import encodings, proxies
from dmcp.upstream import faults, responses
from dmcp.upstream.connection import Connection
from dmcp.upstream.endpoint import CookieJar
from dmcp.upstream.responses import Response, as_frame, is_response_to
from dmcp.upstream.streamable_http import single_data
from harness.measured import processor_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024
BOUND = 2.0


def fill(*parts: bytes) -> bytes:
    """A megabyte of a repeated beginning, and an end that makes a pattern go back."""
    head, *end = parts
    return head * (MEGABYTE // len(head)) + b"".join(end)


def text(*parts: bytes) -> str:
    return fill(*parts).decode("latin-1")


def timed(work: Callable[[], object]) -> float:
    with processor_time(time.process_time) as used:
        work()
    return used.seconds


@pytest.mark.parametrize(
    "body",
    [
        b"id: " + b"id: " * 62 + b"x",  # 250 bytes held the loop for ever
        fill(b"id: "),
        fill(b"id: 1\n", b"!"),
        fill(b"id:\r\n"),
        fill(b"event: message\n", b"data: {}"),
        fill(b"data: \n", b"\n"),
        fill(b"\r"),
        fill(b"\n"),
        fill(b"data:\r"),
        b"data: " + fill(b"\r", b"\n\n"),
    ],
)
def test_the_shortcut_for_short_event_streams(body: bytes) -> None:
    assert timed(lambda: single_data(body)) < BOUND


@pytest.mark.parametrize(
    "header",
    [
        text(b"Bearer "),
        text(b"Bearer a="),
        text(b'Bearer a="\\'),
        text(b","),
        text(b"a "),
        text(b"a=b "),
        text(b"'"),
        "Negotiate " + text(b"="),
        "Bearer " + text(b" ", b"x"),
        "Bearer " + text(b"a"),
    ],
)
def test_a_challenge(header: str) -> None:
    assert timed(lambda: challenge.parse(header)) < BOUND


@pytest.mark.parametrize(
    "read",
    [
        lambda: encodings_of(text(b"gzip,")),
        lambda: encodings_of(text(b", ")),
        lambda: faults.retry_after(text(b"9")),
        lambda: faults.retry_after(text(b"Wed, ")),
        lambda: faults.retry_after(text(b" ", b"x")),
        lambda: proxies.choose("http://host.test/", {"http": "p:1", "no": text(b"a.b,")}),
        lambda: proxies.choose("http://host.test/", {"http": "p:1", "no": text(b"[::")}),
        lambda: proxies.choose("http://host.test/", {"http": "p:1", "no": text(b"1.2.3.4/")}),
        lambda: responses.content_type(answer({"content-type": text(b"; ")})),
        lambda: responses.content_type(answer({"content-type": text(b"application/json, ")})),
        lambda: as_frame(fill(b"\r\n")),
        lambda: is_response_to(fill(b'{"result":'), 1),
        lambda: is_response_to(b'{"jsonrpc":"2.0","id":' + fill(b"1"), 1),
        lambda: is_response_to(b'{"result":' + fill(b'"id":1'), 1),
        lambda: is_response_to(b'{"result":"' + fill(b"\\"), 1),
        lambda: faults.from_status(400, fill(b"[")),
        lambda: faults.from_status(400, fill(b'{"error":')),
        lambda: faults.from_status(400, fill(b"<title>")),
        lambda: faults.from_status(400, fill(b"<")),
        lambda: faults.from_status(400, b"<html><title>" + fill(b"<!--", b"</title>")),
        lambda: faults.from_status(400, fill(b" ", b"x")),
        lambda: faults.is_session_expired(400, fill(b"session ")),
        lambda: faults.is_session_expired(400, fill(b"no ")),
    ],
)
def test_headers_and_refusals(read: Callable[[], object]) -> None:
    assert timed(read) < BOUND


def encodings_of(header: str) -> None:
    with pytest.raises(encodings.UnsupportedEncodingError):
        encodings.decoder(header + "br")


def answer(headers: dict[str, str]) -> Response:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Response(200, raw, httpx.ByteStream(b""))


@pytest.mark.parametrize(
    "header",
    [
        b"a=" + fill(b"="),
        fill(b"; "),
        b"a=1; expires=" + fill(b"1 "),
        b"a=1; Path=" + fill(b"/"),
        b"a=1; max-age=" + fill(b"9"),
    ],
)
def test_a_cookie(header: bytes) -> None:
    jar = CookieJar("host.test", secure=False)
    assert timed(lambda: jar.keep([(b"set-cookie", header)] * 20, "/mcp")) < BOUND
    assert timed(lambda: jar.header("/" * MEGABYTE)) < BOUND


class Wire(asyncio.Transport):
    def write(self, data: object) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [7, 65536])
@pytest.mark.parametrize(
    "stream",
    [
        HEAD + fill(b"a: b\r\n"),
        HEAD + fill(b"a"),
        HEAD + b"a: " + fill(b"b"),
        HEAD + b"a: " + fill(b" "),
        b"HTTP/1.1 200 " + fill(b"O"),
        fill(b"HTTP/1.1 100 Continue\r\n\r\n"),
        fill(b"\r\n"),
        CHUNKED + fill(b"1\r\nx\r\n"),
        CHUNKED + fill(b"1;" + b"e" * 60 + b"\r\nx\r\n"),
        CHUNKED + b"1;" + fill(b"e"),
        CHUNKED + b"0\r\n" + fill(b"a: b\r\n"),
        HEAD + b"content-length: 0\r\n\r\n" + fill(HEAD + b"content-length: 0\r\n\r\n"),
    ],
)
async def test_the_bytes_of_a_connection(stream: bytes, size: int) -> None:
    connection = Connection(lambda _: None)
    connection.connection_made(Wire())
    connection.start(b"", lambda _: None)

    def feed() -> None:
        for start in range(0, len(stream), size):
            connection.data_received(stream[start : start + size])

    assert timed(feed) < BOUND


class Pieces(httpx.AsyncByteStream):
    def __init__(self, content: bytes, size: int) -> None:
        self.content = content
        self.size = size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), self.size):
            yield self.content[start : start + self.size]


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (fill(b"data: {}\n\n"), 65536),
        (fill(b"\n"), 65536),
        (fill(b"\r"), 65536),
        (fill(b":\n"), 65536),
        (fill(b"data\n"), 65536),
        (b"data: " + fill(b"x", b"\n\n"), 65536),
        (b"data: " + fill(b"x", b"\n\n")[-200_000:], 1),
        (fill(b"\r")[:200_000], 1),
        (fill(b"id: 1\r\n")[:200_000], 1),
    ],
)
async def test_an_event_stream_never_keeps_the_loop_for_long(content: bytes, size: int) -> None:
    reading = asyncio.Event()
    reading.set()
    longest = beat = 0.0

    def note() -> None:
        nonlocal longest, beat
        now = time.thread_time()
        longest, beat = max(longest, now - beat), now
        if not done:
            loop.call_soon(note)

    loop, done = asyncio.get_running_loop(), False
    response = Response(200, [(b"content-type", b"text/event-stream")], Pieces(content, size))
    with processor_time(time.process_time) as used:
        beat = time.thread_time()
        loop.call_soon(note)
        async for _ in responses.events(response, reading):
            pass
        done = True
    assert used.seconds < 5 * BOUND
    if size > 1:  # else this test's own stream never lets go of the loop, as no connection does
        assert longest < 0.05


@pytest.mark.parametrize("heartbeat", [b": ping\n\n", b": ping\r\n\r\n", b":\r\r", b"event: ping\n\n"])
@pytest.mark.parametrize("times", [1, 5000])
async def test_heartbeats_add_up_to_no_large_message(heartbeat: bytes, times: int) -> None:
    limit = 16 * 1024
    beats = heartbeat * (20 * limit // len(heartbeat))
    reading = asyncio.Event()
    reading.set()
    stream = Pieces(beats + b"data: {}\n\n", len(heartbeat) * times)
    response = Response(200, [(b"content-type", b"text/event-stream")], stream)
    found = [event.data async for event in responses.events(response, reading, limit) if event.data]
    assert found == ["{}"]
