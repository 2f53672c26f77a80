"""What an authorization server, or whoever says to be one, sends before any sign-in is bounded."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from dmcp.auth.web import AuthHttpClient
from dmcp.errors import AuthUnavailable
from servers.raw_http import Peer, RawServer, Request, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024
BOMB = gzip.compress(b" " * 200 * MEGABYTE)


async def bomb(peer: Peer, request: Request) -> None:
    await peer.body(BOMB, content_type="application/json", content_encoding="gzip")


async def bomb_in_a_bomb(peer: Peer, request: Request) -> None:
    await peer.body(gzip.compress(BOMB), content_type="application/json", content_encoding="gzip, gzip")


async def brotli(peer: Peer, request: Request) -> None:
    await peer.body(b"x", content_type="application/json", content_encoding="br")


async def endless(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.raw(b" " * 65536)


async def headers(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 250_000)


async def some_headers_too_many(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 250 + b"content-length: 2\r\n\r\n{}")


async def trickle(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    for _ in range(20):
        await peer.raw(b" ")
    await peer.closed()


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as running:
        yield running


@pytest.mark.parametrize(
    ("reaction", "says"),
    [
        (bomb, "more than 1024 KiB"),
        (bomb_in_a_bomb, "compressed its answer 2 times over"),
        (brotli, "compressed its answer as 'br'"),
        (endless, "more than 1024 KiB"),
        (headers, "cannot be reached"),
        (some_headers_too_many, "more than 200 header lines"),
        (trickle, "did not answer within 0.5 s"),
    ],
)
async def test_a_document_is_bounded_and_its_server_named(
    server: RawServer, reaction: Reaction, says: str
) -> None:
    server.on("GET", reaction)
    where = server.url.removesuffix("/mcp")
    async with AuthHttpClient(timeout=0.5 if reaction is trickle else 15.0) as web:
        with pytest.raises(AuthUnavailable, match=f"{where} .*{says}"):
            await web.get(server.url)


async def test_a_compressed_document_is_read(server: RawServer) -> None:
    async def packed(peer: Peer, request: Request) -> None:
        assert request.headers["accept-encoding"] == "gzip, deflate"
        await peer.body(gzip.compress(b'{"a": 1}'), content_encoding="gzip", set_cookie="a=b")

    server.on("GET", packed)
    async with AuthHttpClient() as web:
        for _ in range(2):
            assert (await web.get(server.url)).document == {"a": 1}
    assert "cookie" not in server.requests[-1].headers
