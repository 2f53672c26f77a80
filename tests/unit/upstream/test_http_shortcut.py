"""Which HTTP answers are nothing but the answer to a request, and whole: only those take the shortcut."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from contract.owner import Owner
from dmcp.config.model import RemoteServer
from dmcp.upstream import pool
from dmcp.upstream.connection import Connection
from dmcp.upstream.endpoint import Endpoint
from dmcp.upstream.pool import DirectTransport
from dmcp.upstream.responses import Header, Response
from dmcp.upstream.streamable_http import StreamableHttpLink, single_message

pytestmark = pytest.mark.anyio

MESSAGE = b'{"jsonrpc":"2.0","id":7,"result":{}}'
JSON = (b"Content-Type", b"application/json; charset=utf-8")
EVENTS = (b"Content-Type", b"text/event-stream")


class Wire(asyncio.Transport):
    """What a connection writes to; what is written is not looked at."""

    closed = False

    def write(self, data: object) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.closed = True


async def answered(
    body: bytes, *headers: Header, status: int = 200, missing: int = 0
) -> tuple[Response, DirectTransport]:
    """The answer a link would get, and the pool of the connection it came over."""
    pool = DirectTransport("127.0.0.1", 1, tls=False)
    connection = Connection(lambda _: None)
    connection.connection_made(Wire())
    pool.release(connection)
    heard: list[Response | httpx.HTTPError] = []
    assert pool.start("POST", httpx.URL("http://127.0.0.1:1/"), [], b"", heard.append) is connection
    length = (b"content-length", b"%d" % (len(body) + missing))
    head = [b"HTTP/1.1 %d X" % status, *(b": ".join(pair) for pair in (*headers, length)), b"", body]
    connection.data_received(b"\r\n".join(head))
    if missing:
        connection.connection_lost(None)
    (answer,) = heard
    assert isinstance(answer, Response)
    return answer, pool


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (MESSAGE, JSON),
        (b"\xef\xbb\xbf" + MESSAGE.replace(b",", b",\r\n ") + b"\n", JSON),
        (b"data: " + MESSAGE + b"\n\n", EVENTS),
        (b"event: message\ndata: " + MESSAGE + b"\n\n", EVENTS),
        (b"event: message\r\ndata:" + MESSAGE + b"\r\n\r\n", EVENTS),
        (b"id: 3_1\nevent:message\ndata: " + MESSAGE + b"\n\n", EVENTS),
    ],
)
async def test_a_body_that_is_the_answer_and_nothing_else_is_taken_and_its_connection_is_free_again(
    body: bytes, kind: Header
) -> None:
    answer, pool = await answered(body, kind)
    message = single_message(answer, 7)
    assert message is not None
    assert httpx.Response(200, content=message).json() == httpx.Response(200, content=MESSAGE).json()
    assert b"\n" not in message
    assert pool.start("POST", httpx.URL("http://127.0.0.1:1/"), [], b"", lambda _: None) is not None


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (MESSAGE, (JSON,), 202),
        (MESSAGE, (JSON,), 404),
        (MESSAGE, (JSON, (b"Set-Cookie", b"sticky=1")), 200),
        (MESSAGE, (JSON, (b"Content-Encoding", b"gzip")), 200),
        (MESSAGE, ((b"Content-Type", b"text/html"),), 200),
        (MESSAGE, (), 200),
        (MESSAGE.replace(b"7", b"8"), (JSON,), 200),
        (b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}', (JSON,), 200),
        (b"", (JSON,), 200),
        (b"data: " + MESSAGE + b"\n\ndata: " + MESSAGE + b"\n\n", (EVENTS,), 200),
        (b"data: {}\n\ndata: " + MESSAGE + b"\n\n", (EVENTS,), 200),
        (b'data: {"jsonrpc":"2.0",\ndata: "id":7,"result":{}}\n\n', (EVENTS,), 200),
        (b"event: ping\ndata: " + MESSAGE + b"\n\n", (EVENTS,), 200),
        (b"retry: 100\ndata: " + MESSAGE + b"\n\n", (EVENTS,), 200),
        (b": hello\n\ndata: " + MESSAGE + b"\n\n", (EVENTS,), 200),
        (b"data: " + MESSAGE + b"\n", (EVENTS,), 200),
    ],
)
async def test_anything_else_is_left_as_it_came(
    body: bytes, headers: tuple[Header, ...], status: int
) -> None:
    answer, _ = await answered(body, *headers, status=status)
    assert single_message(answer, 7) is None
    assert b"".join([chunk async for chunk in answer.stream]) == body


async def test_a_body_that_broke_off_is_left_and_its_end_is_an_error() -> None:
    answer, _ = await answered(MESSAGE, JSON, missing=1)
    assert single_message(answer, 7) is None
    with pytest.raises(httpx.ReadError):
        [chunk async for chunk in answer.stream]


async def test_an_answer_that_is_given_up_in_the_turn_it_comes_in_does_not_stay_open() -> None:
    url = "http://127.0.0.1:1/"
    origin = pool.acquire(httpx.URL(url))
    wire, connection = Wire(), Connection(lambda _: None)
    connection.connection_made(wire)
    origin.transport.release(connection)  # type: ignore[attr-defined]  # no proxy here
    link = StreamableHttpLink(Endpoint(RemoteServer(url), None), Owner())
    link.established("2025-11-25")
    link.send(b"{}", 7)
    connection.data_received(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\n")
    assert not wire.closed
    link.abandon(7)
    await link.aclose(0)
    assert wire.closed
    await pool.give_back(origin)
