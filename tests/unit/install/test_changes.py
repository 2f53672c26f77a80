from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dmcp.cli.coding_tools.changes import ABSENT, Change, planned, undone, value_at, with_value_at
from dmcp.cli.coding_tools.detect import serves_dmcp

FILE = Path("/x.json")


def apply(contents: dict[str, Any], steps: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    for keys, value in steps:
        contents = with_value_at(contents, keys, value)
    return contents


@pytest.mark.parametrize(
    ("before", "keys", "value"),
    [
        ({}, ("mcpServers", "dmcp"), {"command": "x"}),
        ({"mcpServers": {}}, ("mcpServers", "dmcp"), {"command": "x"}),
        ({"mcpServers": {"a": 1}}, ("mcpServers", "a"), ABSENT),
        ({"mcpServers": {"a": {"enabled": True}}}, ("mcpServers", "a", "enabled"), False),
        ({"mcpServers": {"a": {}}}, ("mcpServers", "a", "enabled"), False),
        ({"off": ["x"]}, ("off",), ["x", "y"]),
        ({}, ("projects", "/p", "off"), ["y"]),
    ],
)
def test_a_change_undone_leaves_the_contents_as_they_were(
    before: dict[str, Any], keys: tuple[str, ...], value: Any
) -> None:
    change = planned(FILE, before, keys, value)
    after = with_value_at(before, keys, value)
    steps = undone(change, after)
    assert after != before
    assert steps is not None
    assert apply(after, steps) == before


def test_a_value_somebody_changed_since_is_left_alone() -> None:
    change = planned(FILE, {"a": {"enabled": True}}, ("a", "enabled"), value := False)
    assert undone(change, {"a": {"enabled": "perhaps"}}) is None
    assert undone(change, {"a": {"enabled": value}}) == [(("a", "enabled"), True)]


def test_what_others_put_into_a_list_since_stays() -> None:
    change = planned(FILE, {"off": ["x"]}, ("off",), ["x", "mine"])
    assert undone(change, {"off": ["x", "mine", "theirs"]}) == [(("off",), ["x", "theirs"])]


def test_a_table_dmcp_made_stays_when_somebody_else_uses_it() -> None:
    change = planned(FILE, {}, ("mcpServers", "dmcp"), 1)
    steps = undone(change, {"mcpServers": {"dmcp": 1, "other": 2}})
    assert steps == [(("mcpServers", "dmcp"), ABSENT)]


def test_a_change_that_was_never_made_needs_no_undoing() -> None:
    change = planned(FILE, {"a": 1}, ("a",), 2)
    assert undone(change, {"a": 1}) == []


@pytest.mark.parametrize("before", [ABSENT, None, {"k": "v"}])
@pytest.mark.parametrize("after", [ABSENT, [1]])
def test_a_change_is_kept_and_read_again_unchanged(before: Any, after: Any) -> None:
    change = Change(FILE, ("a", "b"), before, after, made=1)
    assert Change.from_json(change.as_json()) == change


def test_a_value_below_something_that_is_no_table_is_absent() -> None:
    assert value_at({"a": [1]}, ("a", "b")) is ABSENT


@pytest.mark.parametrize(
    "words",
    [
        ["dmcp", "/c.json"],
        ["/home/x/.venv/bin/dmcp", "-v", "c.toml"],
        ["C:\\x\\Scripts\\dmcp.exe", "c.json"],
        ["/usr/bin/python3", "-P", "-m", "dmcp", "c.json"],
        ["uvx", "dmcp", "c.json"],
        ["dmcp"],
    ],
)
def test_a_dmcp_that_serves_is_recognised(words: list[str]) -> None:
    assert serves_dmcp(words)


@pytest.mark.parametrize(
    "words",
    [
        ["dmcp", "fault", "script.json"],
        ["npx", "dmcp-server"],
        ["cat", "dmcp"],
        ["python", "-m", "dmcp.demo.notes"],
    ],
)
def test_what_is_no_serving_dmcp_is_not_taken_for_one(words: list[str]) -> None:
    assert not serves_dmcp(words)
