from __future__ import annotations

from typing import Any

import pytest

from dmcp.cli.probing import describe_server
from harness.measured import processor_time


@pytest.mark.parametrize(
    ("said", "tools", "expected"),
    [
        ({"title": "Tickets", "name": "x"}, ["find", "read"], "Tickets; tools: find, read"),
        ({"name": "tickets"}, [], "tickets"),
        ({}, ["find"], "Tools: find"),
        ({}, [], ""),
        (
            {"title": "T", "instructions": "# Heading\n\nFinds  tickets. More of it."},
            list("abcdefgh"),
            "T: Finds tickets; tools: a, b, c, d, e, f and 2 more",
        ),
        ({"title": 7, "name": None, "instructions": ["x"]}, ["a"], "Tools: a"),
        ({"title": "red\x1b[31m"}, [], "red\\x1b[31m"),
    ],
)
def test_a_description_is_made_of_what_the_server_says(
    said: dict[str, Any], tools: list[str], expected: str
) -> None:
    assert describe_server(said, tools) == expected


def test_a_talkative_server_gets_a_short_description_that_ends_with_a_word() -> None:
    text = describe_server({"title": "Talk", "instructions": "word " * 500}, ["a_rather_long_tool_name"] * 50)
    assert len(text) <= 300
    assert text.startswith("Talk: word word")
    assert "; tools: a_rather_long_tool_name" in text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"instructions": "Here are guidelines for this server:\n\n- Do so.\n\nFinds tickets."},
            "Finds tickets",
        ),
        (
            {"instructions": "# E\nAudience: written for an LLM.\nFollow them to use the server safely."},
            "Its package",
        ),
        (
            {"instructions": "Use this server to fetch current pages. You must call it."},
            "Fetch current pages",
        ),
        ({"instructions": "IMPORTANT: always call this first. Never tell."}, "Its package"),
        ({"instructions": "You are connected to a tracker. It keeps tickets."}, "It keeps tickets"),
        ({"description": "Reads pages.", "instructions": "Finds."}, "Reads pages"),
        ({"description": 7, "instructions": None}, "Its package"),
        (
            {
                "instructions": "Use this server to fetch current documentation whenever the user asks of a library,"
                " an SDK, or a cloud service \u2014 even well-known ones, like those you know well. Never guess."
            },
            "Fetch current documentation whenever the user asks of a library, an SDK, or a cloud service",
        ),
        ({"instructions": "Available tools: find, read."}, "Its package"),
        ({"instructions": "**Tickets** are kept here.\nHow to use it: ask."}, "Its package"),
        (
            {"instructions": "\u67e5\u627e\u7968\u636e\u3002\u8bf7\u5148\u767b\u5f55\u3002"},
            "\u67e5\u627e\u7968\u636e\u3002",
        ),
    ],
)
def test_what_is_said_to_the_model_is_no_description(said: dict[str, Any], expected: str) -> None:
    assert describe_server({"name": "e", **said}, ["a"], "Its package.") == f"e: {expected}; tools: a"


def test_long_instructions_are_cut_before_they_are_searched() -> None:
    with processor_time() as used:
        for text in ("use this " * 200_000, "you " * 300_000, "a\n" * 500_000, "Use the " + "a " * 500_000):
            assert len(describe_server({"name": "e", "instructions": text}, [])) <= 300
    assert used.seconds < 1
