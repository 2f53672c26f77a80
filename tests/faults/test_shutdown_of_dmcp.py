"""However dmcp ends, what it owes is answered and what it started ends with it."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from faults.front_door import call_of, dmcp, echoes, newcomer, rogue, text_of
from harness import RawClient, dmcp_command, gone, write_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals a process could answer")


async def test_a_client_that_leaves_ends_dmcp_and_its_servers_with_status_0(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        pid = int(text_of(await client.call("g", "pid")))
        assert await client.close() == 0
        await gone(pid, within=0.0)
    (line,) = client.stderr.splitlines()  # of a healthy start, and no more
    assert " INFO    dmcp: dmcp " in line
    assert line.endswith(": 1 server (g)")


async def test_a_client_that_leaves_at_once_ends_dmcp_with_status_0(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "deaf": newcomer("deaf")}) as client:
        assert await client.close() == 0


async def test_a_client_that_leaves_after_initialize_leaves_no_server_behind(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {f"g{n}": rogue() for n in range(4)}) as client:
        await client.initialize()
        assert await client.close() == 0


async def test_calls_in_flight_when_the_client_closes_its_end_are_still_answered(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        calls = [client.ask("tools/call", call_of("reversed", {"n": n, "of": 9})) for n in range(9)]
        assert await client.close() == 0
        texts = [text_of((await client.answer(call))["result"]) for call in calls]
        assert texts == [str(n) for n in range(9)]


async def test_everything_said_before_the_configuration_is_read_is_answered(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        first = client.ask("initialize", hello)
        client.notify("notifications/initialized")
        calls = [
            client.ask("tools/list"),
            client.ask("tools/call", call_of("echo")),
            client.ask("resources/list"),
        ]
        assert await client.close() == 0
        assert all(["result" in await client.answer(call) for call in (first, *calls)])


@POSIX
@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_ends_dmcp_with_status_0_and_what_is_in_flight_is_answered(
    tmp_path: Path, name: str
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        pid = int(text_of(await client.call("g", "pid")))
        waiting = client.ask("tools/call", call_of("wait"))
        await client.heard("notifications/message")
        client.process.send_signal(signal.Signals[name])
        assert await client.exited() == 0
        error = (await client.answer(waiting))["error"]
        assert error["message"].startswith("g: dmcp is ")
        assert "may have run" in error["message"]
        await gone(pid, within=0.0)


@POSIX
@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_ends_grandchildren_that_ignore_sigterm_and_a_server_that_digs_in(
    tmp_path: Path, name: str
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        grandchild = int(text_of(await client.call("g", "have_child")))
        child = int(text_of(await client.call("g", "dig_in")))
        client.process.send_signal(signal.Signals[name])
        assert await client.exited() == 0
        await gone(child, grandchild, within=0.0)


async def test_a_client_that_leaves_ends_a_server_that_ignores_its_stdin_and_sigterm(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "deaf": newcomer("deaf")}) as client:
        await client.initialize()
        grandchild = int(text_of(await client.call("g", "have_child")))
        child = int(text_of(await client.call("g", "dig_in")))
        assert await client.close() == 0
        await gone(child, grandchild, within=0.0)


@POSIX
async def test_a_second_signal_ends_the_patience(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        waiting = client.ask("tools/call", call_of("wait"))
        await client.heard("notifications/message")
        client.process.send_signal(signal.SIGTERM)
        client.process.send_signal(signal.SIGINT)
        assert await client.exited() == 0
        assert "error" in await client.answer(waiting)


@POSIX
async def test_a_signal_while_the_servers_are_still_starting_leaves_none_behind(tmp_path: Path) -> None:
    servers = {
        "mute": newcomer("mute"),
        "deaf": newcomer("deaf"),
        "g": rogue(),
        "quitter": newcomer("quitter"),
    }
    async with dmcp(tmp_path, servers) as client:
        await client.initialize()
        client.process.send_signal(signal.SIGTERM)
        assert await client.exited() == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no process ends with its parent")
async def test_killing_dmcp_ends_its_servers_too(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "deaf": newcomer("deaf")}, strict=False) as client:
        await client.initialize()
        pid = int(text_of(await client.call("g", "dig_in")))
        client.process.kill()
        await client.exited()
        await gone(pid)


async def test_a_client_that_no_longer_reads_ends_dmcp(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        await echoes(client, "g")
        client.output.close()
        client.ask("tools/call", call_of("echo"))
        await client.exited()
        assert client.process.returncode == 0


async def test_a_configuration_that_is_invalid_ends_dmcp_with_status_2_and_says_all_that_is_wrong(
    tmp_path: Path,
) -> None:
    config = write_config(
        tmp_path / "bad.json", {"a": {"comand": "x"}, "b": {"command": "x", "timeout": {"tools": "soon"}}}
    )
    async with RawClient(dmcp_command(config), strict=False) as client:
        assert await client.exited() == 2
    assert "bad.json" in client.stderr
    assert "comand" in client.stderr
    assert "mcpServers.b.timeout.tools" in client.stderr
    assert "Traceback" not in client.stderr


async def test_who_waits_for_a_configuration_that_is_invalid_is_told_what_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    config = write_config(
        tmp_path / "bad.json", {"a": {"command": "x", "https://x.example/?key=hunter2": 1}, "b": {}}
    )
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    requests = [("initialize", hello), ("tools/list", {}), ("tools/call", call_of("echo"))]
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
        for number, (method, params) in enumerate(requests)
    ]
    async with RawClient(dmcp_command(config), strict=False) as client:
        client.send_bytes(b"\n".join(lines) + b"\n")
        assert "result" in await client.answer(0)
        told = [(await client.answer(number))["error"]["message"] for number in (1, 2)]
        assert await client.exited() == 2
    for message in told:
        assert message.startswith("dmcp's configuration is invalid, mend it and start dmcp again: ")
        assert "bad.json" in message
        assert "x.example" in message
        assert message.endswith("; the call has not run")
        assert "hunter2" not in message
    assert "mcpServers.b" in client.stderr


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", '{"mcpServers": []}', '{"servers": {}}'])
async def test_a_file_that_is_no_configuration_ends_dmcp_with_status_2_and_a_sentence(
    tmp_path: Path, content: str
) -> None:
    config = tmp_path / "no.json"
    config.write_text(content, encoding="utf-8")
    async with RawClient(dmcp_command(config), strict=False) as client:
        assert await client.exited() == 2
    assert "no.json" in client.stderr
    assert "Traceback" not in client.stderr


async def test_a_missing_configuration_ends_dmcp_with_status_2_and_names_the_file(tmp_path: Path) -> None:
    async with RawClient(dmcp_command(tmp_path / "absent.json"), strict=False) as client:
        assert await client.exited() == 2
    assert "absent.json" in client.stderr
    assert "Traceback" not in client.stderr
