"""Listings that fail or break off: whoever asks is told, and what has come is of use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import newcomer
from harness import write_config
from harness.cli import run_dmcp
from security.claims import behind_dmcp, claimer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CUT: dict[str, Any] = {
    "tools": [{"name": "one"}],
    "resources": [{"uri": "x:1"}],
    "prompts": [{"name": "ask"}],
    "cut": ["tools", "prompts"],
}


async def test_a_listing_that_breaks_off_is_shown_and_said_to_be_a_part(tmp_path: Path) -> None:
    async with behind_dmcp(tmp_path, g=CUT) as client:
        await client.initialize()
        params = {"name": "get_dynamic_tools", "arguments": {"group": "g"}}
        result = await client.request("tools/call", params)
        shown, note = result["content"]
        assert [tool["name"] for tool in json.loads(shown["text"])] == ["one"]
        assert "this is a part" in note["text"]
        assert "cannot list now" in result["_meta"]["dmcp/incomplete"]
        assert "cannot list now" not in note["text"]
        prompts = await client.request("prompts/list", {"group": "g"})
        assert [prompt["name"] for prompt in prompts["prompts"]] == ["ask"]
        assert "cannot list now" in prompts["_meta"]["dmcp/incomplete"]
        assert "_meta" not in await client.request("resources/list", {"group": "g"})


def test_check_says_that_a_listing_without_an_end_is_cut(tmp_path: Path) -> None:
    done = run_dmcp("check", write_config(tmp_path / "dmcp.json", {"g": newcomer("looping")}))
    assert done.returncode == 1
    assert "g      incomplete" in done.stdout
    assert "without an end; cut after 2 pages: what follows is missing" in done.stdout


def test_check_and_list_say_so_and_end_with_1(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": claimer(tmp_path, "g", **CUT)})
    done = run_dmcp("check", config)
    assert done.returncode == 1
    assert "incomplete" in done.stdout
    assert "g: its tools are incomplete: " in done.stdout
    assert "cannot list now" in done.stdout
    (found,) = json.loads(run_dmcp("check", config, "--json").stdout)["servers"]
    assert (found["ready"], found["tools"], found["resources"]) == (False, 1, 1)
    listed = run_dmcp("list", config)
    assert listed.returncode == 1
    assert "incomplete: its prompts: " in listed.stdout
    assert "one" in listed.stdout


@pytest.mark.parametrize("kind", ["resources", "prompts"])
def test_check_says_which_listing_failed_altogether(tmp_path: Path, kind: str) -> None:
    says = {"tools": [{"name": "one"}], "fail": [kind]}
    done = run_dmcp("check", write_config(tmp_path / "dmcp.json", {"g": claimer(tmp_path, "g", **says)}))
    assert done.returncode == 1
    assert f"{kind}/list failed: " in done.stdout
