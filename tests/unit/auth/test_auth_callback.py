from __future__ import annotations

import asyncio
import socket

import pytest

from dmcp.auth.callback import Callback, PortTaken

pytestmark = pytest.mark.anyio


async def _get(callback: Callback, request: bytes) -> bytes:
    port = int(callback.redirect_uri.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_first_answer_that_is_ours_ends_the_wait_and_strangers_do_not() -> None:
    async with Callback() as callback:
        waiting = asyncio.create_task(callback.answer(lambda query: query.get("state") == "mine", 20))
        await asyncio.sleep(0)
        stranger = await _get(callback, b"GET /callback?state=other&code=<b>x HTTP/1.1\r\n\r\n")
        other = await _get(callback, b"GET /favicon.ico HTTP/1.1\r\n\r\n")
        posted = await _get(callback, b"POST /callback?state=mine HTTP/1.1\r\n\r\n")
        assert not waiting.done()
        good = await _get(callback, b"GET /callback?state=mine&code=a%20b HTTP/1.1\r\n\r\n")
        assert await asyncio.wait_for(waiting, 10) == {"state": "mine", "code": "a b"}
        again = await _get(callback, b"GET /callback?state=mine&code=2 HTTP/1.1\r\n\r\n")
    statuses = [answer.split(b" ")[1] for answer in (stranger, other, posted, good, again)]
    assert statuses == [b"400", b"404", b"404", b"200", b"400"]
    assert b"<b>" not in stranger


async def test_nobody_coming_back_ends_the_wait_in_time() -> None:
    async with Callback() as callback:
        with pytest.raises(TimeoutError):
            await callback.answer(lambda _: True, 0.05)


async def test_a_port_that_is_taken_is_told_or_replaced() -> None:
    async with Callback() as first:
        port = int(first.redirect_uri.split(":")[2].split("/")[0])
        with pytest.raises(PortTaken, match=f"port {port} "):
            async with Callback(port):
                pytest.fail("the port is taken")
        async with Callback(port, insist=False) as other:
            assert other.redirect_uri != first.redirect_uri


async def test_half_a_request_and_too_long_a_one_harm_nobody() -> None:
    async with Callback() as callback:
        assert (await _get(callback, b"GET /" + b"x" * 40_000)).startswith(b"HTTP/1.1 431 ")
        port = int(callback.redirect_uri.split(":")[2].split("/")[0])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /callb")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        waiting = asyncio.create_task(callback.answer(lambda _: True, 20))
        await asyncio.sleep(0)
        await _get(callback, b"GET /callback?code=1 HTTP/1.1\r\n\r\n")
        assert await waiting == {"code": "1"}


async def test_the_port_is_free_again_after_a_sign_in() -> None:
    async with Callback() as callback:
        port = int(callback.redirect_uri.split(":")[2].split("/")[0])
    async with Callback(port) as again:
        assert again.redirect_uri == callback.redirect_uri


async def test_a_port_another_program_has_by_ipv6_is_not_used_for_localhost() -> None:
    taken = socket.socket(socket.AF_INET6)
    try:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            async with Callback(port, host="localhost"):
                pass
        async with Callback(port, insist=False, host="localhost", path="/done") as callback:
            assert callback.redirect_uri.startswith("http://localhost:")
            assert callback.redirect_uri.endswith("/done")
            assert f":{port}/" not in callback.redirect_uri
    finally:
        taken.close()


async def test_localhost_is_answered_by_both_kinds_of_address() -> None:
    async with Callback(host="localhost", path="/done") as callback:
        waiting = asyncio.create_task(callback.answer(lambda _: True, 20))
        await asyncio.sleep(0)
        port = int(callback.redirect_uri.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("::1", port)
        writer.write(b"GET /done?code=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        assert await asyncio.wait_for(waiting, 10) == {"code": "a"}
