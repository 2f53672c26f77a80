"""The ranking of tools and their signatures: what is found, and that nothing a server writes gets in the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcp.protocol import search
from dmcp.protocol.limits import MAX_SIGNATURE, MAX_TOOL_NAME
from dmcp.protocol.search import Searched, ToolSearch
from dmcp.protocol.signatures import signature

TICKETS = (
    {"name": "create_ticket", "description": "Open a new ticket."},
    {"name": "listTickets", "description": "Show the tickets of a project."},
    {"name": "close", "description": "Mark a ticket as done."},
)
NEWS = (
    {"name": "headlines", "description": "The latest news of a country."},
    {
        "name": "weather",
        "description": "Forecast.",
        "inputSchema": {"properties": {"city": {"type": "string"}}},
    },
)
GROUPS = (Searched("jira", "Issues", TICKETS), Searched("press", "Newspapers", NEWS))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "items",
                    "enum",
                    "anyOf",
                    "$ref",
                    "required",
                    "default",
                    "minimum",
                    "x",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def found(query: str, group: str | None = None) -> list[str]:
    by_group = {one.group: one.tools for one in GROUPS}
    return [by_group[hit.group][hit.place]["name"] for hit in ToolSearch().find(GROUPS, query, 5, group)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("create a ticket", "create_ticket"),
        ("tickets list", "listTickets"),
        ("creat tickt", "create_ticket"),  # a letter is missing in each
        ("remove a bug from the list of tickets", "listTickets"),
        ("news", "headlines"),
        ("forecast for Paris", "weather"),
        ("which city", "weather"),  # the name of a parameter
        ("WEATHER", "weather"),
    ],
)
def test_what_fits_best_comes_first(query: str, first: str) -> None:
    assert found(query)[0] == first


def test_one_group_can_be_searched_alone() -> None:
    assert found("ticket", "press") == []
    assert set(found("ticket", "jira")) == {"create_ticket", "listTickets", "close"}


@pytest.mark.parametrize("query", ["", "   ", "zzzzqqqq", "\u202e\0", "?!"])
def test_a_query_that_says_nothing_finds_nothing(query: str) -> None:
    assert found(query) == []


def test_only_what_has_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    segment = search.segment

    def counted(group: str, *rest: Any) -> Any:
        read.append(group)
        return segment(group, *rest)

    monkeypatch.setattr(search, "segment", counted)
    tools = ToolSearch()
    tools.find(GROUPS, "ticket", 5)
    tools.find(GROUPS, "news", 5)
    assert read == ["jira", "press"]
    again = (
        Searched("jira", "Issues", tuple(dict(tool) for tool in TICKETS)),
        GROUPS[1],
    )  # asked for once more
    tools.find(again, "ticket", 5)
    tools.find(again, "ticket", 5)
    assert read == ["jira", "press", "jira"]
    assert [hit.group for hit in tools.find(GROUPS[1:], "news ticket", 5)] == ["press"]
    assert read == ["jira", "press", "jira"]


@given(st.text(max_size=50), JSON, JSON)
def test_whatever_a_server_writes_is_searched_and_written_down(
    name: str, description: Any, schema: Any
) -> None:
    tool = {"name": name, "title": description, "description": description, "inputSchema": schema}
    ToolSearch().find((Searched("g", "", (tool,)),), f"{name} tool of x", 5)
    line = signature(tool, "g/")
    assert "\n" not in line
    assert len(line) <= MAX_SIGNATURE + 4 * MAX_TOOL_NAME


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, "t(a*: str)"),
        ({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}, 't(a: "x"|"y")'),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 9}}},
            "t(a: int 1..9)",
        ),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}}, "t(a: str ~)"),
        ({"type": "object", "properties": {"a": {"type": "boolean", "default": True}}}, "t(a: bool = true)"),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/d"}},
                "$defs": {"d": {"type": "number"}},
            },
            "t(a: num)",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}},
            "t(a: any ~)",
        ),  # round and round
        ({"type": "object", "properties": {"a": {"$ref": "https://x/y"}}}, "t(a: any ~)"),
    ],
)
def test_a_signature_says_what_the_schema_says_or_that_there_is_more(schema: Any, expected: str) -> None:
    assert signature({"name": "t", "inputSchema": schema}) == expected
