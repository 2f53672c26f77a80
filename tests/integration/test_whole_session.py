"""One session in front of three kinds of server at once that uses every method of the handshake era."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import mcp_types as types
import pytest
from mcp_types import methods

from harness import (
    OfficialClient,
    RawClient,
    RpcError,
    dmcp_command,
    npm_server,
    sdk_server,
    text_of,
    write_config,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    # The SDK marks what the newest revision has deprecated; handshake-era servers live by it.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
_REVISION = "2025-11-25"
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


async def use_every_listing(client: OfficialClient) -> None:
    """Tools, resources, templates, prompts, completion."""
    session = client.session
    await session.list_tools()
    for group in ("everything", "files", "sdk"):
        assert await client.tools(group)
    await session.list_resources()
    await session.list_resource_templates()
    await session.list_prompts()
    await session.read_resource("note://sdk/1")
    await session.get_prompt("sdk-show")
    prompt = types.PromptReference(type="ref/prompt", name="sdk-greet")
    await session.complete(prompt, {"name": "who", "value": "a"})


async def use_every_question(client: OfficialClient) -> None:
    """Sampling, both elicitations, roots, and the news about roots."""
    for tool in ("elicit", "elicit_url", "roots"):
        await client.call("sdk", tool)
    await client.call("sdk", "sample", {"question": "?"})
    await client.session.send_roots_list_changed()


async def use_every_news(client: OfficialClient) -> None:
    """Log level and messages, subscriptions, changes of every list, progress, cancelling, ping."""
    session = client.session
    await session.send_ping()
    await session.set_logging_level("debug")
    await client.call("sdk", "log", {"words": "Hello"})
    await session.subscribe_resource("note://sdk/1")
    await client.call("sdk", "touch", {"uri": "note://sdk/1"})
    await session.unsubscribe_resource("note://sdk/1")
    for what in ("tools", "resources", "prompts"):
        await client.call("sdk", "grow", {"what": what})

    async def ignore(progress: float, total: float | None, message: str | None) -> None:
        """Being asked for is enough to make the server report."""

    await client.call("sdk", "progress", {"steps": 2}, progress_callback=ignore)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.call, "sdk", "hang")
        await client.heard_upstream("sdk", "tools/call", {"name": "hang"})
        tasks.cancel_scope.cancel()
    await client.heard_upstream("sdk", "notifications/cancelled")


@pytest.mark.npm
async def test_every_method_works_in_front_of_three_servers_and_every_message_is_valid(
    tmp_path: Path,
) -> None:
    (tmp_path / "hello.txt").write_text("Hello from a file")
    servers = {
        "everything": npm_server("everything"),
        "files": npm_server("filesystem", str(tmp_path)),
        "sdk": sdk_server(),
    }
    # Leaving the context checks every message on all four connections against the official types.
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        assert client.session.protocol_version == _REVISION
        await use_every_listing(client)
        await use_every_question(client)
        await use_every_news(client)
        assert text_of(await client.call("everything", "echo", {"message": "hi"})) == "Echo: hi"
        # The directory is one of no root the client has: the server is allowed what its arguments say, or its roots.
        listed = await client.call("files", "list_allowed_directories")
        assert not listed.is_error
        said = client.ledger
        upstream = client.upstream("sdk")

    wanted = {method for method, revision in methods.CLIENT_REQUESTS if revision == _REVISION}
    assert said.methods("client") >= wanted
    # A ping is answered where it arrives, and a cancelled or changed root is told to those whom it concerns.
    assert upstream.methods("client") >= wanted - {"ping"}
    asked = {method for method, revision in methods.SERVER_REQUESTS if revision == _REVISION}
    assert said.methods("server") >= asked - {"ping"}
    told = {method for method, revision in methods.SERVER_NOTIFICATIONS if revision == _REVISION}
    # dmcp's own tool list did not change when a server's did, and nobody cancelled a question.
    assert said.methods("server") >= told - {"notifications/tools/list_changed", "notifications/cancelled"}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_client_of_any_revision_finds_nothing_missing(revision: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        agreed = await client.initialize(revision)
        assert agreed["protocolVersion"] == revision
        assert len((await client.request("tools/list"))["tools"]) == 2
        assert (await client.call("sdk", "echo", {"text": revision}))["content"][0]["text"] == revision
        assert (await client.request("resources/list"))["resources"]
        assert (await client.request("resources/read", {"uri": "note://sdk/1"}))["contents"]
        assert (await client.request("prompts/list"))["prompts"]
        assert await client.request("ping") == {}


@pytest.mark.parametrize("revision", ["2023-01-01", "2999-12-31", "x"])
async def test_a_client_of_an_unknown_revision_is_offered_the_latest(revision: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        assert (await client.initialize(revision))["protocolVersion"] == _REVISION


async def test_a_batch_is_answered_in_the_one_revision_that_has_batches(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize("2025-03-26")
        arguments = {"group": "sdk", "name": "echo", "args": {"text": "batched"}}
        call = {"method": "tools/call", "params": {"name": "call_dynamic_tool", "arguments": arguments}}
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        client.send(
            [{"jsonrpc": "2.0", "id": "a", **call}, note, {"jsonrpc": "2.0", "id": "b", "method": "ping"}]
        )
        assert (await client.answer("a"))["result"]["content"][0]["text"] == "batched"
        assert (await client.answer("b"))["result"] == {}


async def test_a_probe_for_the_stateless_era_is_told_that_there_is_no_such_method(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config), strict=False) as client:
        with pytest.raises(RpcError) as caught:
            await client.request("server/discover", {})
        assert caught.value.code == -32601
        assert (await client.initialize())["protocolVersion"] == _REVISION
