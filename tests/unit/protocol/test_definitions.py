"""dmcp's two tools as the model reads them: short enough for every coding tool, and true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.protocol.definitions import GroupLine, own_tools
from dmcp.protocol.eras.handshake import ServerSession
from dmcp.protocol.limits import MAX_OWN_DESCRIPTION

SENTENCE = "Reads, writes and searches what the people of a team have written down about their work. "


def described(groups: list[GroupLine]) -> str:
    text: str = own_tools(groups)[0]["description"]
    return text


def in_javascript(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("sentences", [1, 3, 60])
@pytest.mark.parametrize("count", [0, 1, 2, 12, 40, 70, 200, 1000])
def test_a_description_is_short_enough_whatever_is_configured(count: int, sentences: int) -> None:
    groups = [GroupLine(f"server-{number}", SENTENCE * sentences) for number in range(count)]
    for tool in own_tools(groups):
        assert in_javascript(tool["description"]) <= MAX_OWN_DESCRIPTION
    told = described(groups)
    if 0 < count <= 70:
        assert all(f"server-{number}" in told for number in range(count))


def test_what_is_not_in_the_basic_plane_counts_as_a_client_in_javascript_counts_it() -> None:
    groups = [GroupLine(f"🦊{number}", "🦊" * 400) for number in range(12)]
    assert 0 <= MAX_OWN_DESCRIPTION - in_javascript(described(groups)) < 12 * 2


def test_descriptions_that_fit_are_whole() -> None:
    groups = [GroupLine(f"g{number}", SENTENCE.strip()) for number in range(15)]
    assert f"- g14: {SENTENCE.strip()}" in described(groups)
    assert "…" not in described(groups)


def test_longer_ones_are_shortened_to_the_same_length_at_the_ends_of_words_and_short_ones_stay() -> None:
    groups = [GroupLine(f"g{number}", SENTENCE * 2) for number in range(20)] + [
        GroupLine("short", "One word.")
    ]
    told = described(groups)
    lines = [line for line in told.splitlines() if line.startswith("- ")]
    assert lines[-1] == "- short: One word."
    shown = {line.partition(": ")[2] for line in lines[:-1]}
    assert len(shown) == 1  # none is preferred
    (text,) = shown
    assert text.endswith("…")
    assert (SENTENCE * 2).startswith(text[:-1])
    assert (SENTENCE * 2)[len(text) - 1] in " .,"  # the end of a word
    assert "get_dynamic_tools without arguments" in told


def test_where_no_words_fit_there_are_names_and_where_not_all_names_do_it_says_how_many_are_left() -> None:
    groups = [GroupLine(f"server-{number}", SENTENCE) for number in range(70)]
    assert "server-0, server-1, " in described(groups)
    groups = [GroupLine(f"server-of-a-long-name-{number}", SENTENCE) for number in range(200)]
    told = described(groups)
    shown = told.count("server-of-a-long-name-")
    assert f"and {200 - shown} more" in told
    assert shown > 50
    assert (
        own_tools(groups)[0]["inputSchema"]["properties"]["group"]["enum"][-1] == "server-of-a-long-name-199"
    )


def test_many_groups_are_not_enumerated_because_providers_limit_the_values_of_a_schema() -> None:
    def schema(count: int) -> Any:
        return own_tools([GroupLine(str(n), "d") for n in range(count)])[1]["inputSchema"]["properties"][
            "group"
        ]

    assert len(schema(250)["enum"]) == 250
    assert "enum" not in schema(251)
    assert "enum" not in schema(0)


def test_coding_tools_are_told_not_to_defer_the_two_tools_by_which_all_others_are_found() -> None:
    get, call = own_tools([GroupLine("notes", "d"), GroupLine("x\n\x1b", "d")])
    assert get["_meta"]["anthropic/alwaysLoad"] is call["_meta"]["anthropic/alwaysLoad"] is True
    assert get["_meta"]["anthropic/maxResultSizeChars"] == 100_000
    assert "notes" in get["_meta"]["anthropic/searchHint"]
    assert "\x1b" not in json.dumps([get, call], ensure_ascii=False)


def test_how_to_work_with_dmcp_is_said_in_six_hundred_characters() -> None:
    opened = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    told = ServerSession().initialize(opened)["instructions"]
    assert len(told) <= 600
    for word in ("get_dynamic_tools", "call_dynamic_tool"):
        assert word in told
