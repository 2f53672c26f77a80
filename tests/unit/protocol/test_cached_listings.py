"""What is kept of a lazy server: which configurations share it, and which bytes are believed."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from dmcp.config.model import (
    Features,
    OAuthSettings,
    RemoteServer,
    RestartPolicy,
    ServerConfig,
    StdioServer,
    Timeouts,
    ToolSelection,
)
from dmcp.protocol.cached_listings import CachedListings, dump, fingerprint, load

LOCAL = StdioServer("run", ("--all",), MappingProxyType({"A": "1", "B": "2"}), "/here")
REMOTE = RemoteServer("https://example.com/mcp", "http", MappingProxyType({"X": "1"}))
CONFIG = ServerConfig("g", "What it is", LOCAL)
KEPT = CachedListings(
    {"tools": ({"name": "t", "inputSchema": {"n": 1.5}},), "resources": (), "prompts": ({"name": "é"},)},
    frozenset({"tools", "resources", "prompts"}),
)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "h"},
        {"description": "Something else"},
        {"timeout": Timeouts(tools=1.0)},
        {"restart": RestartPolicy(intensity=1)},
        {"idle_stop": 5.0},
        {"target": replace(LOCAL, env=MappingProxyType({"B": "2", "A": "1"}))},
    ],
    ids=str,
)
def test_what_does_not_change_what_is_offered_shares_a_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(replace(CONFIG, **change)) == fingerprint(CONFIG)


@pytest.mark.parametrize(
    "change",
    [
        {"target": replace(LOCAL, command="walk")},
        {"target": replace(LOCAL, args=("--all", "--more"))},
        {"target": replace(LOCAL, env=MappingProxyType({"A": "1", "B": "3"}))},
        {"target": replace(LOCAL, cwd=None)},
        {"target": replace(REMOTE, kind="sse")},
        {"target": replace(REMOTE, url="https://example.org/mcp")},
        {"target": replace(REMOTE, headers=MappingProxyType({"X": "2"}))},
        {"target": replace(REMOTE, oauth=OAuthSettings(client_id="me"))},
        {"features": Features(prompts=False)},
        {"tools": ToolSelection(exclude=("t",))},
    ],
    ids=str,
)
def test_what_may_change_what_is_offered_does_not(change: dict[str, Any]) -> None:
    before = replace(CONFIG, target=REMOTE) if isinstance(change.get("target"), RemoteServer) else CONFIG
    assert fingerprint(replace(before, **change)) != fingerprint(before)


def test_no_value_can_be_read_in_a_fingerprint() -> None:
    secret = StdioServer("run", env=MappingProxyType({"TOKEN": "abcdef"}))
    name = fingerprint(replace(CONFIG, target=secret))
    assert "abcdef" not in name
    assert len(name) == 64


def test_what_was_packed_is_unpacked() -> None:
    assert load("f", dump("f", KEPT)) == KEPT


def test_nothing_at_all_can_be_kept() -> None:
    nothing = CachedListings({}, frozenset())
    assert load("f", dump("f", nothing)) == nothing


def test_what_was_kept_for_another_is_not_believed() -> None:
    assert load("g", dump("f", KEPT)) is None


def test_half_of_it_is_never_believed() -> None:
    whole = dump("f", KEPT)
    assert all(load("f", whole[:end]) is None for end in range(len(whole)))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": None},
        {"offered": None},
        {"offered": ["wishes"]},
        {"offered": [["tools"]]},
        {"listings": []},
        {"listings": {"wishes": []}},
        {"listings": {"tools": {}}},
        {"listings": {"tools": ["t"]}},
        {"listings": {"tools": [{"title": "no name"}]}},
        {"listings": {"resources": [{"uri": 1}]}},
    ],
    ids=str,
)
def test_what_dmcp_would_not_have_written_is_not_believed(change: dict[str, Any]) -> None:
    content = json.dumps({**json.loads(dump("f", KEPT)), **change}).encode()
    assert load("f", content) is None
