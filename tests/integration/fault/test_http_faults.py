"""Faults over Streamable HTTP, as a plain HTTP client sees them."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic_core import from_json

from dmcp.fault.script import Script, build
from harness.child import WAIT, Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio
_ACCEPT = {"accept": "application/json, text/event-stream"}
_ECHO = {"name": "echo", "arguments": {"text": "x"}}


class Visitor:
    """A client that posts one message at a time and takes whatever comes."""

    def __init__(self, http: httpx.AsyncClient, server: Child) -> None:
        self.http = http
        self.server = server
        self.headers = dict(_ACCEPT)

    async def post(
        self, method: str, params: Mapping[str, Any] | None = None, identifier: int | None = 1
    ) -> httpx.Response:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": dict(params or {})}
        if identifier is not None:
            message["id"] = identifier
        return await self.http.post("/mcp", json=message, headers=self.headers)

    async def initialize(self) -> httpx.Response:
        info = {"name": "visitor", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        response = await self.post("initialize", params)
        self.headers["mcp-session-id"] = response.headers["mcp-session-id"]
        await self.post("notifications/initialized", identifier=None)
        return response

    async def call(self) -> httpx.Response:
        return await self.post("tools/call", _ECHO)

    async def broken_call(self, identifier: int) -> str:
        """What comes of an answer whose stream does not end in order."""
        message = {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": _ECHO}
        seen = ""
        async with self.http.stream("POST", "/mcp", json=message, headers=self.headers) as response:
            try:
                async for text in response.aiter_text():
                    seen += text
            except httpx.RemoteProtocolError:
                return seen
        raise AssertionError(f"the stream ended in order: {seen}")


def _messages(response: httpx.Response) -> list[Any]:
    """What an event stream carried."""
    lines = response.text.splitlines()
    return [from_json(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@asynccontextmanager
async def _visit(room: Path, *faults: Any, **settings: Any) -> AsyncIterator[Visitor]:
    script = Script.model_validate({"server": settings, "seed": 1, "faults": faults})
    command = [
        sys.executable,
        "-m",
        "dmcp.fault",
        "--http",
        "0",
        "--script",
        str(script.write(room / "script.json")),
    ]
    async with Child(command) as server:
        await server.until(lambda: "/mcp\n" in server.stderr, "port")
        url = server.stderr.partition("listening on ")[2].split()[0].removesuffix("/mcp")
        async with httpx.AsyncClient(base_url=url, timeout=WAIT, trust_env=False) as http:
            yield Visitor(http, server)
        if server.process.returncode is None:
            server.process.terminate()


async def test_a_status_takes_the_place_of_the_answer_as_often_as_asked(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("status", "call", status=503, retry_after=3, times=1)) as visitor:
        await visitor.initialize()
        refused = await visitor.call()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "3")
        assert _messages(await visitor.call())[0]["result"]["content"]


async def test_credentials_can_be_asked_for_in_the_middle_of_a_session(tmp_path: Path) -> None:
    async with _visit(
        tmp_path, build("unauthorized", "call", challenge='Bearer error="invalid_token"')
    ) as visitor:
        await visitor.initialize()
        refused = await visitor.call()
        assert (refused.status_code, refused.headers["www-authenticate"]) == (
            401,
            'Bearer error="invalid_token"',
        )


async def test_a_captive_portal_answers_with_html_and_status_200(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("content_type", "initialise")) as visitor:
        answer = await visitor.post("initialize", {"protocolVersion": "2025-11-25"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")


async def test_a_forgotten_session_is_not_found_until_initialised_again(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("forget", "call", times=1)) as visitor:
        await visitor.initialize()
        assert (await visitor.call()).status_code == 404
        assert (await visitor.call()).status_code == 404
        del visitor.headers["mcp-session-id"]
        await visitor.initialize()
        assert (await visitor.call()).status_code == 200


@pytest.mark.parametrize("answers", ["sse", "json"])
async def test_a_stream_is_cut_in_the_middle_of_an_answer(tmp_path: Path, answers: str) -> None:
    async with _visit(tmp_path, build("cut", "call", times=1, abort=False), answers=answers) as visitor:
        await visitor.initialize()
        with pytest.raises(httpx.RemoteProtocolError):
            await visitor.call()
        assert (await visitor.call()).status_code == 200


async def test_a_cut_stream_can_be_resumed_where_the_server_keeps_it(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("cut", "call", times=1, abort=False), resumable=True) as visitor:
        await visitor.initialize()
        seen = await visitor.broken_call(5)
        first = seen.partition("id: ")[2].split()[0]
        resumed = await visitor.http.get("/mcp", headers=visitor.headers | {"last-event-id": first})
        (answer,) = _messages(resumed)
        assert answer["id"] == 5


async def test_each_connection_can_be_reset(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("refuse", "connect", times=1)) as visitor:
        with pytest.raises(httpx.TransportError):
            await visitor.initialize()
        assert (await visitor.initialize()).status_code == 200


async def test_what_comes_instead_of_http_is_no_http(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("garbage", "connect", times=1)) as visitor:
        with pytest.raises(httpx.RemoteProtocolError):
            await visitor.initialize()


async def test_a_dropped_answer_ends_its_stream_without_it(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("drop", "call")) as visitor:
        await visitor.initialize()
        answer = await visitor.call()
        assert (answer.status_code, _messages(answer)) == (200, [])


async def test_a_duplicated_answer_stands_twice_on_its_stream(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("duplicate", "call")) as visitor:
        await visitor.initialize()
        first, second = _messages(await visitor.call())
        assert first == second


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to die of")
async def test_a_crash_in_the_middle_of_an_answer_ends_the_server(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("crash", "call", when="during")) as visitor:
        await visitor.initialize()
        with pytest.raises(httpx.TransportError):
            await visitor.call()
        assert await visitor.server.exited() == -9


async def test_the_standing_stream_carries_what_belongs_to_no_call(tmp_path: Path) -> None:
    async with _visit(tmp_path) as visitor:
        await visitor.initialize()
        await visitor.post("tools/call", {"name": "announce", "arguments": {"what": "tools"}})
        async with visitor.http.stream("GET", "/mcp", headers=visitor.headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    assert (
                        from_json(line.removeprefix("data: "))["method"] == "notifications/tools/list_changed"
                    )
                    break


async def test_the_standing_stream_can_be_refused(tmp_path: Path) -> None:
    async with _visit(tmp_path, build("status", "notify", method="GET", status=405)) as visitor:
        await visitor.initialize()
        assert (await visitor.http.get("/mcp", headers=visitor.headers)).status_code == 405


async def test_a_deleted_session_is_gone(tmp_path: Path) -> None:
    async with _visit(tmp_path) as visitor:
        await visitor.initialize()
        assert (await visitor.http.delete("/mcp", headers=visitor.headers)).status_code == 204
        assert (await visitor.call()).status_code == 404


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"mcp-protocol-version": "1999-01-01"}, 400),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1.evil.example"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:80"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "127.0.0.1@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"mcp-session-id": "invented"}, 404),
        ({"accept": "text/plain"}, 406),
        ({"content-type": "text/plain"}, 415),
    ],
)
async def test_a_correct_server_refuses_wrong_headers(
    tmp_path: Path, changed: dict[str, str], status: int
) -> None:
    async with _visit(tmp_path) as visitor:
        await visitor.initialize()
        visitor.headers |= changed
        assert (await visitor.call()).status_code == status


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:7", "LOCALHOST:80"])
async def test_every_name_of_this_machine_is_welcome(tmp_path: Path, host: str) -> None:
    async with _visit(tmp_path) as visitor:
        await visitor.initialize()
        visitor.headers |= {"host": host, "origin": f"http://{host}"}
        assert (await visitor.call()).status_code == 200


async def test_a_taken_port_is_said_to_be_taken(tmp_path: Path) -> None:
    async with _visit(tmp_path) as visitor:
        port = str(visitor.http.base_url.port)
        async with Child([sys.executable, "-m", "dmcp.fault", "--http", port]) as second:
            assert await second.exited() == 2
            assert f"port {port}: " in second.stderr
            assert "Traceback" not in second.stderr
