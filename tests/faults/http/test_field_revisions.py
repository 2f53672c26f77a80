"""A server that refuses the revision ``initialize`` asks for says so in HTTP: its owner gets to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import to_json

if TYPE_CHECKING:
    from faults.http.conftest import Connect
    from servers.raw_http import Peer, RawServer, Request

pytestmark = pytest.mark.anyio
SUPPORTED = {"supported": ["2024-11-05"], "requested": "2025-11-25"}


@pytest.mark.parametrize("how", [("http", 400), ("auto", 400), ("http", 422)])
@pytest.mark.parametrize(
    "refusal",
    [
        (
            to_json(
                {"id": None, "error": {"code": -32602, "message": "Unsupported version", "data": SUPPORTED}}
            ),
            {"code": -32602, "message": "Unsupported version", "data": SUPPORTED},
        ),
        (
            b'{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad version"}}',
            {"code": -32600, "message": "Bad version"},
        ),
        (
            b"Unsupported protocol version: 2025-11-25 (supported: 2024-11-05, 2025-03-26)\n",
            {
                "code": -32000,
                "message": "Unsupported protocol version: 2025-11-25 (supported: 2024-11-05, 2025-03-26)",
            },
        ),
        (b'{"detail":"unknown MCP version"}', {"code": -32000, "message": "unknown MCP version"}),
    ],
)
async def test_a_refused_revision_is_an_answer(
    server: RawServer, connect: Connect, how: tuple[Any, int], refusal: tuple[bytes, dict[str, Any]]
) -> None:
    (kind, status), (body, error) = how, refusal

    async def refuse(peer: Peer, request: Request) -> None:
        await peer.body(body, status, content_type="application/json")

    server.on("initialize", refuse)
    owner = await connect(server.url, kind)
    asked = owner.ask("initialize")
    what, message = await owner.hear()
    assert what == "frame"
    assert message["id"] == asked
    said = message["error"]["message"].removeprefix(f"answered HTTP {status}: ")
    assert {**message["error"], "message": said} == error
    assert [request.method for request in server.requests] == ["POST"]


async def test_a_refusal_of_something_else_still_tries_the_older_transport(
    server: RawServer, connect: Connect
) -> None:
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.body(b"no such thing here", 400)

    server.on("initialize", refuse)
    owner = await connect(server.url, "auto")
    fault = await owner.failure(owner.ask("initialize"))
    assert "no such thing here" in fault.reason
    assert [request.method for request in server.requests] == ["POST", "GET"]
