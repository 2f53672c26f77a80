"""A command that is not there: said once, looked for now and then, and started as soon as it is there and used."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_missing_command_is_said_once_however_often_it_is_asked_for_and_found_when_it_is_there(
    tmp_path: Path,
) -> None:
    command = tmp_path / "server"
    config = write_config(tmp_path / "dmcp.json", {"g": {"command": str(command)}})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        for _ in range(8):
            with pytest.raises(RpcError, match="was not found"):
                await client.call("g", "echo")
        await client.until(lambda: "was not found" in client.stderr, "a line in the log")
        assert client.stderr.count("was not found") == 1
        assert "parked" not in client.stderr
        hostile = TESTS / "servers" / "hostile.py"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{hostile}"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        assert (await client.call("g", "echo"))["content"][0]["text"] == "echo"
