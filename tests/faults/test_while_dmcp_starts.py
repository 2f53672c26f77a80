"""What happens between dmcp and its client while most of dmcp is still to be imported."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="no loop waits for pipes there"),
]

GATE = """
import os, sys, time

class Gate:
    def find_spec(self, name, path=None, target=None):
        while name == "asyncio" and not os.path.exists(os.environ["GATE"]):
            time.sleep(0.005)

sys.meta_path.insert(0, Gate())
"""


INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}


def starting(folder: Path) -> RawClient:
    """A dmcp that imports nothing of asyncio before ``go_on``."""
    (folder / "sitecustomize.py").write_text(GATE)
    config = write_config(folder / "dmcp.json", {"a": python_server(TESTS / "servers" / "noisy.py")})
    env = {"PYTHONPATH": str(folder), "GATE": str(folder / "open")}
    return RawClient(dmcp_command(config), env=env)


def go_on(folder: Path) -> None:
    (folder / "open").touch()


async def test_initialize_is_answered_and_all_else_when_there_is_who_can(tmp_path: Path) -> None:
    async with starting(tmp_path) as client:
        await client.initialize()
        asked = [client.ask("ping"), client.ask("tools/list")]
        go_on(tmp_path)
        for each in asked:
            assert "result" in await client.answer(each)
        assert (await client.call("a", "echo"))["content"][0]["text"] == "done"


async def test_a_signal_meanwhile_ends_it_as_later(tmp_path: Path) -> None:
    async with starting(tmp_path) as client:
        await client.initialize()
        client.ask("tools/list")  # that it is answered is in the ledger
        client.process.send_signal(signal.SIGTERM)
        go_on(tmp_path)
        assert await client.exited() == 0
    assert "Traceback" not in client.stderr


async def test_a_client_that_leaves_meanwhile_is_no_error(tmp_path: Path) -> None:
    async with starting(tmp_path) as client:
        await client.initialize()
        client.process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        go_on(tmp_path)
        assert await client.exited() == 0
    assert "Traceback" not in client.stderr


async def test_what_comes_before_initialize_is_answered_in_its_order(tmp_path: Path) -> None:
    async with starting(tmp_path) as client:
        client.send_bytes(b"garbage\n")
        first = client.ask("initialize", INITIALIZE)
        go_on(tmp_path)
        assert (await client.answer(None))["error"]["code"] == -32700
        assert "result" in await client.answer(first)
