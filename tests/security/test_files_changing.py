"""A configuration that is written all the time, or replaced by what is no file, holds nobody up and restarts little."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from harness import EVENTS, RawClient, plain_server
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there"),
]
SECONDS = 2.0  # that the file is written for
MOST = 6  # changes that are taken over in that time: five at once, then one in ten seconds


def _configuration(number: int) -> str:
    # The other server is another one each time: each change that is taken over restarts it.
    servers = {"kept": plain_server(), "changing": plain_server(env={"NUMBER": str(number)})}
    described = {name: {"description": name, **entry} for name, entry in servers.items()}
    return json.dumps({"mcpServers": described})


def _valid(path: Path, number: int) -> None:
    path.write_text(_configuration(number))


def _half_written(path: Path, number: int) -> None:
    text = _configuration(number)
    path.write_text(text[: len(text) // (1 + number % 2)])


def _growing(path: Path, number: int) -> None:
    with path.open("ab") as file:
        file.write(b" " * 500_000 * (number % 40 + 1))


def _no_file(path: Path, number: int) -> None:
    _clear(path)
    match number % 4:
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(path)
        case _:
            path.write_text(_configuration(number))


def _clear(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


@pytest.mark.parametrize("write", [_valid, _half_written, _growing, _no_file])
async def test_a_configuration_that_changes_all_the_time_holds_nobody_up(
    write: Callable[[Path, int], None], tmp_path: Path
) -> None:
    path, watch = tmp_path / "dmcp.json", LoopWatch(tmp_path)
    path.write_text(_configuration(0))
    async with RawClient(LoopWatch.command(path), env={**watch.env, **EVENTS}) as client:
        await client.initialize()
        await client.call("kept", "echo", {"text": "on"})
        watch.start_watching()
        begin, number = asyncio.get_running_loop().time(), 0
        while asyncio.get_running_loop().time() < begin + SECONDS:
            number += 1
            write(path, number)
            await client.call("kept", "echo", {"text": "on"})
            await asyncio.sleep(0.005)
        applied = [event for event in client.events if event["event"] == "ConfigurationApplied"]
        rejected = [event for event in client.events if event["event"] == "ConfigurationRejected"]
        assert len(applied) + len(rejected) <= 1 + MOST
        restarts = [event for event in client.events if event["event"] == "ConnectionReady"]
        assert [event["group"] for event in restarts].count("kept") == 1
        _clear(path)
    assert 0 < watch.held().cpu < 50
