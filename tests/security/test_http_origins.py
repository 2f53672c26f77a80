"""Servers of one configuration that live at the same address share neither connections nor cookies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from dmcp.protocol.limits import MAX_CONNECTIONS, MAX_COOKIE, MAX_COOKIES
from dmcp.upstream import pool
from dmcp.upstream.endpoint import CookieJar
from dmcp.upstream.pool import DirectTransport
from harness import RawClient, dmcp_command, write_config
from servers.raw_http import Peer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.upstream.responses import Header

pytestmark = pytest.mark.anyio


async def test_no_request_of_one_server_goes_over_a_connection_of_another(tmp_path: Path) -> None:
    keys: dict[Peer, set[str]] = {}

    async def fine(peer: Peer, request: Request) -> None:
        keys.setdefault(peer, set()).add(request.headers["authorization"])
        await peer.result(
            request, {"content": []}, set_cookie=f"who={request.headers['authorization']}; Path=/"
        )

    async with raw_server() as server:
        offer_tool(server, fine)
        servers = {
            name: {"url": server.url, "headers": {"Authorization": f"key-{name}"}} for name in ("one", "two")
        }
        config = write_config(tmp_path / "dmcp.json", servers)
        async with RawClient(dmcp_command(config)) as client:
            await client.initialize()
            for _ in range(5):
                for name in servers:
                    await client.call(name, "x")
    assert all(len(used) == 1 for used in keys.values())
    cookies = {(r.headers["authorization"], r.headers.get("cookie")) for r in server.requests[-2:]}
    assert cookies == {("key-one", "who=key-one"), ("key-two", "who=key-two")}


async def test_a_pool_is_one_servers_and_one_origins() -> None:
    url = httpx.URL("http://host.test/a")
    one, two = pool.acquire(url, "one"), pool.acquire(url, "two")
    again, other = (
        pool.acquire(httpx.URL("http://HOST.test:80/b"), "one"),
        pool.acquire(url.copy_with(port=81), "one"),
    )
    assert one.transport is again.transport
    assert len({id(each.transport) for each in (one, two, other)}) == 3
    for each in (one, two, again, other):
        await pool.give_back(each)


@pytest.mark.parametrize(
    ("host", "connected"),
    [("stra\u00dfe.test", "xn--strae-oqa.test"), ("xn--a", "xn--a"), ("[::ffff:1.2.3.4]", "::ffff:1.2.3.4")],
)
def test_the_host_connected_to_is_the_one_of_the_host_header(host: str, connected: str) -> None:
    assert pool.key(httpx.URL(f"http://{host}/mcp")) == ("http", connected, 80)


async def test_connections_to_one_server_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(peer: Peer, request: Request) -> None:
        await peer.closed()

    async with raw_server() as server:
        server.on("GET", slow)
        url = httpx.URL(server.url)
        pool = DirectTransport("127.0.0.1", url.port or 0, tls=False)
        monkeypatch.setattr("dmcp.upstream.pool.MAX_CONNECTIONS", 3)
        asked = [asyncio.ensure_future(pool.ask("GET", url, [], b"", 20.0)) for _ in range(3)]
        await server.arrived("GET", times=3)
        with pytest.raises(httpx.PoolTimeout, match="3 connections"):
            await pool.ask("GET", url, [], b"", 20.0)
        await pool.aclose()
        for each in asked:
            with pytest.raises(httpx.ReadError):
                await each
    assert MAX_CONNECTIONS > 2 * 256


def jar(*cookies: str, host: str = "a.host.test", secure: bool = True, path: str = "/mcp") -> CookieJar:
    kept = CookieJar(host, secure=secure)
    headers: list[Header] = [(b"Set-Cookie", cookie.encode()) for cookie in cookies]
    kept.keep(headers, path)
    return kept


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        ("a=b", b"a=b"),
        (' a = "b c" ; HttpOnly', b'a="b c"'),
        ("a=b=c; Path=/", b"a=b=c"),
        ("a=", b"a="),
        ("a=b; Domain=host.test", b"a=b"),
        ("a=b; Domain=.HOST.test", b"a=b"),
        ("a=b; Domain=elsewhere.test", None),
        ("a=b; Domain=t", None),
        ("a=b; Path=/other", None),
        ("a=b; Path=/mc", None),
        ("a=b; Path=/mcp", b"a=b"),
        ("a=b; Max-Age=0", None),
        ("a=b; Max-Age=-5", None),
        ("a=b; Max-Age=60", b"a=b"),
        ("a=b; Max-Age=" + "9" * 300, b"a=b"),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("a=b; Expires=nonsense", b"a=b"),
        ("a=b; Secure", b"a=b"),
        ("=b", None),
        ("a", None),
        ("", None),
        ("a=" + "b" * MAX_COOKIE, None),
    ],
)
def test_a_cookie_goes_back_where_it_belongs(cookie: str, sent: bytes | None) -> None:
    assert jar(cookie).header("/mcp") == sent


def test_a_cookie_is_replaced_deleted_and_kept_from_plain_http() -> None:
    assert jar("a=1", "a=2", "b=3").header("/mcp") == b"a=2; b=3"
    assert jar("a=1; Path=/", "b=2; Path=/mcp").header("/mcp/x") == b"b=2; a=1"
    assert not jar("a=1", "a=; Max-Age=0")
    assert not jar("a=1; Secure", secure=False)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_oldest_cookie_makes_room(more: int) -> None:
    kept = jar(*(f"c{n}=v" for n in range(MAX_COOKIES + more)))
    sent = (kept.header("/mcp") or b"").split(b"; ")
    assert len(sent) == min(MAX_COOKIES, MAX_COOKIES + more)
    assert (b"c0=v" in sent) is (more < 1)
