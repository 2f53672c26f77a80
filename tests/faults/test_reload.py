"""A changed configuration in a running dmcp: what changed takes effect, what did not is not touched."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.actors import supervisor
from dmcp.config.diff import plan
from dmcp.config.loading import load
from faults.faulty import PROMPT, echoes, faulty, lives, pid_of
from faults.inner import PATIENCE, InnerApp
from faults.inner import server as inner_server
from harness import EVENTS, RawClient, RpcError, dmcp_command, gone, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links and signals of POSIX")


def content(room: Path, *groups: str, **others: Entry) -> dict[str, Entry]:
    """Correct servers of these names, and others as they are given."""
    return {**{name: faulty(room, name) for name in groups}, **others}


def start(room: Path, servers: dict[str, Entry], **env: str) -> RawClient:
    return RawClient(dmcp_command(write_config(room / "dmcp.json", servers)), env=env)


async def description(client: RawClient) -> str:
    """What the client is told of the groups."""
    tools = (await client.request("tools/list"))["tools"]
    text: str = tools[0]["description"]
    return text


async def told(client: RawClient, what: str) -> str:
    """Wait until the description of the groups has ``what`` in it, from one ``list_changed`` to the next."""
    while what not in (text := await description(client)):
        await client.heard("notifications/tools/list_changed")
    return text


async def warned(client: RawClient, what: str) -> str:
    """Wait until the client is told of the file; returns what ``get_dynamic_tools`` adds to its answer."""
    note = await client.heard("notifications/message", lambda note: what in str(note["data"]))
    assert note["params"]["logger"] == "dmcp"
    return await notes(client)


async def notes(client: RawClient) -> str:
    """What ``get_dynamic_tools`` says besides the tools."""
    params = {"name": "get_dynamic_tools", "arguments": {"group": "old"}}
    content = (await client.request("tools/call", params))["content"]
    json.loads(content[0]["text"])
    return " ".join(block["text"] for block in content[1:])


async def begun(client: RawClient, group: str, milliseconds: int) -> int | str:
    """A call in flight that the server has certainly begun."""
    arguments = {"group": group, "name": "progress", "args": {"n": 2, "ms": milliseconds / 2}}
    params = {"name": "call_dynamic_tool", "arguments": arguments, "_meta": {"progressToken": group}}
    number = client.ask("tools/call", params)
    await client.heard("notifications/progress", lambda note: note["progressToken"] == group)
    return number


async def done(client: RawClient, number: int | str) -> None:
    answer = await client.answer(number)
    assert answer.get("result", answer)["content"][0]["text"] == "done"


def in_place(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def renamed_over(path: Path, text: str) -> None:
    fresh = path.with_name("dmcp.json.swp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def backed_up_first(path: Path, text: str) -> None:
    path.rename(path.with_name("dmcp.json~"))
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("write", [in_place, renamed_over, backed_up_first])
async def test_however_an_editor_writes_the_file_the_change_takes_effect(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    async with start(tmp_path, content(tmp_path, "old")) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        await description(client)
        new = write_config(tmp_path / "new.json", content(tmp_path, "old", "new"))
        write(tmp_path / "dmcp.json", new.read_text())
        await told(client, "- new:")
        await echoes(client, "new")
        assert await pid_of(client, "old") == pid


@POSIX
async def test_a_symbolic_link_to_the_file_is_followed_wherever_it_points_next(tmp_path: Path) -> None:
    one = write_config(tmp_path / "one.json", content(tmp_path, "old"))
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "dmcp.json"
    link.symlink_to(one)
    async with RawClient(dmcp_command(link)) as client:
        await client.initialize()
        await echoes(client, "old")
        await description(client)
        two = write_config(tmp_path / "two.json", content(tmp_path, "old", "new"))
        link.unlink()
        link.symlink_to(two)
        await told(client, "- new:")
        write_config(two, content(tmp_path, "old", "newer"))
        await told(client, "- newer:")


@POSIX
async def test_a_mounted_configuration_map_that_is_swapped_takes_effect(tmp_path: Path) -> None:
    """As Kubernetes does it: the file links into ..data, which links to a directory that is replaced as a whole."""
    mount = tmp_path / "mount"
    for version, groups in (("v1", ["old"]), ("v2", ["old", "new"])):
        (mount / version).mkdir(parents=True)
        write_config(mount / version / "dmcp.json", content(tmp_path, *groups))
    (mount / "..data").symlink_to("v1")
    (mount / "dmcp.json").symlink_to("..data/dmcp.json")
    async with RawClient(dmcp_command(mount / "dmcp.json")) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        await description(client)
        (mount / "..data_tmp").symlink_to("v2")
        (mount / "..data_tmp").replace(mount / "..data")
        await told(client, "- new:")
        assert await pid_of(client, "old") == pid


async def test_a_file_that_is_deleted_changes_nothing_until_it_is_back(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "old")) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        await description(client)
        (tmp_path / "dmcp.json").unlink()
        assert "the previous one is in force" in await warned(client, "the previous one is in force")
        assert await pid_of(client, "old") == pid
        write_config(tmp_path / "dmcp.json", content(tmp_path, "old", "new"))
        await told(client, "- new:")
        assert await notes(client) == ""
        assert await pid_of(client, "old") == pid


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ('{"mcpServers": {', "dmcp.json:1:17: this is not valid JSON"),
        ('{"mcpServers": {"old": {"description": "x", "comand": "y"}}}', "command"),
        ('{"servers": {}}', "mcpServers"),
    ],
)
async def test_an_invalid_file_changes_nothing_and_is_shown_until_it_is_mended(
    tmp_path: Path, bad: str, said: str
) -> None:
    servers = content(tmp_path, "old")
    async with start(tmp_path, servers) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        before = await description(client)
        renamed_over(tmp_path / "dmcp.json", bad)
        assert said in await warned(client, "the previous one is in force")
        unknown = await client.call("new", "echo")  # perhaps what was to be added
        assert said in unknown["content"][0]["text"]
        assert await pid_of(client, "old") == pid
        write_config(tmp_path / "dmcp.json", servers)
        assert await warned(client, "valid again") == ""
        assert await description(client) == before
        assert await pid_of(client, "old") == pid
        assert not [note for note in client.inbox if "list_changed" in note["method"]]
    assert said in client.stderr  # logged too


async def test_no_secret_of_an_invalid_file_is_shown(tmp_path: Path) -> None:
    secret = "hunter2-hunter2"
    servers = content(tmp_path, old=faulty(tmp_path, "old", env={"TOKEN": secret}))
    async with start(tmp_path, servers) as client:
        await client.initialize()
        await echoes(client, "old")
        text = json.dumps({"mcpServers": servers, f"{secret}": 1})
        renamed_over(tmp_path / "dmcp.json", text)
        await warned(client, "the previous one is in force")
    assert secret not in client.stderr
    assert not any(secret.encode() in line for line in client.lines)


async def test_kept_servers_keep_their_process_their_calls_and_their_subscriptions(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "kept", "gone")) as client:
        await client.initialize()
        pid, leaving = await pid_of(client, "kept"), await pid_of(client, "gone")
        uri = "dmcp://kept/fault://text"
        await client.request("resources/subscribe", {"uri": uri})
        call = await begun(client, "kept", 3000)
        await description(client)
        write_config(tmp_path / "dmcp.json", content(tmp_path, "kept", "new"))
        await told(client, "- new:")
        await echoes(client, "new")
        await gone(leaving)
        await done(client, call)
        await client.call("kept", "announce", {"what": "resource", "uri": "fault://text"})
        await client.heard("notifications/resources/updated")
        assert (await pid_of(client, "kept"), lives(tmp_path, "kept")) == (pid, [pid])


async def test_a_stopped_server_finishes_its_calls_first(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "kept", "gone")) as client:
        await client.initialize()
        pid = await pid_of(client, "gone")
        await description(client)
        call = await begun(client, "gone", 2000)
        write_config(tmp_path / "dmcp.json", content(tmp_path, "kept"))
        await client.heard("notifications/tools/list_changed")
        refused = await client.call("gone", "echo", {"text": "too late"})
        assert refused["isError"]
        assert "gone" in refused["content"][0]["text"]
        await done(client, call)
        await gone(pid)


async def test_a_restarted_server_finishes_its_calls_while_the_new_one_takes_over(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "g")) as client:
        await client.initialize()
        before = await pid_of(client, "g")
        call = await begun(client, "g", 4000)
        write_config(tmp_path / "dmcp.json", content(tmp_path, g=faulty(tmp_path, "g", env={"NEW": "1"})))
        while len(lives(tmp_path, "g")) == 1:
            await client.call("g", "echo", {"text": "which?"})
        after = await pid_of(client, "g")
        assert after != before
        await done(client, call)
        await gone(before)


async def test_a_call_that_outlasts_the_grace_is_answered_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "RELOAD_GRACE", 0.05)
    house = InnerApp()
    house.configure(inner_server("a"), inner_server("b"))
    await house.initialize()
    await house.call("a")
    link = house.links["a"]
    asked = asyncio.ensure_future(house.call("a", "wait"))
    async with asyncio.timeout(PATIENCE):
        while house.called < 2:  # noqa: ASYNC110 - one turn of the loop at a time
            await asyncio.sleep(0)
    house.configure(inner_server("a", "changed"), inner_server("b"))
    assert "result" in await house.call("a")  # the new one, at once
    message = (await asked)["error"]["message"]
    assert message == "a: dmcp is stopping it; the call may have run, its outcome is unknown"
    assert link._closed
    assert not house.links["a"]._closed
    assert await house.leave() == 0


async def test_what_can_be_taken_over_in_place_costs_no_connection(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "g")) as client:
        await client.initialize()
        pid = await pid_of(client, "g")
        await description(client)
        changed = faulty(
            tmp_path, "g", description="Quite new", timeout={"tools": "100ms"}, tools={"exclude": ["add"]}
        )
        write_config(tmp_path / "dmcp.json", {"g": {**changed, "restart": {**PROMPT, "intensity": 999}}})
        await told(client, "Quite new")
        with pytest.raises(RpcError, match=r"g: no answer to tools/call within 0\.1 s"):
            await client.call("g", "sleep", {"ms": 5000})
        refused = await client.call("g", "add", {"a": 1, "b": 2})
        assert "switched off" in refused["content"][0]["text"]
        assert (await pid_of(client, "g"), lives(tmp_path, "g")) == (pid, [pid])


async def test_several_quick_changes_end_in_the_last_one(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "old")) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        await description(client)
        for number in range(20):
            renamed_over(
                tmp_path / "dmcp.json",
                json.dumps({"mcpServers": {f"g{number}": {"description": "x", "command": "/nowhere"}}}),
            )
        write_config(tmp_path / "dmcp.json", content(tmp_path, "old", "last"))
        text = await told(client, "- last:")
        assert "- g19:" not in text
        await echoes(client, "last")
        await echoes(client, "old")
        assert pid in lives(tmp_path, "old")


async def test_a_new_server_that_cannot_start_does_not_undo_the_rest(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "old")) as client:
        await client.initialize()
        pid = await pid_of(client, "old")
        await description(client)
        broken: Entry = {"command": "/nowhere/at-all", "restart": PROMPT}
        unset: Entry = {"command": "${NOT_SET_ANYWHERE}"}
        write_config(tmp_path / "dmcp.json", content(tmp_path, "old", "new", broken=broken, unset=unset))
        await told(client, "- unset:")
        with pytest.raises(RpcError, match="/nowhere/at-all"):
            await client.tools("broken")
        with pytest.raises(RpcError, match="NOT_SET_ANYWHERE"):
            await client.tools("unset")
        await echoes(client, "new")
        assert await pid_of(client, "old") == pid


async def test_a_reload_that_changes_nothing_visible_announces_nothing(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "g"), **EVENTS) as client:
        await client.initialize()
        await echoes(client, "g")
        await description(client)
        await client.request("prompts/list")
        await client.request("resources/list")
        write_config(tmp_path / "dmcp.json", {"g": faulty(tmp_path, "g", timeout={"tools": 29})})
        await client.event("ConfigurationApplied", first=False, updated=1)
        await echoes(client, "g")
        assert not [note for note in client.inbox if "list_changed" in note["method"]]


@POSIX
async def test_a_person_can_ask_for_a_reload_with_a_signal(tmp_path: Path) -> None:
    async with start(tmp_path, content(tmp_path, "g"), **EVENTS) as client:
        await client.initialize()
        pid = await pid_of(client, "g")
        client.process.send_signal(signal.SIGUSR1)
        await client.event("ConfigurationApplied", first=False, kept=1)
        assert await pid_of(client, "g") == pid


def test_a_reference_to_a_variable_that_has_another_value_by_now_counts_as_a_change(tmp_path: Path) -> None:
    servers: dict[str, Any] = {
        name: {"command": "x", "env": {"TOKEN": f"${{{name.upper()}}}"}} for name in ("a", "b")
    }
    path = write_config(tmp_path / "dmcp.json", servers)
    changes = plan(load(path, {"A": "1", "B": "1"}), load(path, {"A": "2", "B": "1"}))
    assert (changes.restart, changes.keep) == (("a",), ("b",))
