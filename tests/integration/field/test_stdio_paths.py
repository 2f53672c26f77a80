"""Paths and command lines as people write them into configurations, through a real dmcp."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS, Entry, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
REPORT = TESTS / "servers" / "process_report.py"


async def test_a_relative_directory_is_seen_from_the_configuration_not_from_where_dmcp_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "project" / "inner").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    servers: dict[str, Entry] = {
        "inner": python_server(REPORT, cwd="inner"),
        "here": python_server(REPORT, cwd="."),
        "none": python_server(REPORT),
        "absolute": python_server(REPORT, cwd=str(elsewhere)),
    }
    config = write_config(tmp_path / "project" / "c.json", servers)
    seen: dict[str, Any] = {}
    async with RawClient(dmcp_command("../project/" + config.name), cwd=elsewhere) as client:
        await client.initialize()
        for group in servers:
            seen[group] = json.loads((await client.call(group, "report"))["content"][0]["text"])["cwd"]
    assert seen == {
        "inner": str(tmp_path / "project" / "inner"),
        "here": str(tmp_path / "project"),
        "none": str(elsewhere),
        "absolute": str(elsewhere),
    }


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"command": "~/bin/no-server"}, '~ is not expanded: write "command": "'),
        ({"command": "npx -y no-such-server"}, 'write "command": "npx", "args": ["-y", "no-such-server"]'),
        ({"command": "sh", "cwd": "~/no-such-place"}, '~ is not expanded: write "cwd": "'),
        ({"command": "sh", "args": ["~/no-such-script"]}, "begins with ~/, which nothing expands"),
    ],
    ids=["tilde", "line", "directory", "argument"],
)
async def test_what_was_meant_is_said(tmp_path: Path, entry: Entry, told: str) -> None:
    config = write_config(tmp_path / "c.json", {"a": entry})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        with pytest.raises(RpcError) as caught:
            await client.call("a", "x")
    assert told in caught.value.message
