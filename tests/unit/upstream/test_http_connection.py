"""One HTTP connection's bytes, however they are cut and however many chunks there are."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from dmcp.protocol.limits import MAX_HEADER_BYTES, MAX_HEADER_LINES
from dmcp.upstream.connection import BeyondLimitError, Connection, ResponseHead

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps to the contract: paused and resumed only while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.closed = False
        self.unsent = 0

    def write(self, data: object) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self.closed
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reading = True

    def abort(self) -> None:
        self.closed = True


def asked() -> tuple[Connection, Wire, list[ResponseHead | httpx.HTTPError]]:
    connection, wire = Connection(lambda _: None), Wire()
    connection.connection_made(wire)
    heard: list[ResponseHead | httpx.HTTPError] = []
    connection.start(b"", heard.append)
    return connection, wire, heard


async def body_of(connection: Connection) -> bytes:
    parts = []
    while part := await connection.chunk():
        parts.append(part)
    return b"".join(parts)


async def test_a_read_of_many_small_chunks_is_parsed_over_several_turns_and_nothing_is_lost() -> None:
    connection, wire, heard = asked()
    count = 40_000
    content = bytes(97 + n % 26 for n in range(count))
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in content)
    connection.data_received(CHUNKED + chunks + b"0\r\n\r\n")
    assert not wire.reading
    assert await body_of(connection) == content
    assert isinstance(heard[0], ResponseHead)
    await asyncio.sleep(0)
    assert wire.reading
    assert connection.idle


async def test_what_has_been_read_when_the_connection_ends_still_counts() -> None:
    connection, wire, _ = asked()
    lines = b"a\r\n" * 30_000
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + lines)
    wire.closed = True
    connection.connection_lost(None)
    assert await body_of(connection) == lines


async def test_a_connection_that_breaks_behind_many_small_chunks_is_an_error_after_them() -> None:
    connection, wire, _ = asked()
    connection.data_received(CHUNKED + b"1\r\nx\r\n" * 30_000)
    wire.closed = True
    connection.connection_lost(None)
    with pytest.raises(httpx.ReadError):
        await body_of(connection)
    assert connection._body == 30_000


async def test_a_reader_that_is_behind_stops_the_parsing_of_small_chunks_too() -> None:
    connection, wire, _ = asked()
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    connection.data_received(CHUNKED + chunk * 8000)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert connection._held < 2 * 1024 * 1024
    assert not wire.reading
    connection.data_received(b"0\r\n\r\n")
    assert len(await body_of(connection)) == 8000 * 512


async def test_trailers_are_no_headers_of_the_next_answer() -> None:
    connection, _, heard = asked()
    connection.data_received(CHUNKED + b"0\r\nmcp-session-id: forged\r\n\r\n")
    assert connection.idle
    connection.start(b"", heard.append)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    head = heard[-1]
    assert isinstance(head, ResponseHead)
    assert head.headers == [(b"content-length", b"0")]


@pytest.mark.parametrize(
    "extra", [b"{}", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"\0"]
)
async def test_bytes_behind_an_answer_cost_the_connection_and_not_the_answer(extra: bytes) -> None:
    for together in (True, False):
        connection, wire, heard = asked()
        first = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"
        connection.data_received(first + extra if together else first)
        if not together:
            connection.data_received(extra)
        assert wire.closed or not connection.idle
        assert isinstance(heard[0], ResponseHead)
        assert connection.whole() == b"[]"
        assert not connection.idle


@pytest.mark.parametrize(
    ("lines", "interim", "refused"),
    [
        (MAX_HEADER_LINES - 1, 0, False),
        (MAX_HEADER_LINES, 0, False),
        (MAX_HEADER_LINES + 1, 0, True),
        (MAX_HEADER_LINES - 5, 5, False),
        (MAX_HEADER_LINES - 5, 6, True),
    ],
)
async def test_header_lines_have_a_limit(lines: int, interim: int, *, refused: bool) -> None:
    connection, wire, heard = asked()
    connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\n" * interim)
    headers = b"a: b\r\n" * (lines - 1)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + headers + b"\r\n")
    (outcome,) = heard
    assert isinstance(outcome, BeyondLimitError) is refused
    assert wire.closed is refused


@pytest.mark.parametrize(("more", "refused"), [(-1, False), (0, False), (1, True)])
async def test_bytes_of_headers_have_a_limit(more: int, *, refused: bool) -> None:
    connection, _, heard = asked()
    length = b"content-length: 0\r\n"
    value = b"x" * (MAX_HEADER_BYTES - len(b"content-length0a") + more)
    connection.data_received(b"HTTP/1.1 200 OK\r\n" + length + b"a: " + value + b"\r\n\r\n")
    (outcome,) = heard
    assert isinstance(outcome, BeyondLimitError) is refused


async def test_a_connection_whose_request_was_not_read_carries_no_other() -> None:
    connection, wire, heard = asked()
    wire.unsent = 1
    connection.data_received(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
    assert isinstance(heard[0], ResponseHead)
    assert not connection.idle
    wire.unsent = 0
    assert connection.idle
