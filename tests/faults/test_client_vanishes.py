"""A client that is killed: both of its pipes close at once, in the middle of calls and of floods."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import call_of, rogue
from harness import dmcp_command, write_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


def line(method: str, params: dict[str, Any] | None = None, number: int | None = None) -> bytes:
    message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return json.dumps(message if number is None else {**message, "id": number}).encode() + b"\n"


@pytest.mark.parametrize("closes_stdin", [True, False], ids=["killed", "deaf"])
async def test_a_client_that_is_killed_while_a_server_talks_ends_dmcp_without_a_word(
    tmp_path: Path, *, closes_stdin: bool
) -> None:
    command = dmcp_command(write_config(tmp_path / "dmcp.json", {"g": rogue()}))
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(30):
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdin.write(line("initialize", HELLO, 1) + line("notifications/initialized"))
            child.stdin.write(line("tools/call", call_of("chatter", {"count": 100_000}), 2))
            await child.stdout.readline()
            await child.stdout.readline()
            if closes_stdin:
                child.stdin.close()
            child._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # no public way to it
            said = (await child.stderr.read()).decode()
            assert " ERROR " not in said
            assert "Traceback" not in said
            assert await child.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
