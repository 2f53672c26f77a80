"""The older HTTP+SSE transport in trouble, and the way to it from "auto"."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic_core import to_json

from contract.owner import Owner
from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol.link import FaultKind
from dmcp.upstream.remote import remote_opener
from servers.raw_http import Peer, RawServer, Request, answer

if TYPE_CHECKING:
    from faults.http.conftest import Connect

pytestmark = pytest.mark.anyio


class Older:
    """What a server of 2024-11-05 does: the answers to POSTs at /messages go over the stream of the GET."""

    def __init__(
        self, server: RawServer, address: str = "/messages?session=1", first_post: int = 405
    ) -> None:
        self.stream: Peer | None = None
        self._address = address
        self._first_post = first_post
        server.on("GET", self._get)
        for method in ("initialize", "ping", "notifications/initialized", "tools/call"):
            server.on(method, self._post)

    async def _get(self, peer: Peer, request: Request) -> None:
        self.stream = peer
        await peer.stream()
        await peer.chunk(f"event: endpoint\ndata: {self._address}\n\n".encode())
        await peer.closed()

    async def _post(self, peer: Peer, request: Request) -> None:
        if not request.path.startswith("/messages"):
            await peer.body(b"", self._first_post)
            return
        await peer.body(b"Accepted", 202)
        if "id" in request.message:
            assert self.stream is not None
            text = b"event: message\ndata: " + to_json(answer(request, request.message["method"])) + b"\n\n"
            await self.stream.chunk(text)


async def test_calls_are_answered_over_the_one_stream(server: RawServer, connect: Connect) -> None:
    Older(server)
    owner = await connect(server.url, "sse")
    await owner.establish()
    assert await owner.answer(owner.ask("ping")) == "ping"
    assert server.requests[1].path == "/messages?session=1"


@pytest.mark.parametrize("refusal", [400, 404, 405])
async def test_auto_asks_the_same_over_the_older_transport_and_remembers(
    server: RawServer, refusal: int
) -> None:
    Older(server, first_post=refusal)
    opener = remote_opener(RemoteServer(server.url))
    for _ in range(2):
        owner = Owner()
        link = await owner.open(opener)
        assert await owner.establish() == "initialize"
        assert await owner.answer(owner.ask("ping")) == "ping"
        await link.aclose(2.0)
    posts = [request for request in server.requests if request.path == "/mcp" and request.method == "POST"]
    assert len(posts) == 1


async def test_a_link_paused_before_auto_has_chosen_is_paused_over_the_older_transport_too(
    server: RawServer, connect: Connect
) -> None:
    Older(server)
    owner = await connect(server.url, "auto")
    assert owner.link is not None
    owner.link.pause()
    asked = [owner.ask("initialize")]
    await server.arrived("initialize", times=2)
    asked.append(owner.ask("ping"))
    await server.arrived("ping")
    assert owner.unheard == []
    owner.link.resume()
    assert {(await owner.hear())[1]["id"] for _ in asked} == set(asked)


async def test_auto_stays_with_streamable_http_where_that_answers(
    server: RawServer, connect: Connect
) -> None:
    owner = await connect(server.url, "auto")
    await owner.establish()
    assert await owner.answer(owner.ask("ping")) == {"echo": {}}


async def test_auto_tells_both_reasons_where_neither_transport_is_there(
    server: RawServer, connect: Connect
) -> None:
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.body(b"", 404)

    server.on("initialize", refuse)
    owner = await connect(server.url, "auto")
    fault = await owner.failure(owner.ask("initialize"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.REJECTED, False)
    assert "HTTP 404" in fault.reason
    assert "HTTP 405" in fault.reason


async def test_auto_does_not_fall_back_for_a_server_in_trouble(server: RawServer, connect: Connect) -> None:
    async def trouble(peer: Peer, request: Request) -> None:
        await peer.body(b"", 500)

    server.on("initialize", trouble)
    owner = await connect(server.url, "auto")
    assert (await owner.failure(owner.ask("initialize"))).kind is FaultKind.UNREACHABLE
    assert [request.method for request in server.requests] == ["POST"]


async def test_a_lost_stream_closes_the_link(server: RawServer, connect: Connect) -> None:
    older = Older(server)
    owner = await connect(server.url, "sse")
    await owner.establish()
    assert older.stream is not None
    await older.stream.cut()
    fault = await owner.closing()
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, True)


async def test_a_refused_post_fails_its_request_only(server: RawServer, connect: Connect) -> None:
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.body(b"", 400)

    Older(server)
    server.on("tools/call", refuse)
    owner = await connect(server.url, "sse")
    await owner.establish()
    assert (await owner.failure(owner.call("x"))).kind is FaultKind.REJECTED
    assert await owner.answer(owner.ask("ping")) == "ping"


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (400, b"Invalid session ID"), (410, b'{"detail":"session expired"}')]
)
async def test_a_forgotten_session_closes_the_link(
    server: RawServer, connect: Connect, status: int, body: bytes
) -> None:
    async def forget(peer: Peer, request: Request) -> None:
        await peer.body(body, status)

    Older(server)
    server.on("tools/call", forget)
    owner = await connect(server.url, "sse")
    await owner.establish()
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.SESSION_LOST, False)
    assert (await owner.closing()).kind is FaultKind.SESSION_LOST


async def test_a_post_whose_answer_never_ends_is_not_waited_for(server: RawServer, connect: Connect) -> None:
    older = Older(server)

    async def accept(peer: Peer, request: Request) -> None:
        await peer.head(202, transfer_encoding="chunked")
        assert older.stream is not None
        if "id" in request.message:
            await older.stream.event(answer(request, "well"))
        await peer.closed()

    server.on("tools/call", accept)
    server.on("notifications/initialized", accept)
    owner = await connect(server.url, "sse")
    await owner.establish()
    for _ in range(3):
        assert await owner.answer(owner.call("x")) == "well"


async def test_an_address_at_another_origin_is_refused(server: RawServer) -> None:
    Older(server, address="http://elsewhere.test/messages")
    with pytest.raises(LinkRefused, match="another origin"):
        await remote_opener(RemoteServer(server.url, "sse"))(Owner())


async def test_a_server_without_the_stream_is_refused(server: RawServer) -> None:
    with pytest.raises(LinkRefused, match="HTTP 405"):
        await remote_opener(RemoteServer(server.url, "sse"))(Owner())


async def test_a_stream_behind_credentials_says_that_they_are_missing(server: RawServer) -> None:
    async def denied(peer: Peer, request: Request) -> None:
        await peer.body(b"", 401)

    server.on("GET", denied)
    with pytest.raises(AuthError, match="credentials"):
        await remote_opener(RemoteServer(server.url, "sse"))(Owner())


async def test_a_cancelled_opening_leaves_no_connection(server: RawServer) -> None:
    closed = asyncio.Event()

    async def silent(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.closed()
        closed.set()

    server.on("GET", silent)
    opening = asyncio.ensure_future(remote_opener(RemoteServer(server.url, "sse"))(Owner()))
    await server.arrived("GET")
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(20):
        await closed.wait()
