"""Without faults ``dmcp fault`` is a server the official SDK's client finds nothing wrong with."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import mcp_types as types
import pytest
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client

from harness.child import WAIT, Child
from harness.official import OfficialClient, text_of
from harness.raw import RawClient, RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.anyio,
    # The handshake's methods are what is tested here; the SDK already warns of their end in the stateless revision.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
_COMMAND = [sys.executable, "-m", "dmcp.fault"]
_REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


async def _all_tools(session: ClientSession) -> list[str]:
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
        names += [tool.name for tool in page.tools]
        if page.next_cursor is None:
            return names
        cursor = page.next_cursor


async def _exercise(session: ClientSession) -> None:
    """Use every method once; the session's own checks and these asserts judge the answers."""
    assert {"echo", "add", "sleep", "blob", "progress", "counter", "pid"} <= set(await _all_tools(session))
    assert text_of(await session.call_tool("echo", {"text": "žluť 🐎"})) == "žluť 🐎"
    assert (await session.call_tool("add", {"a": 1, "b": -3})).structured_content == {"sum": -2}
    assert len(text_of(await session.call_tool("blob", {"bytes": 100_000}))) == 100_000
    assert text_of(await session.call_tool("sleep", {"ms": 5})) == "done"
    assert [text_of(await session.call_tool("counter", {"key": "k"})) for _ in range(2)] == ["1", "2"]
    assert (await session.call_tool("fail", {"text": "why"})).is_error
    await session.send_ping()
    assert (await session.list_resources()).next_cursor is not None
    assert (await session.list_resource_templates()).resource_templates
    (content,) = (await session.read_resource("fault://text")).contents
    assert isinstance(content, types.TextResourceContents)
    assert content.text.endswith("🐎")
    assert [prompt.name for prompt in (await session.list_prompts()).prompts] == ["plain", "greet"]
    assert (await session.get_prompt("greet", {"name": "Ada"})).messages
    reference = types.PromptReference(type="ref/prompt", name="greet")
    completion = await session.complete(reference, {"name": "name", "value": "A"})
    assert completion.completion.values == ["Ada", "Alan"]


async def test_the_official_client_finds_every_feature_over_stdio() -> None:
    async with OfficialClient.straight_to(
        {"command": sys.executable, "args": ["-m", "dmcp.fault"]}
    ) as client:
        session = client.session
        await _exercise(session)
        steps: list[float] = []

        async def progressed(progress: float, _total: float | None, _message: str | None) -> None:
            steps.append(progress)

        await session.call_tool("progress", {"n": 3}, progress_callback=progressed)
        assert steps == [1, 2, 3]
        await session.subscribe_resource("fault://counter")
        await session.call_tool("counter", {})
        await client.heard(lambda note: isinstance(note, types.ResourceUpdatedNotification))
        await session.set_logging_level("warning")
        await session.call_tool("announce", {"what": "log", "level": "info"})
        await session.call_tool("announce", {"what": "log", "level": "error"})
        note = await client.heard(lambda note: isinstance(note, types.LoggingMessageNotification))
        assert note.params.level == "error"
        await session.call_tool("announce", {"what": "tools"})
        await client.heard(lambda note: isinstance(note, types.ToolListChangedNotification))
        assert "novelty" in await _all_tools(session)


@asynccontextmanager
async def _over_http(*options: str) -> AsyncIterator[tuple[Child, str]]:
    """A server on a free port; ended by SIGTERM."""
    async with Child([*_COMMAND, "--http", "0", *options]) as server:
        await server.until(lambda: "listening on " in server.stderr, "port")
        yield server, server.stderr.partition("listening on ")[2].split()[0]
        server.process.terminate()
        assert await server.exited() == (
            1 if sys.platform == "win32" else 0
        )  # there it is no signal but the end


@pytest.mark.parametrize("answers", ["sse", "json"])
@pytest.mark.parametrize("resumable", ["false", "true"])
async def test_the_official_client_finds_every_feature_over_http(
    answers: str, resumable: str, tmp_path: Any
) -> None:
    script = tmp_path / "script.json"
    script.write_text(f'{{"server": {{"answers": "{answers}", "resumable": {resumable}}}, "faults": []}}')
    async with (
        _over_http("--script", str(script)) as (_, url),
        streamable_http_client(url) as (reader, writer),
        ClientSession(reader, writer, read_timeout_seconds=WAIT) as session,
    ):
        assert (await session.initialize()).protocol_version == "2025-11-25"
        await _exercise(session)


@pytest.mark.parametrize("revision", _REVISIONS)
async def test_each_handshake_revision_is_answered_with_itself(revision: str) -> None:
    async with RawClient(_COMMAND) as client:
        assert (await client.initialize(revision))["protocolVersion"] == revision
        result = await client.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        assert result["content"] == [{"type": "text", "text": "x"}]


async def test_an_unknown_revision_is_answered_with_the_latest() -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        assert (await client.initialize("2031-01-01"))["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "nothing"}, -32602),
        ("tools/list", {"cursor": "p999"}, -32602),
        ("resources/read", {"uri": "fault://nothing"}, -32002),
        ("prompts/get", {"name": "greet"}, -32602),
        ("server/discover", {}, -32601),
        ("logging/setLevel", {"level": "loud"}, -32602),
    ],
)
async def test_a_wrong_request_is_refused_with_the_right_code(
    method: str, params: dict[str, Any], code: int
) -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        await client.initialize()
        with pytest.raises(RpcError) as refused:
            await client.request(method, params)
        assert refused.value.code == code


async def test_a_batch_is_answered_as_one_in_the_revision_that_has_them() -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        await client.initialize("2025-03-26")
        client.send([{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in (50, 51)])
        await client.answer(51)
        assert client.lines[-1].startswith(b"[")


async def test_a_probe_for_the_stateless_revision_is_told_there_is_no_such_method() -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        with pytest.raises(RpcError) as refused:
            await client.request("server/discover", {})
        assert refused.value.code == -32601


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "resources/read"])
async def test_nothing_is_carried_out_before_initialize(method: str) -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        with pytest.raises(RpcError) as refused:
            await client.request(method, {"name": "echo"})
        assert refused.value.code == -32600


async def test_a_cancelled_request_is_not_answered() -> None:
    async with RawClient(_COMMAND, strict=False) as client:
        await client.initialize()
        slow = client.ask("tools/call", {"name": "sleep", "arguments": {"ms": 60_000}})
        client.notify("notifications/cancelled", {"requestId": slow})
        await client.request("ping")
        # With the request still running, the end of the input would be waited for and the answer be missed.
        assert await client.close() == 0
        assert not any(f'"id":{slow},'.encode() in line for line in client.lines)
