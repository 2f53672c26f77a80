"""What a call comes to when the server's answer is broken, slow, late or not MCP at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic_core import to_json

from dmcp.protocol.limits import MAX_FRAME
from dmcp.protocol.link import FaultKind
from servers.raw_http import Peer, RawServer, Request, answer

if TYPE_CHECKING:
    from faults.http.conftest import Connect, Session
    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_down_at_first_is_reached_once_it_is_up(
    server: RawServer, connect: Connect
) -> None:
    await server.stop()
    owner = await connect(server.url)
    fault = await owner.failure(owner.ask("initialize"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, False)
    assert "refused" in fault.reason
    await server.start(port=int(server.url.split(":")[2].split("/")[0]))
    await owner.establish()
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}


async def cut_before_any_answer(peer: Peer, request: Request) -> None:
    await peer.cut()


async def cut_within_json(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", content_length="1000")
    await peer.raw(b'{"jsonrpc":"2.0","id":2,"result":{"content":[')
    await peer.cut()


async def cut_within_a_long_body(peer: Peer, request: Request) -> None:
    await peer.head(200, content_type="application/json", content_length="1000000")
    await peer.raw(b'{"jsonrpc":"2.0","id":2,"result":{"content":[')
    await peer.cut()


async def cut_within_an_event(peer: Peer, request: Request) -> None:
    await peer.stream()
    await peer.chunk(b"data: " + to_json(answer(request, {"whole": False})))
    await peer.cut()


@pytest.mark.parametrize(
    "cut", [cut_before_any_answer, cut_within_json, cut_within_a_long_body, cut_within_an_event]
)
async def test_a_call_whose_answer_is_cut_may_have_run_and_fails_alone(
    session: Session, cut: Reaction
) -> None:
    owner = await session(cut)
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, True)
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}


async def test_an_event_cut_in_the_middle_is_replayed_by_a_server_that_can(
    server: RawServer, session: Session
) -> None:
    asked: list[Request] = []

    async def cut(peer: Peer, request: Request) -> None:
        asked.append(request)
        await peer.stream()
        await peer.event(None, event_id="7", retry=10)
        await peer.chunk(b"id: 8\ndata: " + to_json(answer(request, "half"))[:20])
        await peer.cut()

    async def replay(peer: Peer, request: Request) -> None:
        assert request.headers["last-event-id"] == "7"
        await peer.stream()
        await peer.event(answer(asked[0], "whole"), event_id="8")
        await peer.end()

    owner = await session(cut)
    await server.arrived("GET")
    server.on("GET", replay)
    assert await owner.answer(owner.call("x")) == "whole"


async def test_a_replay_that_is_refused_for_good_fails_the_call(session: Session) -> None:
    async def cut(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.event(None, event_id="7", retry=10)
        await peer.end()

    owner = await session(cut)
    fault = await owner.failure(owner.call("x"))
    assert fault.may_have_run
    assert "HTTP 405" in fault.reason


async def test_a_stream_that_breaks_twice_is_replayed_from_the_last_event(
    server: RawServer, session: Session
) -> None:
    asked: list[Request] = []

    async def first(peer: Peer, request: Request) -> None:
        asked.append(request)
        await peer.stream()
        await peer.event(None, event_id="1", retry=10)
        await peer.cut()

    async def away(peer: Peer, request: Request) -> None:
        await peer.body(b"", 502)

    async def second(peer: Peer, request: Request) -> None:
        assert request.headers["last-event-id"] == "1"
        await peer.stream()
        await peer.event({"jsonrpc": "2.0", "method": "notifications/message"}, event_id="2")
        await peer.cut()

    async def third(peer: Peer, request: Request) -> None:
        assert request.headers["last-event-id"] == "2"
        await peer.stream()
        await peer.event(answer(asked[0], "at last"), event_id="3")
        await peer.end()

    owner = await session(first)
    await server.arrived("GET")
    server.on("GET", away, second, third)
    call = owner.call("x")
    assert (await owner.hear())[1]["method"] == "notifications/message"
    assert await owner.answer(call) == "at last"


async def test_a_stream_that_ends_without_the_answer_fails_its_call(session: Session) -> None:
    async def end(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.event({"jsonrpc": "2.0", "method": "notifications/message"})
        await peer.event({"jsonrpc": "2.0", "id": request.message["id"] + 1000, "result": {}})
        await peer.end()

    owner = await session(end)
    call = owner.call("x")
    assert [(await owner.hear())[0] for _ in range(2)] == ["frame", "frame"]
    fault = await owner.failure(call)
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, True)


async def test_an_event_with_a_bad_id_and_one_with_a_bad_body_harm_no_answer(session: Session) -> None:
    async def odd(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.chunk(
            b"id: a\0b\nretry: soon\ndata: this is no message\n\n: a comment\nevent: other\ndata: {}\n\n"
        )
        await peer.event(answer(request, "fine"), event_id="\u00fc")
        await peer.end()

    owner = await session(odd)
    call = owner.call("x")
    what, text = await owner.hear()
    assert what == "noise"
    assert "this is no message" in text
    assert await owner.answer(call) == "fine"


async def test_an_event_id_beyond_ascii_is_sent_back_as_it_came(server: RawServer, session: Session) -> None:
    asked: list[Request] = []

    async def end(peer: Peer, request: Request) -> None:
        asked.append(request)
        await peer.stream()
        await peer.chunk("id: grün\nretry: 10\ndata:\n\n".encode())
        await peer.end()

    async def replay(peer: Peer, request: Request) -> None:
        assert request.headers["last-event-id"].encode("latin-1").decode() == "grün"
        await peer.stream()
        await peer.event(answer(asked[0], "whole"))
        await peer.end()

    owner = await session(end)
    await server.arrived("GET")
    server.on("GET", replay)
    assert await owner.answer(owner.call("x")) == "whole"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_an_event_is_whole_however_its_bytes_are_split(session: Session, size: int) -> None:
    async def trickle(peer: Peer, request: Request) -> None:
        await peer.stream()
        text = (
            b"\xef\xbb\xbfid: 1\r\nevent: message\r\ndata: "
            + to_json(answer(request, "gr\u00fc\u00dfe"))
            + b"\r\n\r\n"
        )
        for start in range(0, len(text), size):
            await peer.chunk(text[start : start + size])
        await peer.end()

    owner = await session(trickle)
    assert await owner.answer(owner.call("x")) == "gr\u00fc\u00dfe"


async def test_a_slow_answer_is_given_up_when_the_owner_abandons_it(
    server: RawServer, session: Session
) -> None:
    closed: list[bool] = []

    async def drip(peer: Peer, request: Request) -> None:
        await peer.head(200, content_type="application/json", content_length="1000")
        await peer.raw(b"{")
        await peer.closed()
        closed.append(True)

    owner = await session(drip)
    call = owner.call("x")
    await server.arrived("tools/call")
    assert owner.link is not None
    owner.link.abandon(call)
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}
    await server.stop()
    assert closed == [True]


@pytest.mark.parametrize(
    ("content_type", "body", "hint"),
    [
        ("text/html; charset=utf-8", b"<html>Please sign in to the WiFi</html>", "sign-in page"),
        ("text/plain", b"hello", "text/plain"),
        ("", b"hello", "none"),
    ],
)
async def test_an_answer_that_is_not_mcp_is_called_so(
    server: RawServer, connect: Connect, content_type: str, body: bytes, hint: str
) -> None:
    async def page(peer: Peer, request: Request) -> None:
        await peer.body(body, content_type=content_type) if content_type else await peer.body(body)

    server.on("initialize", page)
    owner = await connect(server.url)
    fault = await owner.failure(owner.ask("initialize"))
    assert fault.kind is FaultKind.PROTOCOL
    assert hint in fault.reason


@pytest.mark.parametrize(
    "body", [b"", b"null", b'"text"', b"{", b'{"jsonrpc":"2.0","id":99,"result":{}}', b"[]"]
)
async def test_json_that_is_no_answer_fails_the_call(session: Session, body: bytes) -> None:
    async def wrong(peer: Peer, request: Request) -> None:
        await peer.body(body, content_type="application/json")

    owner = await session(wrong)
    call = owner.call("x")
    said = [await owner.hear()]
    if said[-1][0] != "failed":
        said.append(await owner.hear())
    what, (failed, fault) = said[-1]
    assert (what, failed, fault.kind, fault.may_have_run) == ("failed", call, FaultKind.PROTOCOL, True)


async def test_pretty_printed_json_becomes_one_line(session: Session) -> None:
    async def pretty(peer: Peer, request: Request) -> None:
        body = to_json(answer(request, {"text": "a\nb"}), indent=2)
        await peer.body(body.replace(b"\n", b"\r\n"), content_type="application/json; charset=utf-8")

    owner = await session(pretty)
    assert await owner.answer(owner.call("x")) == {"text": "a\nb"}


async def test_a_body_announced_too_large_is_refused_unread(session: Session) -> None:
    async def large(peer: Peer, request: Request) -> None:
        await peer.head(200, content_type="application/json", content_length=str(MAX_FRAME + 1))
        await peer.closed()

    owner = await session(large)
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.PROTOCOL, True)
    assert "64 MiB" in fault.reason


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_a_message_that_grows_too_large_fails_its_call_only(
    session: Session, content_type: str
) -> None:
    async def grow(peer: Peer, request: Request) -> None:
        await peer.head(200, content_type=content_type, transfer_encoding="chunked")
        await peer.chunk(b'data: {"jsonrpc":"2.0","id":2,"result":"')
        for _ in range(20):
            await peer.chunk(b"x" * 1000)
        await peer.closed()

    owner = await session(grow, frame=10_000)
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.PROTOCOL, True)
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}


async def test_a_stream_of_many_events_is_not_mistaken_for_one_large_message(
    session: Session,
) -> None:
    async def many(peer: Peer, request: Request) -> None:
        await peer.stream()
        for number in range(50):
            await peer.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"n": number}})
            await peer.chunk(b": " + b"x" * 1000 + b"\n")
        await peer.event(answer(request, "last"))
        await peer.end()

    owner = await session(many, frame=20_000)
    call = owner.call("x")
    assert [(await owner.hear())[1]["params"]["n"] for _ in range(50)] == list(range(50))
    assert await owner.answer(call) == "last"


async def test_an_accepted_request_without_an_answer_fails(session: Session) -> None:
    async def accept(peer: Peer, request: Request) -> None:
        await peer.body(b"", 202)

    owner = await session(accept)
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.PROTOCOL, True)


async def test_bytes_that_are_not_http_fail_the_call(session: Session) -> None:
    async def garbage(peer: Peer, request: Request) -> None:
        await peer.raw(b"\x00\x01 what is this?\r\n\r\n")

    owner = await session(garbage)
    assert (await owner.failure(owner.call("x"))).may_have_run
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}


async def test_a_compressed_answer_is_read(session: Session) -> None:
    import gzip  # noqa: PLC0415 - this one test

    async def packed(peer: Peer, request: Request) -> None:
        body = gzip.compress(to_json(answer(request, "unpacked")))
        await peer.body(body, content_type="application/json", content_encoding="gzip")

    owner = await session(packed)
    assert await owner.answer(owner.call("x")) == "unpacked"


async def test_a_paused_link_holds_an_answer_back_until_it_is_resumed(
    server: RawServer, connect: Connect
) -> None:
    owner, other = await connect(server.url), await connect(server.url)
    await owner.establish()
    assert owner.link is not None
    owner.link.pause()
    call = owner.call("x")
    await server.arrived("tools/call")
    # By the time another link has had ten answers, this one's has long been written.
    for _ in range(10):
        await other.answer(other.ask("ping"))
    assert owner.unheard == []
    owner.link.resume()
    await owner.answer(call)


async def test_a_paused_link_stops_the_server_from_sending(server: RawServer, connect: Connect) -> None:
    sent: list[int] = []
    size, count = 1_000_000, 48

    async def flood(peer: Peer, request: Request) -> None:
        await peer.stream()
        for number in range(count):
            await peer.event(
                {"jsonrpc": "2.0", "method": "notifications/message", "params": {"x": "y" * size}}
            )
            sent.append(number)
        await peer.event(answer(request, "end"))
        await peer.end()

    server.on("tools/call", flood)
    owner, other = await connect(server.url), await connect(server.url)
    await owner.establish()
    call = owner.call("x")
    assert owner.link is not None
    await owner.hear()
    owner.link.pause()
    for _ in range(200):
        await other.answer(other.ask("ping"))
    assert len(sent) < count
    owner.link.resume()
    while (await owner.hear())[1].get("id") != call:
        pass
    assert len(sent) == count


async def test_a_server_restarted_in_the_middle_of_a_call_is_found_again(
    server: RawServer, connect: Connect
) -> None:
    async def hang(peer: Peer, request: Request) -> None:
        await peer.closed()

    async def forgotten(peer: Peer, request: Request) -> None:
        await peer.body(b"", 404)

    server.on("tools/call", hang, forgotten)
    owner = await connect(server.url)
    await owner.establish()
    call = owner.call("x")
    await server.arrived("tools/call")
    await server.stop()
    fault = await owner.failure(call)
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, True)
    await server.start(port=int(server.url.split(":")[2].split("/")[0]))
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.SESSION_LOST, False)
    assert (await owner.closing()).kind is FaultKind.SESSION_LOST
