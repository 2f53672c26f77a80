"""get_dynamic_tools through a real dmcp in front of real servers: by query, by names, by group, in every detail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, npm_server, plain_server, sdk_server, write_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.npm]


async def shown(client: RawClient, **wanted: Any) -> dict[str, Any]:
    """Return the result of ``get_dynamic_tools``, with ``text``: its first block, and ``notes``: the others."""
    result = await client.request("tools/call", {"name": "get_dynamic_tools", "arguments": wanted})
    first, *rest = (block["text"] for block in result["content"])
    assert len(first) <= 7500 or "names" in wanted
    return {**result, "text": first, "notes": rest}


async def test_a_wish_finds_its_tool_in_one_hop_and_every_detail_can_be_asked_for(tmp_path: Path) -> None:
    servers = {
        "files": npm_server("filesystem", str(tmp_path)),
        "memory": npm_server("memory"),
        "sdk": sdk_server(),
        "later": plain_server(startup="lazy"),
        "down": {"command": str(tmp_path / "nothing")},
    }
    async with RawClient(dmcp_command(write_config(tmp_path / "dmcp.json", servers))) as client:
        await client.initialize()

        found = await shown(client, query="rename a file")
        assert "files/move_file(source*: str, destination*: str)  Move or rename" in found["text"]
        assert len(found["text"].splitlines()) == 5
        (note,) = found["notes"]
        assert "Not searched" in note
        assert "down (unavailable: " in note
        assert "later" not in note  # it was started to learn what it offers

        assert "later/echo" in (await shown(client, query="echo", group="later"))["text"]
        assert "memory/" not in (await shown(client, query="read", group="files"))["text"]
        assert "Nothing in 4 groups fits" in (await shown(client, query="zzzz qqqq"))["text"]

        whole = await shown(client, names=["files/move_file"])
        (tool,) = json.loads(whole["text"])
        assert tool["inputSchema"]["required"] == ["source", "destination"]
        several = await shown(client, names=["files/move_file", "memory/read_graph", "memory/nope"])
        assert [(t["group"], t["name"]) for t in json.loads(several["text"])] == [
            ("files", "move_file"),
            ("memory", "read_graph"),
        ]
        assert "Unknown tool 'memory/nope'" in several["notes"][0]
        missed = await shown(client, names=["move_fil"], group="files")
        assert missed["isError"] is True
        assert "Did you mean 'move_file'" in missed["text"]

        files = await shown(client, group="files")  # longer than the budget in full
        assert files["text"].startswith("14 tools as signatures")
        assert "names=[...]" in files["text"].splitlines()[0]
        assert (await shown(client, group="files", detail="names"))["text"].count("\n") == 14
        later = json.loads((await shown(client, group="later"))["text"])  # fits in full
        assert later == await client.tools("later")
        assert len(await client.tools("files")) == 14

        lines = (await shown(client))["text"].splitlines()
        assert lines[0].startswith("5 groups")
        assert "- files: The files server (14 tools)" in lines
        assert [line for line in lines if line.startswith("- down: ") and "unavailable" in line]


BAD = [
    ({"qeury": "x"}, "no parameter 'qeury'. Did you mean 'query'"),
    ({"query": 5}, "arguments.query must be a string"),
    ({"group": ["g"]}, "arguments.group must be a string"),
    ({"names": "x", "query": "y"}, "not both"),
    ({"names": [1]}, "arguments.names must be a list"),
    ({"names": {"a": 1}}, "arguments.names must be a list"),
    ({"names": ["x"] * 51}, "may have 50 names"),
    ({"detail": "whole"}, "arguments.detail must be one of full, signatures, names"),
    ({"query": "x", "cursor": "5-00000000"}, "cursor has expired"),
    ({"group": "g", "cursor": "../"}, "cursor has expired"),
]


async def test_arguments_that_mean_nothing_are_told_and_empty_ones_are_none(tmp_path: Path) -> None:
    async with RawClient(dmcp_command(write_config(tmp_path / "dmcp.json", {"g": plain_server()}))) as client:
        await client.initialize()
        for arguments, told in BAD:
            with pytest.raises(RpcError, match="Invalid params") as caught:
                await shown(client, **arguments)
            assert told in caught.value.message
        empty = await shown(client, group="g", query="", names=[], detail=None, cursor="")
        assert "echo" in [tool["name"] for tool in json.loads(empty["text"])]
