"""What direct tools are called: clients take the names, they are stable, and nobody takes another's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcp.config.model import ServerConfig, StdioServer, ToolSelection
from dmcp.protocol.direct import DirectTools, direct_tools, is_well_formed, shown_names

GROUPS = ["a", "b", "a_b", "git", "o.dd", "o dd", "日本", "l" * 100]


def names(*offered: tuple[str, str], groups: list[str] | None = None) -> list[str]:
    shown = shown_names(offered, GROUPS if groups is None else groups)
    return [shown[key] for key in offered]


def test_a_tool_keeps_its_own_name_where_nobody_else_has_it() -> None:
    assert names(("a", "search"), ("b", "get-file"), ("git", "git_status")) == [
        "search",
        "get-file",
        "git_status",
    ]


def test_where_two_collide_each_has_its_group_in_front_whoever_came_first() -> None:
    assert names(("a", "echo"), ("b", "echo"), ("b", "Echo2")) == ["a_echo", "b_echo", "Echo2"]
    assert names(("b", "echo"), ("a", "echo")) == ["b_echo", "a_echo"]
    assert names(("a", "Echo"), ("b", "eCHO")) == ["a_Echo", "b_eCHO"]


@pytest.mark.parametrize("own", ["get_dynamic_tools", "call_dynamic_tool", "Call-Dynamic_TOOL"])
def test_nobody_is_called_like_a_tool_of_dmcp(own: str) -> None:
    assert names(("b", own)) == [f"b_{own}"]


def test_nobody_is_called_like_a_tool_of_another_group() -> None:
    assert names(("b", "git_push")) == ["b_git_push"]
    assert names(("b", "GIT_push")) == ["b_GIT_push"]
    assert names(("b", "a_b_c"), ("a_b", "c")) == ["b_a_b_c", "c"]
    first, second = names(("a", "b_c"), ("a_b", "c"), ("b", "c"), ("git", "b_c"))[:2]
    assert re.fullmatch("a_b_c_[0-9a-f]{8}", first)  # a_b_c would be both
    assert re.fullmatch("a_b_c_[0-9a-f]{8}", second)


def test_what_clients_do_not_take_is_replaced_and_stays_one_tools_own() -> None:
    for own in ("new\nline", "\x1b[31m", "a/b", "日本語", "x" * 65, "emoji 🦊", "\ud800"):
        (name,) = names(("git", own))
        assert re.fullmatch("git_[A-Za-z0-9_-]{1,60}", name)
    assert len(set(names(("git", "a/b"), ("git", "a.b"), ("git", "a_b")))) == 3
    assert len(set(names(("o.dd", "x"), ("o dd", "x"), ("日本", "x"), ("l" * 100, "x")))) == 4


TEXTS = st.sampled_from(["a", "b", "a_b", "c", "b_c", "a_b_c", "get_dynamic_tools", "A", "x" * 70]) | st.text(
    max_size=6
)


@given(st.lists(st.tuples(st.sampled_from(GROUPS), TEXTS), unique=True, max_size=12))
def test_names_are_one_tools_each_and_fit_whatever_is_offered(offered: list[tuple[str, str]]) -> None:
    shown = shown_names(offered, GROUPS)
    assert set(shown) == set(offered)
    folded = [name.casefold() for name in shown.values()]
    assert len(set(folded)) == len(folded)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in shown.values())
    assert shown == shown_names(offered, GROUPS)
    assert not {"get_dynamic_tools", "call_dynamic_tool"} & set(folded)


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "x"},
        tool("x", inputSchema=None),
        tool("x", inputSchema={}),
        tool("x", inputSchema={"type": "array"}),
        tool("x", description=7),
        tool("x", title=[]),
        tool("x", outputSchema={"type": "string"}),
        tool("x", annotations="read only"),
        tool("x", _meta=[1]),
        tool("x", icons={}),
    ],
)
def test_a_definition_that_would_spoil_the_whole_list_is_left_out(odd: dict[str, Any]) -> None:
    assert not is_well_formed(odd)
    direct = DirectTools()
    direct.update({"a": [odd, tool("fine")]}, ["a"])
    assert [entry["name"] for entry in direct.entries] == ["fine"]


def test_definitions_are_untouched_but_for_a_name_that_two_have() -> None:
    whole = tool(
        "one", description="\x1b D", _meta={"anthropic/alwaysLoad": True}, outputSchema={"type": "object"}
    )
    direct = DirectTools()
    direct.update({"a": [whole, tool("two", _meta={"k": 1})], "b": [tool("two")]}, ["a", "b"])
    assert direct.entries[0] is whole
    assert direct.entries[1] == tool("a_two", _meta={"k": 1})
    assert direct.routes == {"one": ("a", "one"), "a_two": ("a", "two"), "b_two": ("b", "two")}


def test_which_tools_are_direct_is_said_by_names_and_globs_and_none_that_is_switched_off() -> None:
    def config(*direct: str, exclude: tuple[str, ...] = ()) -> ServerConfig:
        return ServerConfig("g", "d", StdioServer("x"), direct=direct, tools=ToolSelection(exclude=exclude))

    offered = [tool("read_file"), tool("read_dir"), tool("write"), tool("y" * 300)]

    def chosen(*direct: str, exclude: tuple[str, ...] = ()) -> list[str]:
        return [entry["name"] for entry in direct_tools(config(*direct, exclude=exclude), offered)]

    assert chosen() == []
    assert chosen("read_*", "write") == ["read_file", "read_dir", "write"]
    assert chosen("*", exclude=("read_*",)) == ["write"]
    assert chosen("y*") == []
    assert len(chosen("*")) == 4
