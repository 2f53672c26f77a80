"""Making a connection: names that hang, addresses that swallow packets, certificates; nobody else waits for them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from dmcp.upstream import pool
from harness import RawClient, dmcp_command, write_config
from harness.watched import LoopWatch
from servers.raw_http import Peer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

RESOLVER = """
import os, socket, time
real = socket.getaddrinfo

def getaddrinfo(host, port, *args, **more):
    if host == "hangs.test":
        time.sleep(120)
    if host == "two.test":
        first = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(os.environ["BLACK_HOLE"])))
        return [first, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    return real(host, port, *args, **more)

socket.getaddrinfo = getaddrinfo
"""


async def fine(peer: Peer, request: Request) -> None:
    await peer.result(request, {"content": []})


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: what is sent there is swallowed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
            time.sleep(0.1)
            yield listener.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


def environment(tmp_path: Path, hole: int = 0) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(RESOLVER)
    return {"PYTHONPATH": str(tmp_path), "BLACK_HOLE": str(hole)}


async def test_an_address_that_swallows_packets_delays_the_next_one_by_a_moment_only(tmp_path: Path) -> None:
    async with raw_server() as server:
        offer_tool(server, fine)
        entry = {"url": server.url.replace("127.0.0.1", "two.test"), "timeout": {"connect": "60s"}}
        config = write_config(tmp_path / "dmcp.json", {"far": entry})
        with black_hole() as hole:
            async with RawClient(dmcp_command(config), env=environment(tmp_path, hole)) as client:
                begun = time.monotonic()
                await client.initialize()
                assert (await client.call("far", "x"))["content"] == []
                assert time.monotonic() - begun < 20  # the first address alone would take 30


async def test_a_name_that_hangs_keeps_neither_another_server_nor_the_end_waiting(tmp_path: Path) -> None:
    async with raw_server() as server:
        offer_tool(server, fine)
        hanging = {f"hangs{n}": {"url": "http://hangs.test/mcp"} for n in range(40)}
        config = write_config(tmp_path / "dmcp.json", {**hanging, "good": {"url": server.url}})
        async with RawClient(dmcp_command(config), env=environment(tmp_path)) as client:
            await client.initialize()
            assert (await client.call("good", "x"))["content"] == []
            begun = time.monotonic()
            assert await client.close() == 0
            assert time.monotonic() - begun < 30


async def test_the_first_connection_with_tls_does_not_hold_the_loop(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(raw_server(context))
        offer_tool(server, fine)
        config = write_config(tmp_path / "dmcp.json", {"far": {"url": server.url, "startup": "lazy"}})
        watch = LoopWatch(tmp_path)
        env = {**watch.env, "SSL_CERT_FILE": str(bundle)}
        client = await stack.enter_async_context(RawClient(LoopWatch.command(config), env=env))
        await client.initialize()
        await client.request("tools/list")
        watch.start_watching()
        await asyncio.sleep(0.1)
        assert (await client.call("far", "x"))["content"] == []
        assert watch.held().cpu < 50


async def test_addresses_of_both_families_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        v6 = [(socket.AF_INET6, 0, 0, "", (f"::{n}", port, 0, 0)) for n in range(3)]
        return [*v6, (socket.AF_INET, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    families = [family for family, _ in await pool._resolve("both.test", 80)]
    assert families[:2] == [socket.AF_INET6, socket.AF_INET]


async def test_a_refusal_says_more_than_an_address_of_the_other_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def found(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        unreachable = (socket.AF_INET, 0, 0, "", ("255.255.255.255", port))
        return [unreachable, (socket.AF_INET, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with pytest.raises(ConnectionRefusedError):
        await pool.connect("two.test", port)


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "\udcff.test"])
async def test_what_is_no_host_name_is_not_known(host: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - which of them it is depends on the system
        await pool.connect(host, 80)


async def test_an_attempt_that_is_given_up_leaves_no_connection() -> None:
    with black_hole() as hole:
        attempt = asyncio.ensure_future(pool.connect("127.0.0.1", hole))
        await asyncio.sleep(0.05)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
