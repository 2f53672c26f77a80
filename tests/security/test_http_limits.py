"""A remote server that sends more than an answer may have: its own call fails, the loop goes on, memory stays flat.

Through a whole dmcp process whose loop is watched, beside a second server that must not notice.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from pydantic_core import to_json

from harness import LongLineClient, RawClient, write_config
from harness.watched import LoopWatch
from security.http_stage import ATTACK_WAIT, MEGABYTE, stage
from servers.raw_http import Peer, Request, answer, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio


async def many_headers(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 250_000)


async def endless_header(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\na: ")
    while True:
        await peer.raw(b"b" * 65536)


async def endless_status_line(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 ")
    while True:
        await peer.raw(b"b" * 65536)


async def endless_interim_answers(peer: Peer, request: Request) -> None:
    while True:
        await peer.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 1000)


async def endless_chunk_extension(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", transfer_encoding="chunked")
    await peer.raw(b"1;")
    while True:
        await peer.raw(b"e" * 65536)


async def endless_trailers(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", transfer_encoding="chunked")
    await peer.raw(b"0\r\n")
    while True:
        await peer.raw(b"a: b\r\n" * 10_000)


@pytest.mark.parametrize(
    "on_call",
    [
        many_headers,
        endless_header,
        endless_status_line,
        endless_interim_answers,
        endless_chunk_extension,
        endless_trailers,
    ],
)
async def test_headers_and_framing_have_a_limit(tmp_path: Path, on_call: Reaction) -> None:
    async with stage(tmp_path, on_call) as dmcp:
        message = (await dmcp.attack())["message"]
        dmcp.assert_unharmed()
        assert "bad: sent more than" in message
        assert "more than dmcp reads" in message


async def gzip_twice(peer: Peer, request: Request) -> None:
    body = gzip.compress(gzip.compress(b" " * 50 * MEGABYTE))
    await peer.body(body, content_type="application/json", content_encoding="gzip, gzip")


async def gzip_in_a_second_header(peer: Peer, request: Request) -> None:
    body = gzip.compress(gzip.compress(b" " * 50 * MEGABYTE))
    head = [
        b"HTTP/1.1 200 OK",
        b"content-type: application/json",
        b"content-encoding: gzip",
        b"content-encoding: gzip",
        b"content-length: %d" % len(body),
    ]
    await peer.raw(b"\r\n".join([*head, b"", body]))


async def brotli(peer: Peer, request: Request) -> None:
    await peer.body(b"\x0b\x02\x80", content_type="application/json", content_encoding="br")


async def damaged(peer: Peer, request: Request) -> None:
    body = gzip.compress(b"{}" * 1000)
    body = body[:20] + b"\0\0\0\0" + body[24:]
    await peer.body(body, content_type="application/json", content_encoding="gzip")


@pytest.mark.parametrize(
    ("on_call", "says"),
    [
        (gzip_twice, "compressed its answer 2 times over"),
        (gzip_in_a_second_header, "compressed its answer 2 times over"),
        (brotli, "compressed its answer as 'br'"),
        (damaged, "compressed answer that is damaged"),
    ],
)
async def test_one_content_encoding_is_undone_and_no_other(
    tmp_path: Path, on_call: Reaction, says: str
) -> None:
    async with stage(tmp_path, on_call) as dmcp:
        message = (await dmcp.attack())["message"]
        dmcp.assert_unharmed()
        assert says in message
        asked = dmcp.bad.requests[-1].headers
        assert asked["accept-encoding"] == "gzip, deflate"


def bomb(kind: str, coding: str) -> Reaction:
    size = 400 * MEGABYTE
    squeeze = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    parts = [squeeze.compress(b" " * MEGABYTE) for _ in range(size // MEGABYTE)]
    packed = b"".join([*parts, squeeze.flush()])

    async def explode(peer: Peer, request: Request) -> None:
        await peer.body(packed, content_type=kind, content_encoding=coding)

    return explode


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_what_a_compressed_body_becomes_is_measured_while_it_grows(
    tmp_path: Path, kind: str, coding: str
) -> None:
    async with stage(tmp_path, bomb(kind, coding), frame="4 MiB") as dmcp:
        message = (await dmcp.attack())["message"]
        dmcp.assert_unharmed()
        assert "more than 4 MiB" in message
        assert "limits.frame" in message


async def endless_json(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{")
    while True:
        await peer.raw(b" " * 65536)


async def endless_event(peer: Peer, request: Request) -> None:
    await peer.stream()
    while True:
        await peer.chunk(b"data: x\n" * 8192)


async def endless_line(peer: Peer, request: Request) -> None:
    await peer.stream()
    await peer.chunk(b"data: ")
    while True:
        await peer.chunk(b"x" * 65536)


async def endless_event_name(peer: Peer, request: Request) -> None:
    await peer.stream()
    await peer.chunk(b"event: ")
    while True:
        await peer.chunk(b"x" * 65536)


async def endless_comments(peer: Peer, request: Request) -> None:
    await peer.stream()
    while True:
        await peer.chunk(b":\n" * 32768)


async def small_chunks(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", transfer_encoding="chunked")
    while True:
        await peer.raw(b"1\r\n \r\n" * 10_000)


@pytest.mark.parametrize(
    "on_call",
    [endless_json, endless_event, endless_line, endless_event_name, endless_comments, small_chunks],
)
async def test_a_body_without_end_ends_at_the_frame_limit(tmp_path: Path, on_call: Reaction) -> None:
    async with stage(tmp_path, on_call, frame="4 MiB") as dmcp:
        message = (await dmcp.attack())["message"]
        dmcp.assert_unharmed()
        assert "more than 4 MiB" in message
        assert "limits.frame" in message


async def drip_headers(peer: Peer, request: Request) -> None:
    for _ in range(1000):
        await peer.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.2)


async def drip_body(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", content_length="100000")
    while True:
        await peer.raw(b" ")
        await asyncio.sleep(0.02)


async def drip_comments(peer: Peer, request: Request) -> None:
    await peer.stream()
    while True:
        await peer.chunk(b": still here\n\n")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("on_call", [drip_headers, drip_body, drip_comments])
async def test_bytes_that_trickle_are_no_progress(tmp_path: Path, on_call: Reaction) -> None:
    async with raw_server() as bad:
        offer_tool(bad, on_call)
        servers = {"bad": {"url": bad.url, "timeout": {"tools": "1s"}}}
        config = write_config(tmp_path / "dmcp.json", servers)
        async with RawClient(LoopWatch.command(config), env=LoopWatch(tmp_path).env) as client:
            await client.initialize()
            arguments = {"group": "bad", "name": "x", "args": {}}
            call = client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
            message = (await client.answer(call, within=15.0))["error"]["message"]
            assert "no answer to tools/call within 1 s" in message


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_message_of_16_mebibytes_is_passed_on_within_the_budget(tmp_path: Path, kind: str) -> None:
    words = "x" * (16 * MEGABYTE)

    async def large(peer: Peer, request: Request) -> None:
        body = to_json(answer(request, {"content": [{"type": "text", "text": words}]}))
        if kind == "text/event-stream":
            body = b"data: " + body + b"\n\n"
        await peer.body(body, content_type=kind)

    async with stage(tmp_path, large) as dmcp:
        result = await dmcp.client.call("bad", "x")
        assert result["content"][0]["text"] == words
        assert dmcp.watch.held().cpu < 100


@pytest.mark.parametrize(
    ("kind", "filling", "megabytes"),
    [
        ("application/json", b"[],", 15),
        ("text/event-stream", b'"x",', 15),
        ("text/event-stream", b"1,", 15),
        ("application/json", b'{"a":{}},', 4),
    ],
)
async def test_a_large_message_in_an_unusual_form_holds_nothing_up(
    tmp_path: Path, kind: str, filling: bytes, megabytes: int
) -> None:
    many = filling * (megabytes * MEGABYTE // len(filling)) + b"0"

    async def large(peer: Peer, request: Request) -> None:
        identifier = str(request.message["id"]).encode()
        body = b'{"extra":null,"result":{"content":[],"x":[' + many + b']}, "id" : "' + identifier
        body += b'" ,"jsonrpc":"2.0"}'
        if kind == "text/event-stream":
            body = b"id: 1\ndata: " + body + b"\n\n"
        await peer.body(body, content_type=kind)

    async with stage(tmp_path, large, client=LongLineClient, strict=False) as dmcp:
        call = dmcp.call_bad()
        assert (await dmcp.client.call("good", "x"))["content"] == []
        assert isinstance(dmcp.client, LongLineClient)
        long = dmcp.client.long
        await dmcp.client.until(lambda: bool(long), "the result", ATTACK_WAIT)
        assert long == [b'{"result":{"content":[],"x":[%b]},"jsonrpc":"2.0","id":%d}' % (many, int(call))]
        assert dmcp.watch.held().cpu < 100


async def test_a_flood_of_cookies_is_kept_small(tmp_path: Path) -> None:
    calls = 0

    async def flood(peer: Peer, request: Request) -> None:
        nonlocal calls
        calls += 1
        cookies = [b"set-cookie: c%d-%d=%s" % (calls, n, b"v" * 300) for n in range(190)]
        body = to_json(answer(request, {"content": []}))
        head = [b"HTTP/1.1 200 OK", b"content-type: application/json", b"content-length: %d" % len(body)]
        await peer.raw(b"\r\n".join([*head, *cookies, b"", body]))

    async with stage(tmp_path, flood) as dmcp:
        for _ in range(5):
            await dmcp.client.call("bad", "x")
        dmcp.assert_unharmed()
        sent = dmcp.bad.requests[-1].headers["cookie"]
        assert sent.count("=") == 50
        assert "c4-189=" in sent
        assert "c3-" not in sent


async def test_what_follows_an_answer_on_its_connection_answers_no_other_request(tmp_path: Path) -> None:
    async def smuggle(peer: Peer, request: Request) -> None:
        forged = to_json(
            {"jsonrpc": "2.0", "id": request.message["id"] + 1, "result": {"content": ["forged"]}}
        )
        await peer.result(request, {"content": []})
        await peer.body(forged, content_type="application/json")

    async with stage(tmp_path, smuggle) as dmcp:
        for _ in range(10):
            assert (await dmcp.client.call("bad", "x"))["content"] == []
        dmcp.assert_unharmed()
