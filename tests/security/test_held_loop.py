"""A loop that is held does not outlive the signal that ends dmcp, and the servers end with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from harness import RawClient, gone, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["python", "pattern"])
async def test_a_held_loop_ends_by_a_signal_with_its_servers(tmp_path: Path, how: str, number: int) -> None:
    file, held = tmp_path / "hold", tmp_path / "hold.held"
    server = python_server(TESTS / "servers" / "noisy.py")
    config = write_config(tmp_path / "dmcp.json", {"g": server, "other": server})
    command = [sys.executable, str(TESTS / "harness" / "held.py"), how, str(file), str(config)]
    async with RawClient(command, strict=False) as client:
        await client.initialize()
        await client.call("g", "echo")
        await client.call("other", "echo")
        servers = [child.pid for child in psutil.Process(client.pid).children(recursive=True)]
        assert len(servers) == 2
        file.touch()
        async with asyncio.timeout(20):
            while not held.exists():  # noqa: ASYNC110 - no event tells of a file that a stranger writes
                await asyncio.sleep(0.02)
        client.process.send_signal(number)
        status = await client.exited(within=30)
        await gone(*servers)
    if how == "python":
        assert status == 1
        assert "the event loop does not get to the signal" in client.stderr
    else:  # no other thread gets the interpreter: the operating system's alarm ends the process
        assert status == -signal.SIGALRM
