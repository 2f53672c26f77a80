"""Remote servers as people met them: what works with the official SDKs works behind dmcp. See docs/field.md."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import to_json

from harness import RawClient, RpcError, dmcp_command, write_config
from servers.raw_http import Peer, RawServer, Request, answer, offer_tool, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as running:
        yield running


@asynccontextmanager
async def behind(room: Path, server: RawServer, on_call: Reaction, **entry: Any) -> AsyncIterator[RawClient]:
    """A client of a dmcp in front of this server, whose tool ``x`` meets ``on_call``."""
    offer_tool(server, on_call)
    config = write_config(room / "dmcp.json", {"far": {"url": server.url, **entry}})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        yield client


def count(server: RawServer, method: str) -> int:
    return sum(request.message.get("method") == method for request in server.requests)


async def fine(peer: Peer, request: Request) -> None:
    await peer.result(request, {"content": []})


def say(status: int, body: bytes, content_type: str = "text/plain") -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.body(body, status, content_type=content_type)

    return react


def rpc_error(message: str, *, null_id: bool = False, events: bool = False) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        identifier = None if null_id else request.message["id"]
        body = to_json({"jsonrpc": "2.0", "id": identifier, "error": {"code": -32001, "message": message}})
        if events:
            await peer.body(b"event: message\ndata: " + body + b"\n\n", content_type="text/event-stream")
        else:
            await peer.body(body, content_type="application/json")

    return react


async def event_by_event(peer: Peer, request: Request) -> None:
    await peer.stream()
    await peer.event(
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}
    )
    error = {"code": -32600, "message": "Session terminated"}
    await peer.event({"jsonrpc": "2.0", "id": request.message["id"], "error": error})
    await peer.end()


LOSSES = [
    say(400, b"Bad Request: No valid session ID provided"),
    say(400, b'{"detail":"Session not found"}', "application/json"),
    say(
        400,
        b'{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Unknown session"}}',
        "application/json",
    ),
    say(410, b'{"message":"session expired"}', "application/json"),
    say(422, b'{"error":"missing session"}', "application/json"),
    say(401, b"Unauthorized: Session not found"),
    rpc_error("Session not found"),
    rpc_error("Session expired", null_id=True),
    rpc_error("Invalid session", events=True),
    event_by_event,
]


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_session_lost_in_other_words_is_begun_anew_once(
    tmp_path: Path, server: RawServer, loss: Reaction
) -> None:
    async with behind(tmp_path, server, fine) as client:
        await client.call("far", "x")
        for lost in (1, 2):
            server.on("tools/call", loss, fine)
            assert (await client.call("far", "x"))["content"] == []
            assert (await client.call("far", "x"))["content"] == []
            assert count(server, "initialize") == 1 + lost


async def test_a_session_lost_with_a_5xx_is_begun_anew_and_the_call_is_not_repeated(
    tmp_path: Path, server: RawServer
) -> None:
    nested = b'{"error":"Error POSTing to endpoint (HTTP 400): Bad Request: No valid session ID provided"}'
    async with behind(tmp_path, server, fine) as client:
        await client.call("far", "x")
        for lost, status in enumerate((500, 503), 1):
            server.on("tools/call", say(status, nested, "application/json"), fine)
            with pytest.raises(RpcError, match="no longer knows the session"):
                await client.call("far", "x")
            assert (await client.call("far", "x"))["content"] == []
            assert count(server, "initialize") == 1 + lost


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (say(400, b"Invalid params: missing argument session_name"), "missing argument session_name"),
        (say(400, b""), "answered HTTP 400"),
        (rpc_error("Tool not found"), "Tool not found"),
    ],
)
async def test_an_unrelated_refusal_costs_its_call_only(
    tmp_path: Path, server: RawServer, refusal: Reaction, says: str
) -> None:
    async with behind(tmp_path, server, fine) as client:
        await client.call("far", "x")
        server.on("tools/call", refusal, fine)
        with pytest.raises(RpcError, match=says):
            await client.call("far", "x")
        assert (await client.call("far", "x"))["content"] == []
        assert count(server, "initialize") == 1


async def test_a_server_that_keeps_losing_its_session_costs_one_new_one_for_each_loss(
    tmp_path: Path, server: RawServer
) -> None:
    async with behind(tmp_path, server, rpc_error("Session not found")) as client:
        with pytest.raises(RpcError, match="session"):
            await client.call("far", "x")
        assert count(server, "tools/call") == 2
        assert count(server, "initialize") <= 3


async def never_ends(peer: Peer, request: Request) -> None:
    await peer.head(202, transfer_encoding="chunked")
    await peer.closed()


async def has_no_body_of_its_length(peer: Peer, request: Request) -> None:
    await peer.head(202, content_length="10")
    await peer.closed()


async def has_no_length(peer: Peer, request: Request) -> None:
    await peer.head(200)
    await peer.closed()


async def is_an_endless_stream(peer: Peer, request: Request) -> None:
    await peer.stream()
    await peer.chunk(b": hello\n\n")
    await peer.closed()


@pytest.mark.parametrize(
    "accept", [never_ends, has_no_body_of_its_length, has_no_length, is_an_endless_stream]
)
async def test_an_answer_to_initialized_that_never_ends_is_not_waited_for(
    tmp_path: Path, server: RawServer, accept: Reaction
) -> None:
    server.on("notifications/initialized", accept)
    begun = time.monotonic()
    async with behind(tmp_path, server, fine, timeout={"connect": "120s"}) as client:
        assert (await client.call("far", "x"))["content"] == []
        assert time.monotonic() - begun < 20  # a notification has 30 s to be accepted


@pytest.mark.parametrize("status", [400, 404, 405, 500, 501])
async def test_a_server_that_knows_no_notifications_is_used(
    tmp_path: Path, server: RawServer, status: int
) -> None:
    server.on("notifications/initialized", say(status, b"no such thing"))
    async with behind(tmp_path, server, fine) as client:
        for _ in range(3):
            assert (await client.call("far", "x"))["content"] == []
    assert count(server, "initialize") == 1


class Standing:
    """A server with a standalone stream, over which it answers."""

    def __init__(self, server: RawServer) -> None:
        self.stream: Peer | None = None
        server.on("GET", self._get)

    async def _get(self, peer: Peer, request: Request) -> None:
        await peer.stream()
        self.stream = peer
        await peer.closed()

    async def answer(self, server: RawServer, request: Request) -> None:
        await server.arrived("GET")
        assert self.stream is not None
        await self.stream.event(answer(request, {"content": []}))


def accepted_first(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.body(b"", 202)
        await standing.answer(server, request)

    return react


def accepted_last(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await standing.answer(server, request)
        await peer.body(b"", 202)

    return react


def accepted_with_a_body(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.body(b"null", 202, content_type="application/json")
        await standing.answer(server, request)

    return react


def nothing_at_all(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.body(b"")
        await standing.answer(server, request)

    return react


def stream_ended(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.chunk(b": working\n\n")
        await peer.end()
        await standing.answer(server, request)

    return react


def stream_open(standing: Standing, server: RawServer) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.stream()
        await standing.answer(server, request)
        await peer.closed()

    return react


@pytest.mark.parametrize(
    "how",
    [accepted_first, accepted_last, accepted_with_a_body, nothing_at_all, stream_ended, stream_open],
)
async def test_an_answer_on_the_standalone_stream_counts(
    tmp_path: Path, server: RawServer, how: Callable[[Standing, RawServer], Reaction]
) -> None:
    on_call = how(Standing(server), server)
    async with behind(tmp_path, server, on_call) as client:
        for _ in range(3):
            assert (await client.call("far", "x"))["content"] == []


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json, application/json",
        "Application/JSON; Charset=UTF-8",
        "application/json;charset=utf-8, application/json",
        "application/json charset=utf-8",
        "application/problem+json",
        "text/json",
        " application/json ;",
    ],
)
async def test_json_under_an_odd_content_type_is_read(
    tmp_path: Path, server: RawServer, content_type: str
) -> None:
    async def odd(peer: Peer, request: Request) -> None:
        await peer.body(to_json(answer(request, {"content": []})), content_type=content_type)

    async with behind(tmp_path, server, odd) as client:
        assert (await client.call("far", "x"))["content"] == []


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream, text/event-stream",
        "Text/Event-Stream;Charset=UTF-8",
        "text/event-stream charset=utf-8",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_events_under_an_odd_content_type_are_read(
    tmp_path: Path, server: RawServer, content_type: str, *, at_once: bool
) -> None:
    async def odd(peer: Peer, request: Request) -> None:
        event = b"data: " + to_json(answer(request, {"content": []})) + b"\n\n"
        if at_once:
            await peer.body(event, content_type=content_type)
        else:
            await peer.head(200, content_type=content_type)
            await peer.raw(event)
            await peer.cut()

    async with behind(tmp_path, server, odd) as client:
        assert (await client.call("far", "x"))["content"] == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"detail":"the plan \\u001b[31mhas ended"}', r"the plan \x1b[31mhas ended"),
        (b"<html><head><title>Down for the night</title></head></html>", "Down for the night"),
    ],
)
async def test_the_servers_own_words_reach_the_person(
    tmp_path: Path, server: RawServer, status: int, body: bytes, says: str
) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    async with behind(tmp_path, server, say(status, body, kind)) as client:
        with pytest.raises(RpcError) as refused:
            await client.call("far", "x")
        assert f"HTTP {status}: {says}" in refused.value.message


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("http://app:8000/mcp/?key=secret", "put {own}/mcp/ into the configuration"),
        ("https://elsewhere.test/v2/mcp", "put https://elsewhere.test/v2/mcp into the configuration"),
    ],
)
async def test_a_redirect_to_another_address_is_not_followed_and_says_what_to_configure(
    tmp_path: Path, server: RawServer, location: str, advice: str
) -> None:
    async def elsewhere(peer: Peer, request: Request) -> None:
        await peer.head(307, location=location, content_length="0")

    async with behind(tmp_path, server, elsewhere) as client:
        with pytest.raises(RpcError) as refused:
            await client.call("far", "x")
    own = server.url.removesuffix("/mcp")
    if "app:8000" in location:  # to an address as inside as this server's own
        advice = "put http://app:8000/mcp/ into the configuration"
    assert advice.format(own=own) in refused.value.message
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("spell", [str, float, lambda number: f"{number}.0"])
@pytest.mark.parametrize("way", ["json", "event", "stream", "standalone"])
async def test_an_id_that_comes_back_in_another_form_matches(
    tmp_path: Path, server: RawServer, spell: Callable[[int], Any], way: str
) -> None:
    standing = Standing(server)

    async def changed(peer: Peer, request: Request) -> None:
        message = {"jsonrpc": "2.0", "id": spell(request.message["id"]), "result": {"content": []}}
        if way == "json":
            await peer.body(to_json(message), content_type="application/json")
        elif way == "event":
            await peer.body(b"data: " + to_json(message) + b"\n\n", content_type="text/event-stream")
        elif way == "stream":
            await peer.stream()
            await peer.event(message)
            await peer.end()
        else:
            await peer.body(b"", 202)
            await server.arrived("GET")
            assert standing.stream is not None
            await standing.stream.event(message)

    async with behind(tmp_path, server, changed) as client:
        for _ in range(3):
            assert (await client.call("far", "x"))["content"] == []


async def test_the_first_call_to_a_server_that_has_vanished_hears_so_at_once(
    tmp_path: Path, server: RawServer
) -> None:
    async with behind(tmp_path, server, fine) as client:
        await client.call("far", "x")
        await server.stop()
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(RpcError, match=r"far.*the connection was refused; the call has not run"):
                await client.call("far", "x")
            assert time.monotonic() - begun < 15  # it waited for 30
        await server.start(port=int(server.url.split(":")[2].split("/")[0]))
        assert (await client.call("far", "x"))["content"] == []


@pytest.mark.parametrize("kind", ["http", "auto"])
@pytest.mark.parametrize(
    "refusal",
    [
        b'{"id":null,"error":{"code":-32602,"message":"Unsupported","data":{"supported":["2025-03-26"]}}}',
        b"Bad Request: Unsupported protocol version (supported versions: 2025-03-26, 2024-11-05)",
    ],
)
async def test_a_revision_refused_with_400_is_followed_by_one_the_server_names(
    tmp_path: Path, server: RawServer, kind: str, refusal: bytes
) -> None:
    offered: list[str] = []

    async def welcome(peer: Peer, request: Request) -> None:
        offered.append(request.message["params"]["protocolVersion"])
        if offered[-1] != "2025-03-26":
            await peer.body(refusal, 400, content_type="application/json")
            return
        info = {"name": "raw", "version": "1"}
        result = {"protocolVersion": offered[-1], "capabilities": {"tools": {}}, "serverInfo": info}
        await peer.result(request, result)

    offer_tool(server, fine)
    server.on("initialize", welcome)
    config = write_config(
        tmp_path / "dmcp.json", {"far": {"url": server.url, **({"type": kind} if kind == "http" else {})}}
    )
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        assert (await client.call("far", "x"))["content"] == []
    assert offered[-1] == "2025-03-26"
    assert server.requests[-1].headers["mcp-protocol-version"] == "2025-03-26"
