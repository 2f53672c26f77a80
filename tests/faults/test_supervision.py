"""Servers that crash, hang or cannot start: restarted, parked, mended; their calls are repeated or explained."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dmcp.fault.journal import read_journal
from dmcp.fault.script import build
from faults.faulty import acted, echoes, faulty, journal, lives, pid_of
from harness import EVENTS, RawClient, RpcError, descendants, dmcp_command, gone, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio
CRASHED = "exited with status 1" if sys.platform == "win32" else "was killed by SIGKILL"

PARKING = {"intensity": 2, "backoff_min": "10ms", "backoff_max": "20ms"}


def start(room: Path, servers: dict[str, Entry], **env: str) -> RawClient:
    return RawClient(dmcp_command(write_config(room / "dmcp.json", servers)), env={**EVENTS, **env})


def runs(room: Path, name: str) -> Counter[str]:
    """How often each key was counted by the server, in all of its lives."""
    return Counter(event["key"] for event in read_journal(journal(room, name)) if event["event"] == "ran")


async def test_a_server_that_hangs_is_killed_with_all_it_started_and_one_that_talks_is_not(
    tmp_path: Path,
) -> None:
    haste = {"timeout": {"tools": "1s"}}
    stuck = [build("orphan", "connect", times=1), build("hang", "call", tool="add", ignore_sigterm=True)]
    servers = {
        "stuck": faulty(tmp_path, "stuck", *stuck, **haste),
        "talker": faulty(tmp_path, "talker", limits={"call_time": "5m"}, **haste),
    }
    async with start(tmp_path, servers) as client:
        await client.initialize()
        pid, talker = await pid_of(client, "stuck"), await pid_of(client, "talker")
        family = [pid, *(process.pid for process in descendants(pid))]
        assert len(family) > 1
        arguments = {"group": "talker", "name": "progress", "args": {"n": 48, "ms": 250}}
        params = {"name": "call_dynamic_tool", "arguments": arguments, "_meta": {"progressToken": 1}}
        talking = client.ask("tools/call", params)
        with pytest.raises(RpcError, match=r"stuck: no answer to tools/call within 1 s"):
            await client.call("stuck", "add", {"a": 1, "b": 2})
        await gone(*family, within=20.0)
        await echoes(client, "stuck")
        assert "result" in await client.answer(talking)
        assert (await pid_of(client, "talker"), lives(tmp_path, "talker")) == (talker, [talker])
    assert "hangs" in client.stderr


@pytest.mark.parametrize("when", ["before", "unanswered", "during"])
async def test_a_call_that_does_no_harm_twice_is_repeated_after_a_crash_and_no_other(
    tmp_path: Path, when: str
) -> None:
    crash = [build("crash", "call", tool=tool, when=when, times=1) for tool in ("echo", "counter")]
    async with start(tmp_path, {"g": faulty(tmp_path, "g", *crash)}) as client:
        await client.initialize()
        await echoes(client, "g")
        assert len(lives(tmp_path, "g")) == 2
        with pytest.raises(RpcError, match=rf"g: {CRASHED}.*may have run, its outcome is unknown"):
            await client.call("g", "counter", {"key": "once"})
        assert (await client.call("g", "counter", {"key": "other"}))["content"][0]["text"] == "1"
        assert runs(tmp_path, "g")["once"] == (0 if when == "before" else 1)


async def test_a_call_is_repeated_once_and_not_again(tmp_path: Path) -> None:
    crash = build("crash", "call", tool="echo", when="unanswered")
    async with start(tmp_path, {"g": faulty(tmp_path, "g", crash)}) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=rf"g: {CRASHED}"):
            await echoes(client, "g")
        assert acted(tmp_path, "g") == 2


async def test_a_server_that_comes_back_knows_the_subscriptions_and_the_log_level_again(
    tmp_path: Path,
) -> None:
    async with start(tmp_path, {"g": faulty(tmp_path, "g")}) as client:
        await client.initialize()
        pid = await pid_of(client, "g")
        await client.request("logging/setLevel", {"level": "debug"})
        await client.request("resources/subscribe", {"uri": "fault://text"})
        psutil.Process(pid).kill()
        await gone(pid)
        while not await announced(client, {"what": "resource", "uri": "fault://text"}):
            pass
        await client.heard("notifications/resources/updated")
        await announced(client, {"what": "log", "level": "debug"})
        note = await client.heard("notifications/message")
        assert note["params"]["level"] == "debug"
        assert len(lives(tmp_path, "g")) == 2


async def announced(client: RawClient, what: dict[str, Any]) -> bool:
    """Whether the call reached a server: one may be lost while the death of the first is not noticed yet."""
    try:
        return bool(await client.call("g", "announce", what))
    except RpcError:
        return False


async def test_a_restart_that_changes_nothing_is_not_announced(tmp_path: Path) -> None:
    async with start(tmp_path, {"g": faulty(tmp_path, "g", build("crash", "call", tool="fail"))}) as client:
        await client.initialize()
        await echoes(client, "g")
        for listing in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
            await client.request(listing)
        with pytest.raises(RpcError):
            await client.call("g", "fail")
        await echoes(client, "g")
        for listing in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
            await client.request(listing)
        assert len(lives(tmp_path, "g")) > 1
        assert not [note for note in client.inbox if "list_changed" in note["method"]]


async def test_a_restart_that_changes_what_is_offered_is_announced(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    spoilt = build("malformed", "list", method="prompts/list", while_exists=str(trouble))
    async with start(tmp_path, {"g": faulty(tmp_path, "g", spoilt)}) as client:
        await client.initialize()
        pid = await pid_of(client, "g")
        assert (await client.request("prompts/list"))["prompts"] == []
        trouble.unlink()
        psutil.Process(pid).kill()
        await client.heard("notifications/prompts/list_changed")
        assert (await client.request("prompts/list"))["prompts"]


async def parked(client: RawClient) -> None:
    """Wait until the server is parked."""
    await client.event("ReconnectScheduled", when="parked", delay=300.0)


def refusing(room: Path) -> tuple[Path, Entry]:
    """A server that does not start as long as a file is there."""
    trouble = room / "trouble"
    trouble.touch()
    refuse = build("refuse", "connect", reason="no licence", while_exists=str(trouble))
    return trouble, faulty(room, "g", refuse, restart=PARKING)


async def test_a_server_that_fails_too_often_is_parked_and_says_why(tmp_path: Path) -> None:
    _, entry = refusing(tmp_path)
    async with start(tmp_path, {"g": entry, "well": faulty(tmp_path, "well")}) as client:
        await client.initialize()
        await echoes(client, "well")
        await parked(client)
        assert len(lives(tmp_path, "g")) == 3
        with pytest.raises(RpcError, match="g is unavailable: exited with status 1") as caught:
            await client.tools("g")
        assert "no licence" in caught.value.data["reason"]


async def test_a_parked_server_is_tried_again_when_it_is_wanted(tmp_path: Path) -> None:
    trouble, entry = refusing(tmp_path)
    async with start(tmp_path, {"g": entry}) as client:
        await client.initialize()
        await parked(client)
        with pytest.raises(RpcError, match=r"g is unavailable: .*no licence.*; the call has not run"):
            await client.call("g", "echo", {"text": "?"})
        trouble.unlink()
        await echoes(client, "g")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="reload by hand is a signal of POSIX")
async def test_a_parked_server_is_tried_again_on_reload(tmp_path: Path) -> None:
    trouble, entry = refusing(tmp_path)
    async with start(tmp_path, {"g": entry}) as client:
        await client.initialize()
        await parked(client)
        trouble.unlink()
        client.process.send_signal(signal.SIGUSR1)
        while len(lives(tmp_path, "g")) == 3:
            await client.request("ping")
        await echoes(client, "g")


async def test_trouble_of_ten_servers_is_not_felt_by_the_eleventh(tmp_path: Path) -> None:
    ill = {f"ill{n}": faulty(tmp_path, f"ill{n}", build("exit", "call", tool="fail")) for n in range(10)}
    async with start(tmp_path, {**ill, "well": faulty(tmp_path, "well")}) as client:
        await client.initialize()
        pid = await pid_of(client, "well")
        for group in ill:
            await echoes(client, group)
        call = {"name": "call_dynamic_tool", "arguments": {"group": "", "name": "fail", "args": {}}}
        asked = [
            client.ask("tools/call", {**call, "arguments": {**call["arguments"], "group": group}})
            for group in ill
        ]
        for number in range(20):
            await echoes(client, "well", str(number))
        for group, number in zip(ill, asked, strict=True):
            assert (await client.answer(number))["error"]["message"].startswith(
                f"{group}: exited with status 3"
            )
        assert (await pid_of(client, "well"), lives(tmp_path, "well")) == (pid, [pid])
