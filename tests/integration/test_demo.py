"""``dmcp demo``: a newcomer's first command. And its two servers, spoken to without dmcp."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from harness.cli import run_dmcp
from harness.raw import RawClient

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
SERVERS = ("notes", "units")


def raw(name: str) -> RawClient:
    return RawClient([sys.executable, "-m", f"dmcp.demo.{name}"])


def test_the_demo_shows_two_tools_a_result_and_what_was_spared() -> None:
    done = run_dmcp("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "get_dynamic_tools" in done.stdout
    assert "26.2 mi = 42.1648 km" in done.stdout
    before, after, spared = (
        int(re.search(pattern, done.stdout)[1].replace(",", ""))  # type: ignore[index]  # no match fails the test too
        for pattern in (
            r"20 tools +([\d,]+) bytes",
            r" 2 tools +([\d,]+) bytes",
            r"conversation: ([\d,]+) bytes",
        )
    )
    assert before - after == spared > 0


def test_the_demo_leaves_no_file_behind(tmp_path: Path) -> None:
    run_dmcp("demo", env={"TMPDIR": str(tmp_path)}, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SERVERS)
async def test_every_tool_of_a_demo_server_is_described_and_valid(name: str) -> None:
    async with raw(name) as client:
        await client.initialize()
        tools = (await client.request("tools/list"))["tools"]
        assert len(tools) == 10
        assert all(tool["description"] and tool["inputSchema"]["type"] == "object" for tool in tools)


@pytest.mark.parametrize(
    ("name", "tool", "arguments", "says"),
    [
        ("units", "convert", {"value": 1, "from_unit": "mi", "to_unit": "m"}, "1 mi = 1609.34 m"),
        ("units", "convert_temperature", {"value": 100, "from_scale": "C", "to_scale": "F"}, "100 C = 212 F"),
        ("units", "list_units", {"quantity": "mass"}, "mass: g, kg, t, oz, lb"),
        ("units", "days_between", {"start": "2024-02-28", "end": "2024-03-01"}, "2 days"),
        ("units", "add_days", {"start": "2024-02-28", "days": 2}, "2024-03-01"),
        ("units", "weekday", {"day": "2024-02-29"}, "Thursday"),
        ("units", "format_duration", {"seconds": 93784}, "1 d 2 h 3 min 4 s"),
        ("units", "running_pace", {"distance_km": 10, "seconds": 3000}, "5:00 min/km"),
        ("notes", "search_notes", {"query": "LEMONS"}, "1. Groceries  [home]"),
        ("notes", "add_note", {"title": "A", "text": "b", "tags": ["x"]}, "Added: 4. A  [x]"),
        ("notes", "delete_note", {"number": 1}, "Deleted: 1. Groceries"),
        ("notes", "list_notes", {"tag": "work"}, "2. Release checklist  [release, work]"),
        ("notes", "rename_note", {"number": 1, "title": "Shop"}, "Renamed: 1. Shop  [home]"),
    ],
)
async def test_a_demo_tool_does_what_it_says(
    name: str, tool: str, arguments: dict[str, object], says: str
) -> None:
    async with raw(name) as client:
        await client.initialize()
        result = await client.request("tools/call", {"name": tool, "arguments": arguments})
        assert result == {"content": [{"type": "text", "text": says}]}


@pytest.mark.parametrize(
    ("name", "tool", "arguments", "says"),
    [
        ("units", "convert", {"value": 1, "from_unit": "mi", "to_unit": "kg"}, "no way from 'mi' to 'kg'"),
        (
            "units",
            "convert",
            {"value": "1", "from_unit": "mi", "to_unit": "m"},
            "value must be of type number",
        ),
        ("units", "weekday", {"day": "tomorrow"}, "no date"),
        ("units", "weekday", {"date": "2024-02-29"}, "missing: day; unknown: date"),
        ("units", "running_pace", {"distance_km": 0, "seconds": 1}, "greater than zero"),
        ("notes", "read_note", {"number": 99}, "There is no note 99"),
        ("notes", "tag_note", {"number": 1, "tags": [1]}, "tags must hold strings"),
        ("notes", "replace_in_note", {"number": 1, "old": "x", "new": ""}, "0 times"),
    ],
)
async def test_a_demo_tool_refuses_what_it_cannot_do(
    name: str, tool: str, arguments: dict[str, object], says: str
) -> None:
    async with raw(name) as client:
        await client.initialize()
        result = await client.request("tools/call", {"name": tool, "arguments": arguments})
        assert result["isError"]
        assert says in result["content"][0]["text"]
