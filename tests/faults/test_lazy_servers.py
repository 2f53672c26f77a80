"""Lazy servers: known before they run, started by their first call, stopped when idle, remembered on disk."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from faults.faulty import echoes, faulty, lives, pid_of
from harness import EVENTS, RawClient, RpcError, dmcp_command, gone, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory the listings are kept in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dmcp" / "listings"


def in_front_of(room: Path, **servers: Entry) -> RawClient:
    return RawClient(dmcp_command(write_config(room / "dmcp.json", servers)))


def lazy(room: Path, name: str = "g", **more: Any) -> Entry:
    return faulty(room, name, startup="lazy", **more)


def kept_in(cache: Path) -> list[Path]:
    return list(cache.iterdir()) if cache.exists() else []


def modes(*paths: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in paths]


async def uris(client: RawClient) -> list[str]:
    return [entry["uri"] for entry in (await client.request("resources/list"))["resources"]]


async def prompts(client: RawClient) -> list[str]:
    return [entry["name"] for entry in (await client.request("prompts/list"))["prompts"]]


async def what_is_offered(client: RawClient) -> Any:
    return (await uris(client), await prompts(client), await client.tools("g"))


async def run_once(room: Path, entry: Entry) -> Any:
    """Have the server known: call it through a dmcp of its own. Returns what it offered while it ran."""
    async with in_front_of(room, g=entry) as client:
        await client.initialize()
        await echoes(client, "g")
        return await what_is_offered(client)


async def test_a_lazy_server_is_started_by_its_first_call_and_once_only(tmp_path: Path, cache: Path) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path)) as client:
        await client.initialize()
        await client.request("tools/list")
        assert lives(tmp_path, "g") == []
        call = {"name": "call_dynamic_tool", "arguments": {"group": "g", "name": "pid", "args": {}}}
        asked = [client.ask("tools/call", call) for _ in range(20)]
        told = {(await client.answer(number))["result"]["content"][0]["text"] for number in asked}
        assert [str(pid) for pid in lives(tmp_path, "g")] == list(told)


async def test_what_a_lazy_server_offers_is_the_same_whether_it_runs_or_not(
    tmp_path: Path, cache: Path
) -> None:
    entry = lazy(tmp_path)
    while_it_ran = await run_once(tmp_path, entry)
    async with in_front_of(tmp_path, g=entry) as client:
        await client.initialize()
        assert await what_is_offered(client) == while_it_ran
        assert len(lives(tmp_path, "g")) == 1  # the one of before: it sleeps
        await echoes(client, "g")
        assert len(lives(tmp_path, "g")) == 2
        assert await what_is_offered(client) == while_it_ran
        assert not [note for note in client.inbox if "list_changed" in note.get("method", "")]


async def test_a_resource_and_a_prompt_of_a_sleeping_server_wake_it(tmp_path: Path, cache: Path) -> None:
    entry = lazy(tmp_path)
    await run_once(tmp_path, entry)
    async with in_front_of(tmp_path, g=entry) as client:
        await client.initialize()
        read = await client.request("resources/read", {"uri": "fault://text"})
        assert read["contents"]
        assert (await client.request("prompts/get", {"name": "plain"}))["messages"]
        assert len(lives(tmp_path, "g")) == 2


async def test_the_files_are_private(tmp_path: Path, cache: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no permission bits here")
    await run_once(tmp_path, lazy(tmp_path))
    (file,) = kept_in(cache)
    assert modes(cache, file) == [0o700, 0o600]


async def test_nothing_of_an_eager_server_is_kept(tmp_path: Path, cache: Path) -> None:
    await run_once(tmp_path, faulty(tmp_path, "g"))
    assert not kept_in(cache)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda text: text[: len(text) // 2],
        lambda _: b"\x00\xff",
        lambda _: b'{"version": 1}',
        lambda text: text.replace(b'"version":1', b'"version":999'),
        lambda text: json.dumps({**json.loads(text), "listings": {"tools": [{"title": "no name"}]}}).encode(),
    ],
    ids=["empty", "half", "binary", "incomplete", "another version", "a tool without a name"],
)
async def test_a_corrupt_file_is_no_file(tmp_path: Path, cache: Path, damage: Any) -> None:
    entry = lazy(tmp_path)
    _, _, tools = await run_once(tmp_path, entry)
    (file,) = kept_in(cache)
    file.write_bytes(damage(file.read_bytes()))
    async with in_front_of(tmp_path, g=entry) as client:
        await client.initialize()
        assert await uris(client) == []
        assert await client.tools("g") == tools  # asked of the server itself
        assert len(lives(tmp_path, "g")) == 2
    assert b"echo" in file.read_bytes()


async def test_another_configuration_of_the_server_is_not_believed_what_the_old_one_offered(
    tmp_path: Path, cache: Path
) -> None:
    await run_once(tmp_path, lazy(tmp_path))
    async with in_front_of(tmp_path, g=lazy(tmp_path, env={"ACCOUNT": "another"})) as client:
        await client.initialize()
        assert await uris(client) == []
        await client.tools("g")
        assert len(lives(tmp_path, "g")) == 2


async def test_a_changed_listing_is_kept_and_the_client_is_told_that_it_differs(
    tmp_path: Path, cache: Path
) -> None:
    entry = lazy(tmp_path)
    await run_once(tmp_path, entry)
    (file,) = kept_in(cache)
    kept = json.loads(file.read_bytes())
    kept["listings"]["prompts"] = []  # as if the server had had none when it ran last
    file.write_text(json.dumps(kept))
    async with in_front_of(tmp_path, g=entry) as client:
        await client.initialize()
        assert await prompts(client) == []
        await echoes(client, "g")
        await client.heard("notifications/prompts/list_changed")
        assert "plain" in await prompts(client)
    assert json.loads(file.read_bytes())["listings"]["prompts"]


async def test_an_idle_server_is_stopped_and_comes_back_with_the_next_call(
    tmp_path: Path, cache: Path
) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path, idle_stop="300ms")) as client:
        await client.initialize()
        first = await pid_of(client, "g")
        offered = await uris(client)
        await gone(first)
        assert await uris(client) == offered
        assert await client.tools("g")
        assert lives(tmp_path, "g") == [first]
        assert await pid_of(client, "g") != first


async def test_a_server_with_a_call_in_flight_is_not_idle(tmp_path: Path, cache: Path) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path, idle_stop="100ms")) as client:
        await client.initialize()
        result = await client.call("g", "sleep", {"ms": 700})
        assert result["content"][0]["text"] == "done"
        assert len(lives(tmp_path, "g")) == 1


async def test_a_reload_starts_no_lazy_server_that_sleeps_whether_it_is_kept_updated_or_changed(
    tmp_path: Path, cache: Path
) -> None:
    names = ("kept", "updated", "changed", "g")
    config = write_config(
        tmp_path / "dmcp.json", {name: faulty(tmp_path, name) for name in names}, startup="lazy"
    )
    async with RawClient(dmcp_command(config), env=EVENTS) as client:
        await client.initialize()
        await echoes(client, "kept")
        first = lives(tmp_path, "kept")
        servers = {name: faulty(tmp_path, name) for name in names}
        servers["updated"]["description"] = "Another one"
        servers["changed"]["env"] = {"ACCOUNT": "another"}
        write_config(config, servers, startup="lazy")
        await client.event("ConfigurationApplied", first=False, restarted=1, updated=1, kept=2)
        await echoes(client, "g")
        assert [len(lives(tmp_path, name)) for name in names] == [1, 0, 0, 1]
        await echoes(client, "kept")
        await echoes(client, "updated")
        await echoes(client, "changed")
        assert lives(tmp_path, "kept") == first


async def test_a_server_that_crashes_while_nobody_uses_it_sleeps_until_its_next_use(
    tmp_path: Path, cache: Path
) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path)) as client:
        await client.initialize()
        first = await pid_of(client, "g")
        offered = await what_is_offered(client)
        psutil.Process(first).kill()
        await client.until(lambda: "started again at its next use" in client.stderr, "the log")
        await client.logged("exited with" if sys.platform == "win32" else "was killed by SIGKILL")
        assert await what_is_offered(client) == offered
        assert lives(tmp_path, "g") == [first]
        assert await pid_of(client, "g") != first
        assert not [note for note in client.inbox if "list_changed" in note["method"]]


async def test_a_server_that_crashes_is_started_again_while_a_resource_is_subscribed_to(
    tmp_path: Path, cache: Path
) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path), up=faulty(tmp_path, "up")) as client:
        await client.initialize()
        first = await pid_of(client, "g")
        await client.request("resources/subscribe", {"uri": "fault://text", "group": "g"})
        psutil.Process(first).kill()
        async with asyncio.timeout(20):
            while len(lives(tmp_path, "g")) == 1:
                await echoes(client, "up")
        assert "next use" not in client.stderr


async def test_a_lazy_server_that_cannot_start_says_so_to_the_one_who_wants_it(
    tmp_path: Path, cache: Path
) -> None:
    entry = {"command": "/nowhere/at-all", "startup": "lazy"}
    async with in_front_of(tmp_path, g=entry, up=faulty(tmp_path, "up")) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"g is unavailable: .*/nowhere/at-all"):
            await client.tools("g")
        with pytest.raises(RpcError, match=r"g is unavailable: .*/nowhere/at-all"):
            await client.call("g", "echo", {"text": "?"})
        await echoes(client, "up")


async def test_a_cache_that_cannot_be_written_costs_nothing_but_the_cache(
    tmp_path: Path, cache: Path
) -> None:
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file in the place of the directory")
    for number in (1, 2):
        await run_once(tmp_path, lazy(tmp_path))
        assert len(lives(tmp_path, "g")) == number
