"""What sessions, tools and upstream_errors decide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.config.model import ToolSelection
from dmcp.errors import DownstreamError, UpstreamError
from dmcp.protocol import tools, upstream_errors
from dmcp.protocol.eras.handshake import ClientSession, ServerSession
from dmcp.protocol.jsonrpc import Response
from dmcp.protocol.operations import CallTool, ClientProfile, is_repeatable
from harness.measured import processor_time

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


def hello(revision: str) -> dict[str, Any]:
    return {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_known_revision_is_agreed_on_with_a_client(revision: str) -> None:
    session = ServerSession()
    assert session.initialize(hello(revision))["protocolVersion"] == revision
    assert session.takes_batches == (revision == "2025-03-26")


def test_a_session_is_initialized_once() -> None:
    session = ServerSession()
    session.initialize(hello("2025-11-25"))
    with pytest.raises(DownstreamError, match="already initialized"):
        session.initialize(hello("2025-03-26"))
    assert session.profile is not None
    assert session.profile.revision == "2025-11-25"


def test_an_upstream_is_shown_what_the_client_declared_but_tasks() -> None:
    profile = ClientProfile(
        "2025-11-25", {"roots": {"listChanged": True}, "tasks": {}}, {"name": "c", "version": "1"}
    )
    shown = ClientSession.initialize_params(profile)
    assert shown["capabilities"] == {"roots": {"listChanged": True}}
    assert shown["clientInfo"] == {"name": "c", "version": "1"}


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_known_revision_of_an_upstream_is_taken(revision: str) -> None:
    session = ClientSession()
    session.on_initialize_result({"protocolVersion": revision, "capabilities": {"tools": {}}})
    assert session.revision == revision
    assert session.has("tools")
    assert not session.has("prompts")


@pytest.mark.parametrize(
    "result", [None, [], "x", {}, {"protocolVersion": 1}, {"protocolVersion": "1999-12-31"}]
)
def test_a_welcome_that_is_none_is_the_upstreams_fault(result: Any) -> None:
    with pytest.raises(UpstreamError):
        ClientSession().on_initialize_result(result)


@pytest.mark.parametrize(
    ("capabilities", "can"),
    [({}, False), ({"x": None}, False), ({"x": False}, False), ({"x": {}}, True), ({"x": True}, True)],
)
def test_a_capability_is_there_unless_it_is_missing_or_denied(
    capabilities: dict[str, Any], can: bool
) -> None:
    assert ClientProfile("2025-11-25", capabilities).can("x") is can


@pytest.mark.parametrize(
    ("args", "read"),
    [(None, {}), ({}, {}), ("", {}), ("  ", {}), ('{"a":1}', {"a": 1}), ({"a": [1.0]}, {"a": [1.0]})],
)
def test_arguments_are_read_as_an_object_or_a_text_of_one(args: Any, read: dict[str, Any]) -> None:
    call = tools.read_call({"group": "g", "name": "n", "args": args})
    assert isinstance(call, tools.ToolCall)
    assert call.arguments == read


@pytest.mark.parametrize("args", [[], 1, True, "x", "[1]", '{"a":', "null and void"])
def test_arguments_that_are_no_object_are_refused_by_name(args: Any) -> None:
    refusal = tools.read_call({"group": "g", "name": "n", "args": args})
    assert isinstance(refusal, str)
    assert "'args'" in refusal


def test_a_close_match_is_offered_and_few_names_are_all_told() -> None:
    close = json.loads(tools.unknown("tool", "browser_nav", ["browser_navigate", "other"]))
    assert "'browser_navigate'" in close["content"][0]["text"]
    assert close["isError"] is True
    few = json.loads(tools.unknown("tool", "zzz", ["a", "b"]))
    assert "a, b" in few["content"][0]["text"]


@pytest.mark.parametrize(
    ("selection", "name", "on"),
    [
        (ToolSelection(), "x", True),
        (ToolSelection(include=("a*",)), "abc", True),
        (ToolSelection(include=("a*",)), "b", False),
        (ToolSelection(exclude=("*_delete",)), "x_delete", False),
        (ToolSelection(include=("a",), exclude=("a",)), "a", False),
        (ToolSelection(include=("A",)), "a", False),
        (ToolSelection(include=("a?[bc]*d",)), "axbxd", True),
        (ToolSelection(include=("a[*",)), "a[x", True),
        (ToolSelection(), "x" * 300, True),
        (ToolSelection(include=("*",)), "x" * 256, True),
        (ToolSelection(include=("*",)), "x" * 257, False),
        (ToolSelection(exclude=("y",)), "x" * 257, False),
    ],
)
def test_a_tool_is_on_if_included_and_not_excluded(selection: ToolSelection, name: str, on: bool) -> None:
    assert tools.is_selected(selection, name) is on


@pytest.mark.parametrize(
    ("annotations", "repeatable"),
    [
        (None, False),
        ({}, False),
        ({"readOnlyHint": True}, True),
        ({"idempotentHint": True}, True),
        ({"readOnlyHint": "yes"}, False),
        ({"readOnlyHint": False, "destructiveHint": True}, False),
        ("odd", False),
    ],
)
def test_only_a_tool_that_says_so_is_called_twice(annotations: Any, repeatable: bool) -> None:
    known = {"t": {"name": "t", "annotations": annotations}}
    assert is_repeatable(CallTool("t", {}), known) is repeatable
    assert not is_repeatable(CallTool("unknown", {}), known)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (b'{"code":1.0, "message":"no", "data":[1.50]}', b'{"code":1.0, "message":"g: no", "data":[1.50]}'),
        # A client may drop what is no error object, and would wait for ever.
        (b'{"code":1}', b'{"code":1,"message":"g: {\\"code\\":1}"}'),
        (b'{"code":"x","message":"no"}', b'{"code":-32000,"message":"g: no"}'),
        (b'{"code":1.5,"message":"no"}', b'{"code":-32000,"message":"g: no"}'),
        (b'{"code":true,"message":"no"}', b'{"code":-32000,"message":"g: no"}'),
        (b'{"code":1e400,"message":"no"}', b'{"code":-32000,"message":"g: no"}'),
    ],
)
def test_an_error_names_the_group_and_is_otherwise_untouched_where_it_is_one(
    error: bytes, told: bytes
) -> None:
    assert upstream_errors.name_group("g", Response(b"1", None, error)) == told


def test_selecting_among_many_foreign_names_is_linear_in_their_length() -> None:
    patterns = tuple(f"*a*a*a*{number}*b" for number in range(20))
    names = ["a" * 250 + str(number) for number in range(5000)]
    with processor_time() as used:
        assert not [name for name in names if tools.is_selected(ToolSelection(include=patterns), name)]
    assert used.seconds < 2  # backtracking would take hours
