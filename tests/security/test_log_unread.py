"""A standard error that nobody reads stops nothing: not calls, not ``ping``, not the end, whatever servers cause."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, dmcp_command, gone, write_config
from harness.child import Child
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOISY = TESTS / "servers" / "noisy.py"


@asynccontextmanager
async def unread(room: Path, servers: int = 1) -> AsyncIterator[RawClient]:
    """A session in which nobody reads standard error, and far more was logged than its pipe takes."""
    names = [f"g{number}" for number in range(servers)]
    config = write_config(room / "dmcp.json", {name: python_server(NOISY) for name in names})
    async with RawClient(dmcp_command(config), env={"DMCP_LOG": "debug"}) as client:
        await client.initialize()
        client.leave_stderr_unread()
        for name in names:
            # Each kind is limited for each server: long lines fill the pipe all the same.
            await client.call(name, "noise", {"stdout": 1000, "stderr": 1000, "answers": 1000, "size": 3000})
        yield client
        client.read_stderr()


async def test_stray_lines_do_not_stop_a_client_that_leaves_stderr_unread(tmp_path: Path) -> None:
    async with unread(tmp_path) as client:
        assert (await client.request("ping")) == {}
        assert (await client.call("g0", "echo"))["content"][0]["text"] == "done"


async def test_dmcp_ends_when_stdin_ends_though_its_stderr_is_full(tmp_path: Path) -> None:
    async with unread(tmp_path, servers=5) as client:
        assert (await client.call("g4", "echo"))["content"][0]["text"] == "done"
        client.process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        await gone(client.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_dmcp_ends_by_sigterm_though_its_stderr_is_full(tmp_path: Path) -> None:
    async with unread(tmp_path, servers=5) as client:
        client.process.send_signal(signal.SIGTERM)
        await gone(client.pid)


FLOOD = """
import sys
from dmcp import log
log.set_level("info")
log.serve()
for number in range(10_000):
    log.info(f"line {number} " + "x" * 100)
print("written", flush=True)
sys.stdin.readline()
log.info("the last line")
print("a library's words", file=sys.stderr)
log.close()
"""


async def test_what_did_not_fit_is_counted_and_said_when_there_is_room_again() -> None:
    async with Child([sys.executable, "-c", FLOOD]) as program:
        program.leave_stderr_unread()
        await program.until(lambda: program.lines == [b"written"], "end of the flood")
        program.read_stderr()
        await program.logged("lines dropped")
        program.write(b"\n")
        assert await program.exited() == 0
    lines = program.stderr.splitlines()
    shown = sum(": line " in line for line in lines)
    # There are several counts when there is room in between.
    told = [line for line in lines if "lines dropped: stderr was not read" in line]
    dropped = sum(int(line.partition("dmcp: ")[2].split()[0].replace(",", "")) for line in told)
    assert shown + dropped == 10_000
    assert dropped > 5000
    assert "the last line" in lines[-2]
    assert lines[-1] == "a library's words"


async def test_a_command_ends_though_nobody_reads_what_it_logs(tmp_path: Path) -> None:
    bad = {f"b{n}": {"command": "/no/such/" + "x" * 3000} for n in range(60)}
    config = write_config(tmp_path / "dmcp.json", bad)
    async with Child([sys.executable, "-m", "dmcp", "-vv", "check", str(config)]) as program:
        program.leave_stderr_unread()
        await program.until(lambda: any(b"of 60 servers ready" in line for line in program.lines), "the sum")
        assert await program.exited() == 1


async def test_a_server_is_remarked_on_twenty_times_a_minute_then_counted(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "dmcp.json", {"loud": python_server(NOISY), "quiet": python_server(NOISY)}
    )
    async with RawClient(dmcp_command(config), env={"DMCP_LOG": "debug"}) as client:
        await client.initialize()
        await client.call("loud", "noise", {"stdout": 1000, "stderr": 500, "answers": 300})
        await client.call("quiet", "noise", {"stdout": 1})
        await client.close()
    lines = client.stderr.splitlines()
    assert 1 <= sum("loud: sent something that is no message" in line for line in lines) <= 20
    assert sum("loud: sent an answer to what nobody has asked" in line for line in lines) == 20
    assert sum("loud stderr: remark" in line for line in lines) == 20
    assert sum(" quiet: sent something that is no message" in line for line in lines) == 1
    counts = [line for line in lines if "more like this in the last minute" in line]
    assert any(" loud stderr: ... and 480 more" in line and "remark 499" in line for line in counts)
    assert any(" loud: ... and 280 more" in line for line in counts)
    assert not any("quiet" in line for line in counts)


async def test_lines_that_nobody_reads_do_not_hold_the_loop(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": python_server(NOISY)})
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env={**watch.env, "DMCP_LOG": "debug"}) as client:
        await client.initialize()
        await client.call("g", "echo")
        client.leave_stderr_unread()
        watch.start_watching()
        await asyncio.sleep(0.1)
        for _ in range(3):
            await client.call("g", "noise", {"stdout": 300, "stderr": 300, "answers": 300, "size": 2000})
        client.read_stderr()
    held = watch.held()
    assert held.cpu < 50
    assert held.wall < 1000


async def test_an_invalid_configuration_is_said_though_nobody_reads_at_first(tmp_path: Path) -> None:
    config = tmp_path / "dmcp.json"
    config.write_text('{"mcpServers": {"a": 1}}')
    async with RawClient(dmcp_command(config)) as client:
        assert await client.exited() == 2
    assert "a" in client.stderr
    assert "Traceback" not in client.stderr


def test_a_command_prints_everything_in_order(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": python_server(NOISY)})
    done = run_dmcp("-v", "check", config)
    assert done.returncode == 0
    assert "1 of 1 server ready" in done.stdout
    assert "ready, protocol" in done.stderr
