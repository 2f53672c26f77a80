from __future__ import annotations

from typing import Any

import pytest

from dmcp.cli.probing import sentence


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
    assert sentence(said, tools) == expected


def test_a_talkative_server_gets_a_short_description_that_ends_with_a_word() -> None:
    text = sentence({"title": "Talk", "instructions": "word " * 500}, ["a_rather_long_tool_name"] * 50)
    assert len(text) <= 300
    assert text.startswith("Talk: word word")
    assert "; tools: a_rather_long_tool_name" in text
