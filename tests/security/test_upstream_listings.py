"""Listings that are too large, without an end, or that fail: that listing only, and for as long as it has to be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness import LongLineClient, RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SMALL = {"listing_entries": 20, "listing_bytes": "32KiB"}


def trouble(kind: str, *how: str, **more: Any) -> dict[str, Any]:
    return python_server(TESTS / "servers" / "listing_trouble.py", kind, *how, **more)


def served(path: Path, **servers: Any) -> RawClient:
    return RawClient(dmcp_command(write_config(path / "dmcp.json", servers)), strict=False)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("large", "has more than 20 entries: raise limits.listing_entries"),
        ("long", "is longer than 32768 bytes: raise limits.listing_bytes"),
        ("endless", "has more than 20 entries: raise limits.listing_entries"),
    ],
)
async def test_a_listing_beyond_a_limit_fails_and_says_which_and_the_rest_of_the_group_works(
    kind: str, said: str, tmp_path: Path
) -> None:
    async with served(tmp_path, g=trouble(kind, limits=SMALL)) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=said):
            await client.tools("g")
        assert (await client.call("g", "echo"))["content"][0]["text"] == "echo"
        prompts = await client.request("prompts/list")
        assert [prompt["name"] for prompt in prompts["prompts"]] == ["greet"]


async def test_a_listing_of_very_many_values_holds_nothing_up_or_fails(tmp_path: Path) -> None:
    """In objects of Python a megabyte of them is a hundred: to read them, to replace them, to look for garbage."""
    watch = LoopWatch(tmp_path)
    groups = {
        "lists": trouble("values", "1700"),
        "deep": trouble("deep", "900"),
        "beyond": trouble("values", "1760"),
        "good": trouble("none"),
    }
    config = write_config(tmp_path / "dmcp.json", groups)
    async with LongLineClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize()
        await client.tools("good")
        watch.start_watching()
        with pytest.raises(RpcError, match=r"has more than 349,525 values: raise limits\.listing_bytes"):
            await client.tools("beyond")
        for group in ("lists", "deep"):
            for _ in range(
                2
            ):  # a name nobody knows has the listing fetched again, and the one before thrown away
                result = await client.call(group, "nobody")
                assert result["content"][0]["text"].startswith("Unknown tool 'nobody'")
        assert (await client.call("good", "echo"))["content"][0]["text"] == "echo"
        assert watch.held().cpu < 50


async def test_the_same_listing_passes_with_a_higher_limit(tmp_path: Path) -> None:
    async with served(tmp_path, g=trouble("large"), h=trouble("long")) as client:
        await client.initialize()
        assert len(await client.tools("g")) == 32
        assert len(await client.tools("h")) == 3


async def test_a_listing_that_becomes_too_large_leaves_the_last_good_one(tmp_path: Path) -> None:
    async with served(tmp_path, g=trouble("later", limits=SMALL)) as client:
        await client.initialize()
        assert [tool["name"] for tool in await client.tools("g")] == ["echo", "spoil"]
        await client.call("g", "spoil")
        await client.until(lambda: "listing_entries" in client.stderr, "a warning about the limit")
        assert [tool["name"] for tool in await client.tools("g")] == ["echo", "spoil"]
        params = {"name": "get_dynamic_tools", "arguments": {"group": "g"}}
        (_, note) = (await client.request("tools/call", params))["content"]
        assert "what it offered before" in note["text"]


@pytest.mark.parametrize(
    ("kind", "said"), [("fails", "the database is locked"), ("shapeless", "without a list")]
)
async def test_a_listing_that_failed_is_asked_for_again_and_told_meanwhile(
    kind: str, said: str, tmp_path: Path
) -> None:
    async with served(tmp_path, g=trouble(kind)) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=said):
            await client.tools("g")
        while True:  # after one, three, seven seconds
            try:
                names = [tool["name"] for tool in await client.tools("g")]
            except RpcError:
                await asyncio.sleep(0.2)
                continue
            break
        assert names == ["echo", "spoil"]


def test_check_says_of_a_group_without_a_listing_why_and_fails(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": trouble("fails"), "ok": trouble("none")})
    command = [sys.executable, "-m", "dmcp", "check", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "the database is locked" in done.stdout + done.stderr
