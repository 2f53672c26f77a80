"""Nothing dmcp has started outlives it, whatever ends dmcp and whatever the servers ignore; each start is its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dmcp.upstream.processes import Guard
from harness import RawClient, dmcp_command, gone, write_config
from harness.configs import TESTS, python_server
from harness.processes import MARK, marked
from harness.watched import LoopWatch

pytestmark = pytest.mark.anyio
REPORT = TESTS / "servers" / "process_report.py"


def text_of(result: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result["content"][0]["text"])
    return report


def guard_of(client: RawClient) -> int:
    """The guard of this dmcp: it reads from a pipe that dmcp writes to. Others have theirs on the same machine."""
    own = {link_of(client.pid, int(one.name)) for one in Path(f"/proc/{client.pid}/fd").iterdir()}
    (found,) = {
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "dmcp-guard" in (process.info["cmdline"] or []) and link_of(process.pid, 0) in own
    }
    return found


def link_of(pid: int, fd: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/fd/{fd}").readlink())
    except OSError:
        return "none"


async def killed(client: RawClient) -> None:
    """Kill dmcp so that it can do nothing any more."""
    os.kill(client.pid, signal.SIGKILL)
    await client.exited()


async def end_of(servers: list[int]) -> None:
    await gone(*servers, within=10.0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
async def test_servers_that_ignore_everything_end_when_dmcp_is_killed(tmp_path: Path) -> None:
    # A shell in between, as npx is: the server itself is a grandchild.
    wrapped = {"command": "sh", "args": ["-c", f"'{sys.executable}' '{REPORT}' stubborn; exit 0"]}
    servers = {"plain": python_server(REPORT, "stubborn"), "wrapped": wrapped}
    config = write_config(tmp_path / "c.json", servers)
    client = RawClient(dmcp_command(config), strict=False)
    async with client:
        await client.initialize()
        pids = [text_of(await client.call(group, "report"))["pid"] for group in servers]
        await killed(client)
    await end_of(pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard finds starts under way by /proc")
async def test_servers_end_that_were_just_being_started_when_dmcp_was_killed(
    tmp_path: Path,
) -> None:
    mark = os.environ[MARK]
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)"
    entry = {"command": sys.executable, "args": ["-I", "-S", "-c", program]}
    config = write_config(tmp_path / "c.json", {f"s{n}": entry for n in range(20)})
    for delay in (0.0, 0.005, 0.02, 0.05):
        client = RawClient(dmcp_command(config), strict=False)
        async with client:
            async with asyncio.timeout(20):
                while not any("time.sleep" in " ".join(p.cmdline()) for p in marked(mark)):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            await asyncio.sleep(delay)
            await killed(client)
        async with asyncio.timeout(20):
            while marked(mark):  # noqa: ASYNC110 - no event tells of the end of a stranger
                await asyncio.sleep(0.05)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_the_guard_ends_with_dmcp_and_one_that_was_killed_is_replaced(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "c.json",
        {
            "a": python_server(REPORT, "stubborn"),
            "b": {**python_server(REPORT, "stubborn"), "startup": "lazy"},
        },
    )
    client = RawClient(dmcp_command(config), strict=False)
    async with client:
        await client.initialize()
        first = text_of(await client.call("a", "report"))["pid"]
        guard = guard_of(client)
        os.kill(guard, signal.SIGKILL)
        await gone(guard)
        second = text_of(await client.call("b", "report"))["pid"]
        replaced = guard_of(client)
        await killed(client)
    await gone(first, second, replaced)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_an_ordinary_end_leaves_no_guard(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"a": python_server(REPORT)})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        await client.call("a", "report")
        guard = guard_of(client)
    await gone(guard)


async def test_a_server_that_has_ended_long_ago_is_not_the_guards_to_kill(tmp_path: Path) -> None:
    """The number of a group that has ended may be somebody else's by then."""
    guard = Guard()
    theirs, ours = os.pipe()
    try:
        inode = guard.expect(theirs)
        bystander = subprocess.Popen(  # noqa: ASYNC220 - a moment
            ["sleep", "60"], start_new_session=True
        )
        guard.started(inode, bystander.pid)
        guard.ended(bystander.pid)
        keeper = subprocess.Popen(  # noqa: ASYNC220 - likewise
            ["sleep", "60"], start_new_session=True
        )
        guard.started(guard.expect(theirs), keeper.pid)
        assert guard._pipe is not None
        os.close(guard._pipe)
        assert await asyncio.to_thread(keeper.wait, 10) == -signal.SIGKILL
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait()
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_a_server_has_its_own_session_and_no_descriptor_of_dmcps(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"a": python_server(REPORT), "b": python_server(REPORT)})
    # dmcp itself inherits a descriptor, as from a careless client.
    leak = (
        "import os, sys; fd = os.open(os.devnull, 0); os.set_inheritable(fd, True); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    async with RawClient([sys.executable, "-c", leak, *dmcp_command(config)]) as client:
        await client.initialize()
        assert Path(f"/proc/{client.pid}/fd/3").readlink() == Path(os.devnull)  # noqa: ASYNC240 - no disk
        for group in ("a", "b"):
            report = text_of(await client.call(group, "report"))
            assert report["session"] == report["group"] == report["pid"]
            assert report["fds"] == [0, 1, 2]
            assert report["blocking"] == [True, True, True]


async def test_many_starts_at_once_do_not_hold_the_loop(tmp_path: Path) -> None:
    count = 30
    servers = {f"s{n}": {"command": "sleep", "args": ["60"], "startup": "lazy"} for n in range(count)}
    config = write_config(tmp_path / "c.json", servers)
    watch = LoopWatch(tmp_path)
    async with RawClient(watch.command(config), env=watch.env, strict=False) as client:
        await client.initialize()
        await client.request("tools/list")  # answered when the configuration is in force
        watch.start_watching()
        await asyncio.sleep(0.1)
        calls = [
            client.ask(
                "tools/call",
                {"name": "call_dynamic_tool", "arguments": {"group": f"s{n}", "name": "x", "args": {}}},
            )
            for n in range(count)
        ]
        process = psutil.Process(client.pid)
        async with asyncio.timeout(20):
            while len(process.children()) < count:
                await client.request("ping")
        held = watch.held()
        for call in calls:  # or dmcp would wait for them at its end
            client.notify("notifications/cancelled", {"requestId": call})
    assert held.cpu < 50, held
    assert held.wall < 1000, held


async def test_a_file_system_that_hangs_holds_only_the_server_that_needs_it(tmp_path: Path) -> None:
    """What hangs is played by a slow look-up in dmcp itself: a file system cannot be made to hang by everybody."""
    config = write_config(
        tmp_path / "c.json",
        {"good": python_server(REPORT), "bad": {"command": "hangs-for-ever", "startup": "lazy"}},
    )
    patch = (
        "import sys, time, runpy\n"
        "from dmcp.upstream import processes\n"
        "real = processes.find_program\n"
        "def find(command, env):\n"
        "    if 'hangs' in command: time.sleep(600)\n"
        "    return real(command, env)\n"
        "processes.find_program = find\n"
        "from dmcp.__main__ import main\n"
        "sys.argv[0:1] = ['dmcp']\n"
        "sys.exit(main())\n"
    )
    async with RawClient([sys.executable, "-c", patch, str(config)], strict=False) as client:
        await client.initialize()
        call = client.ask(
            "tools/call",
            {"name": "call_dynamic_tool", "arguments": {"group": "bad", "name": "x", "args": {}}},
        )
        begun = time.monotonic()
        for _ in range(20):
            await client.call("good", "report")
        assert time.monotonic() - begun < 10
        client.notify("notifications/cancelled", {"requestId": call})
    # Leaving the context has closed stdin and seen dmcp end although the look-up still hangs.
