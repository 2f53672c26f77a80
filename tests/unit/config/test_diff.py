from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dmcp.config.diff import IN_PLACE, ReloadPlan, plan
from dmcp.config.model import (
    Configuration,
    Features,
    Limits,
    OAuthSettings,
    RemoteServer,
    RestartPolicy,
    ServerConfig,
    StdioServer,
    Timeouts,
    ToolSelection,
    Unresolved,
)

LOCAL = ServerConfig("a", "d", StdioServer("x", ("1",), {"A": "b"}))
REMOTE = ServerConfig("r", "d", RemoteServer("https://h/"))

OTHER: dict[str, Any] = {
    "description": "other",
    "features": Features(tools=False),
    "timeout": Timeouts(tools=1),
    "restart": RestartPolicy(intensity=1),
    "tools": ToolSelection(("t",)),
    "direct": ("t",),
    "idle_stop": 5.0,
    "listing_budget": 9000,
    "limits": Limits(listing_entries=1),
    "startup": "lazy",
    "target": StdioServer("y"),
}
"""A different value for every field of a server that can differ between two configurations."""


def of(*servers: ServerConfig, **settings: Any) -> Configuration:
    return Configuration({server.name: server for server in servers}, **settings)


def test_an_equal_configuration_keeps_everything() -> None:
    again = ServerConfig("a", "d", StdioServer("x", ("1",), {"A": "b"}))
    result = plan(of(LOCAL, REMOTE), of(again, REMOTE))
    assert result == ReloadPlan(keep=("a", "r"))
    assert result.is_empty


def test_new_servers_start_and_vanished_ones_stop() -> None:
    result = plan(of(LOCAL), of(REMOTE))
    assert result == ReloadPlan(start=("r",), stop=("a",))
    assert not result.is_empty


def test_every_field_that_can_differ_is_covered_here() -> None:
    assert set(ServerConfig.__struct_fields__) - {"name", "enabled"} == set(OTHER)


@pytest.mark.parametrize("name", sorted(IN_PLACE))
def test_settings_are_taken_over_without_a_new_connection(name: str) -> None:
    result = plan(of(LOCAL, REMOTE), of(replace(LOCAL, **{name: OTHER[name]}), REMOTE))
    assert result == ReloadPlan(update=("a",), keep=("r",), changed={"a": (name,)})


def test_all_settings_together_are_still_taken_over() -> None:
    result = plan(of(LOCAL), of(replace(LOCAL, **{name: OTHER[name] for name in IN_PLACE})))
    assert result.update == ("a",)


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        (replace(LOCAL, startup="lazy"), ("startup",)),
        (
            replace(LOCAL, features=Features(sampling=False, roots=False)),
            ("features.sampling", "features.roots"),
        ),
        (replace(LOCAL, limits=Limits(frame=1024, listing_entries=1)), ("limits.frame",)),
        (replace(LOCAL, target=StdioServer("y", ("1",), {"A": "b"})), ("command",)),
        (replace(LOCAL, target=StdioServer("x", (), {"A": "c"}, "/")), ("args", "env", "cwd")),
        (
            replace(LOCAL, description="o", target=StdioServer("y", ("1",), {"A": "b"})),
            ("description", "command"),
        ),
        (replace(LOCAL, target=RemoteServer("https://h/")), ("type",)),
        (replace(LOCAL, target=Unresolved("no")), ("environment",)),
    ],
)
def test_anything_else_needs_a_new_connection(changed: ServerConfig, keys: tuple[str, ...]) -> None:
    result = plan(of(LOCAL, REMOTE), of(changed, REMOTE))
    assert result == ReloadPlan(restart=("a",), keep=("r",), changed={"a": keys})


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (RemoteServer("https://i/"), "url"),
        (RemoteServer("https://h/", "sse"), "type"),
        (RemoteServer("https://h/", headers={"A": "b"}), "headers"),
        (RemoteServer("https://h/", oauth=OAuthSettings("id")), "oauth"),
    ],
)
def test_a_remote_server_is_connected_anew_when_its_address_or_credentials_change(
    target: RemoteServer, key: str
) -> None:
    result = plan(of(REMOTE), of(replace(REMOTE, target=target)))
    assert result == ReloadPlan(restart=("r",), changed={"r": (key,)})


def test_a_server_whose_variable_is_now_set_is_started() -> None:
    result = plan(of(replace(LOCAL, target=Unresolved("no"))), of(LOCAL))
    assert result == ReloadPlan(restart=("a",), changed={"a": ("environment",)})


def test_another_place_for_tokens_concerns_remote_servers_only() -> None:
    result = plan(of(LOCAL, REMOTE), of(LOCAL, REMOTE, oauth_store="keyring"))
    assert result == ReloadPlan(keep=("a",), restart=("r",), changed={"r": ("oauth_store",)})


def test_the_order_is_that_of_the_files() -> None:
    old = of(*(replace(LOCAL, name=name) for name in "zyx"))
    new = of(*(replace(LOCAL, name=name) for name in "cab"))
    assert plan(old, new) == ReloadPlan(start=("c", "a", "b"), stop=("z", "y", "x"))
