"""Servers that refuse a revision in an error, and old ones: asked again in the same life, with one they know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.front_door import failure_of, journal_of
from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server
from servers.raw_http import Peer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def old(tmp_path: Path, revision: str, how: str) -> tuple[RawClient, Path]:
    journal = tmp_path / "journal"
    script = TESTS / "servers" / "old_revisions.py"
    server = python_server(script, revision, how, env={"ROGUE_JOURNAL": str(journal)})
    config = write_config(tmp_path / "dmcp.json", {"g": server})
    return RawClient(dmcp_command(config), strict=False), journal


@pytest.mark.parametrize(
    ("revision", "how", "asked"),
    [
        ("2024-11-05", "data", ["2025-11-25", "2024-11-05"]),
        ("2025-03-26", "code", ["2025-11-25", "2025-03-26"]),
        ("2025-06-18", "text", ["2025-11-25", "2025-06-18"]),
        ("2024-10-07", "text", ["2025-11-25", "2024-10-07"]),
        ("2025-06-18", "protocol", ["2025-11-25", "2025-06-18"]),
        ("2024-11-05", "unnamed", ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]),
    ],
)
async def test_a_server_that_refuses_a_revision_is_asked_with_one_it_knows_in_the_same_life(
    revision: str, how: str, asked: list[str], tmp_path: Path
) -> None:
    client, journal = old(tmp_path, revision, how)
    async with client:
        await client.initialize()
        await client.call("g", "echo")
    lines = journal_of(journal)
    assert [line.split()[1] for line in lines if line.startswith("initialize")] == asked
    assert sum(line.startswith("start") for line in lines) == 1


async def test_a_refusal_of_something_else_is_not_asked_again_and_said(tmp_path: Path) -> None:
    client, journal = old(tmp_path, "2024-11-05", "other")
    async with client:
        await client.initialize()
        error = await failure_of(client, "g", "echo")
        assert "invalid API key" in error.message
    lines = journal_of(journal)
    assert {line.split()[1] for line in lines if line.startswith("initialize")} == {"2025-11-25"}


async def test_a_server_that_refuses_every_revision_is_asked_with_each_once_and_its_first_words_are_said(
    tmp_path: Path,
) -> None:
    client, journal = old(tmp_path, "1999-12-31", "unnamed")
    async with client:
        await client.initialize()
        error = await failure_of(client, "g", "echo")
        assert "Protocol VERSION mismatch" in error.message
    lives = "\n".join(journal_of(journal)).split("start ")[1:]
    assert max(life.count("initialize") for life in lives) <= 4


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"x","data":{"supported":["2025-03-26"]}}}',
        b"Unsupported MCP-Protocol-Version: 2025-11-25 (supported: 2025-03-26)",
    ],
)
async def test_over_http_a_refused_revision_is_followed_by_one_the_server_names(
    body: bytes, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def pong(peer: Peer, request: Request) -> None:
        raise AssertionError

    async with raw_server() as server:
        offer_tool(server, pong)

        async def initialize(peer: Peer, request: Request) -> None:
            version = request.message["params"]["protocolVersion"]
            asked.append(version)
            if version != "2025-03-26":
                await peer.body(body, 400)
                return
            info = {"name": "raw", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            await peer.result(request, result)

        server.on("initialize", initialize)
        config = write_config(tmp_path / "dmcp.json", {"g": {"url": server.url}})
        async with RawClient(dmcp_command(config), strict=False) as client:
            await client.initialize()
            await client.tools("g")
    assert asked == ["2025-11-25", "2025-03-26"]
