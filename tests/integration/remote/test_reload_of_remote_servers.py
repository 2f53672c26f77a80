"""A changed configuration touches the remote servers that changed, and no other one's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, dmcp_command, write_config
from servers.remote_process import RemoteServer, remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def kept(tmp_path: Path, no_process_is_left_behind: None) -> Iterator[RemoteServer]:
    with remote(tmp_path, "http", "kept") as server:
        yield server


@pytest.fixture
def changed(tmp_path: Path, no_process_is_left_behind: None) -> Iterator[RemoteServer]:
    with remote(tmp_path, "http", "changed") as server:
        yield server


async def echoed(client: RawClient, group: str, text: str) -> str:
    result = await client.call(group, "echo", {"text": text})
    said: str = result["content"][0]["text"]
    return said


async def tools_changed(client: RawClient, groups: set[str]) -> None:
    """Wait until the client is told that there are other groups, and these they are."""
    while True:
        await client.heard("notifications/tools/list_changed")
        if await groups_of(client) == groups:
            return


async def groups_of(client: RawClient) -> set[str]:
    tools = (await client.request("tools/list"))["tools"]
    return set(tools[0]["inputSchema"]["properties"]["group"].get("enum", []))


def ask(client: RawClient, group: str, name: str, **args: Any) -> int | str:
    """Call a tool without waiting for it."""
    arguments = {"group": group, "name": name, "args": args}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


async def test_a_server_that_is_taken_out_hears_so_and_one_that_is_kept_notices_nothing(
    kept: RemoteServer, changed: RemoteServer, tmp_path: Path
) -> None:
    path = tmp_path / "dmcp.json"
    config = write_config(path, {"kept": kept.entry, "changed": changed.entry})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        assert await echoed(client, "kept", "one") == "one"
        assert await echoed(client, "changed", "two") == "two"
        assert await groups_of(client) == {"kept", "changed"}
        hanging = ask(client, "kept", "peek")
        kept.until(call="peek")
        write_config(path, {"kept": kept.entry})
        await tools_changed(client, {"kept"})
        changed.until(http="DELETE", status=200)
        assert await echoed(client, "kept", "three") == "three"
        client.notify("notifications/cancelled", {"requestId": hanging})
        kept.until(method="notifications/cancelled")  # the call was in flight all the time
        assert len(kept.sessions()) == 1
        assert kept.journal(http="DELETE") == []
    assert len(kept.journal(http="DELETE")) == 1


async def test_a_server_with_another_header_gets_a_new_session_that_carries_it(
    kept: RemoteServer, changed: RemoteServer, tmp_path: Path
) -> None:
    path = tmp_path / "dmcp.json"
    tagged = changed.entry | {"headers": {"X-Tag": "first"}}
    config = write_config(path, {"kept": kept.entry, "changed": tagged})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        assert await echoed(client, "changed", "one") == "one"
        assert await echoed(client, "kept", "one") == "one"
        write_config(path, {"kept": kept.entry, "changed": changed.entry | {"headers": {"X-Tag": "second"}}})
        changed.until(http="DELETE", tag="first")
        assert await echoed(client, "changed", "two") == "two"
        assert await echoed(client, "kept", "two") == "two"
        assert {e["tag"] for e in changed.journal(session=changed.sessions()[1])} == {"second"}
    assert (len(kept.sessions()), len(changed.sessions())) == (1, 2)


async def test_a_server_that_is_added_is_used_at_once(
    kept: RemoteServer, changed: RemoteServer, tmp_path: Path
) -> None:
    path = tmp_path / "dmcp.json"
    config = write_config(path, {"kept": kept.entry})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        assert await echoed(client, "kept", "one") == "one"
        assert await groups_of(client) == {"kept"}
        write_config(path, {"kept": kept.entry, "changed": changed.entry})
        await tools_changed(client, {"kept", "changed"})
        assert await echoed(client, "changed", "two") == "two"
        assert len(kept.sessions()) == 1
