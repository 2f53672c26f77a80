from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.config.loading import load, read
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
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Written = Callable[..., Path]


LOCAL = {"description": "d", "command": "npx"}
REMOTE = {"description": "d", "url": "https://h.example/mcp"}


def servers(**entries: dict[str, Any]) -> dict[str, Any]:
    return {"mcpServers": entries}


def only(configuration: Configuration) -> ServerConfig:
    (server,) = configuration.servers.values()
    return server


def test_a_local_server_with_nothing_but_the_necessary_has_the_documented_defaults(written: Written) -> None:
    server = only(load(written(servers(a=LOCAL)), {}))
    assert server == ServerConfig("a", "d", StdioServer("npx"))
    assert server.timeout == Timeouts(30, 10, 10, 30)
    assert server.features == Features(tools=True, resources=True, prompts=True)
    assert server.startup == "eager"


def test_every_key_of_a_local_server_arrives(written: Written) -> None:
    entry = {
        **LOCAL,
        "type": "stdio",
        "args": ["-y", "x"],
        "env": {"A": "1"},
        "cwd": "/srv",
        "features": {"prompts": False, "sampling": False, "elicitation": False, "roots": False},
        "timeout": {"tools": "1min", "resources": 5, "prompts": None, "connect": ""},
        "restart": {"intensity": 3, "period": "1m", "backoff_min": "1s", "backoff_max": "2s"},
        "tools": {"include": ["read_*"], "exclude": ["read_all"]},
        "limits": {
            "frame": "256MiB",
            "listing_entries": 10,
            "listing_bytes": 4096,
            "server_requests": 0,
            "notifications": 12.5,
            "call_time": "1h",
        },
        "startup": "lazy",
        "idle_stop": "10m",
    }
    assert only(load(written(servers(a=entry)), {})) == ServerConfig(
        name="a",
        description="d",
        target=StdioServer("npx", ("-y", "x"), {"A": "1"}, "/srv"),
        features=Features(prompts=False, sampling=False, elicitation=False, roots=False),
        timeout=Timeouts(tools=60, resources=5),
        restart=RestartPolicy(3, 60, 1, 2),
        tools=ToolSelection(("read_*",), ("read_all",)),
        limits=Limits(256 * 1024 * 1024, 10, 4096, 0, 12.5, 3600),
        startup="lazy",
        idle_stop=600,
    )


def test_a_limit_comes_from_the_entry_else_from_the_file_else_is_the_usual_one(written: Written) -> None:
    file = {
        "limits": {"frame": "1MB", "listing_entries": 7},
        "mcpServers": {"a": {**LOCAL, "limits": {"frame": "2MB", "listing_bytes": None}}, "b": LOCAL},
    }
    found = load(written(file), {}).servers
    assert found["a"].limits == Limits(frame=2_000_000, listing_entries=7)
    assert found["b"].limits == Limits(frame=1_000_000, listing_entries=7)


def test_every_key_of_a_remote_server_arrives(written: Written) -> None:
    oauth = {
        "client_id": "id",
        "client_secret": "hush-hush",
        "scopes": ["a", "b"],
        "client_metadata_url": "https://me.example/client.json",
        "redirect_port": 8123,
        "grant": "client_credentials",
        "token_endpoint_auth_method": "private_key_jwt",
        "private_key_file": "/k.pem",
    }
    entry = {**REMOTE, "type": "sse", "headers": {"X-Team": "blue"}, "oauth": oauth}
    expected = OAuthSettings(
        "id",
        "hush-hush",
        ("a", "b"),
        "https://me.example/client.json",
        8123,
        "client_credentials",
        "private_key_jwt",
        "/k.pem",
    )
    target = RemoteServer("https://h.example/mcp", "sse", {"X-Team": "blue"}, expected)
    assert only(load(written(servers(a=entry)), {})).target == target


def test_the_predecessors_oauth_keys_mean_the_same_as_the_newer_ones(written: Written) -> None:
    old = servers(a={**REMOTE, "oauth_client_id": "${ID}", "oauth_scopes": ["r", "w"]})
    new = servers(a={**REMOTE, "oauth": {"client_id": "${ID}", "scopes": ["r", "w"]}})
    environ = {"ID": "client"}
    assert load(written(old), environ).servers == load(written(new, "new.json"), environ).servers


def test_a_remote_server_without_a_type_finds_its_transport_itself(written: Written) -> None:
    target = only(load(written(servers(a=REMOTE)), {})).target
    assert isinstance(target, RemoteServer)
    assert target.kind == "auto"


def test_null_leaves_an_optional_key_at_its_default_as_in_the_predecessor(written: Written) -> None:
    local = {**LOCAL, "args": None, "env": None, "timeout": {"tools": None}}
    remote = {**REMOTE, "headers": None, "oauth_client_id": None, "oauth_scopes": None}
    found = load(written({"$schema": None, **servers(a=local, b=remote)}), {})
    plain = load(written(servers(a=LOCAL, b=REMOTE), "plain.json"), {})
    assert found.servers == plain.servers


def test_a_disabled_server_is_left_out_and_needs_no_environment(written: Written) -> None:
    entry = {**LOCAL, "enabled": False, "env": {"T": "${UNSET}"}}
    assert list(load(written(servers(a=LOCAL, b=entry)), {}).servers) == ["a"]


def test_servers_keep_the_order_of_the_file(written: Written) -> None:
    names = ["zeta", "alpha", "my.server", "mid dle"]
    assert list(load(written(servers(**dict.fromkeys(names, LOCAL))), {}).servers) == names


def test_the_startup_of_the_file_is_the_default_of_its_servers(written: Written) -> None:
    content = {"startup": "lazy", **servers(a=LOCAL, b={**LOCAL, "startup": "eager"})}
    found = load(written(content), {}).servers
    assert (found["a"].startup, found["b"].startup) == ("lazy", "eager")


def test_the_place_for_tokens_can_be_chosen(written: Written) -> None:
    assert load(written({"oauth_store": "keyring", **servers()}), {}).oauth_store == "keyring"
    assert load(written(servers(), "usual.json"), {}).oauth_store == "file"


JSONC = """\ufeff// comment
{
  /* { "mcpServers": */
  "mcpServers": { "a": { "description": "d", "command": "npx", }, },
}
"""
TOML = '[mcpServers.a]\ndescription = "d"\ncommand = "npx"\n'
JSON = '\r\n{"mcpServers":\r\n{"a": {"description": "d", "command": "npx"}}}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.json", JSON),
        ("c.json", JSONC),
        ("c.jsonc", JSONC),
        ("c.JSON", JSON),
        ("c.toml", TOML),
        ("c.toml", "\ufeff" + TOML.replace("\n", "\r\n")),
        ("config", JSON),
        ("config.txt", JSONC),
        ("config.conf", TOML),
    ],
)
def test_each_language_is_known_by_suffix_or_else_by_content(
    written: Written, name: str, content: str
) -> None:
    assert only(load(written(content, name), {})) == ServerConfig("a", "d", StdioServer("npx"))


def test_references_are_filled_in_wherever_they_are_allowed(written: Written) -> None:
    local = {
        "description": "${V}",
        "command": "${V}/run",
        "args": ["--x=${V}", "$V", "$${V}"],
        "env": {"A": "${V}", "B": "${UNSET:-b}"},
        "cwd": "/${V}",
    }
    oauth = {"client_secret": "${V}", "scopes": ["${V}"], "client_id": "${V}"}
    remote = {"description": "d", "url": "https://${V}/", "headers": {"X": "${V}"}, "oauth": oauth}
    found = load(written(servers(a=local, b=remote)), {"V": "v"}).servers
    assert found["a"].description == "${V}"
    assert found["a"].target == StdioServer("v/run", ("--x=v", "$V", "${V}"), {"A": "v", "B": "b"}, "/v")
    assert found["b"].target == RemoteServer(
        "https://v/", "auto", {"X": "v"}, OAuthSettings("v", "v", ("v",))
    )


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({**LOCAL, "env": {"T": "${GH_TOKEN}"}}, "env.T"),
        ({**LOCAL, "args": ["x", "${GH_TOKEN}"]}, "args[1]"),
        ({**REMOTE, "url": "https://${GH_TOKEN}/"}, "url"),
        ({**REMOTE, "headers": {"Authorization": "Bearer ${GH_TOKEN}"}}, "headers.Authorization"),
        ({**REMOTE, "oauth": {"client_secret": "${GH_TOKEN}"}}, "oauth.client_secret"),
    ],
)
def test_an_unset_variable_makes_one_server_unavailable_and_names_itself(
    written: Written, entry: dict[str, Any], place: str
) -> None:
    found = load(written(servers(a=entry, b=LOCAL)), {}).servers
    target = found["a"].target
    assert isinstance(target, Unresolved)
    assert target.reason.startswith(f"environment variable GH_TOKEN is not set (used in {place})")
    assert found["b"].target == StdioServer("npx")


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ({**REMOTE, "url": "${V}"}, "ftp://h", "url must begin with http:// or https://"),
        ({**LOCAL, "command": "${V}"}, "", "command is empty"),
        ({**REMOTE, "headers": {"X": "${V}"}}, "a\nb", "headers.X has a line break"),
        ({**LOCAL, "env": {"X": "${V}"}}, "a\0b", "env.X has a NUL"),
    ],
)
def test_a_value_that_the_environment_made_unusable_makes_one_server_unavailable(
    written: Written, entry: dict[str, Any], value: str, said: str
) -> None:
    target = only(load(written(servers(a=entry)), {"V": value})).target
    assert isinstance(target, Unresolved)
    assert target.reason.startswith(said)


def test_all_that_may_be_secret_is_collected(written: Written) -> None:
    local = {**LOCAL, "args": ["--key=${KEY}"], "env": {"A": "env-value"}}
    remote = {
        "description": "d",
        "url": "https://ada:pass%20word@h.example/?k=query-value&plain",
        "headers": {"Authorization": "Bearer header-token"},
        "oauth": {"client_secret": "oauth-secret"},
    }
    broken = {**REMOTE, "headers": {"X": "kept-anyway", "Y": "${UNSET}"}}
    found = load(written(servers(a=local, b=remote, c=broken)), {"KEY": "key-value"}).secrets
    assert found >= {
        "key-value",
        "env-value",
        "ada",
        "pass word",
        "pass%20word",
        "query-value",
        "Bearer header-token",
        "header-token",
        "oauth-secret",
        "kept-anyway",
    }
    assert "" not in found


def test_a_path_that_holds_a_variable_is_no_secret(written: Written) -> None:
    entry = {"description": "d", "command": "${BIN}/x", "cwd": "${DIR}"}
    assert not load(written(servers(a=entry)), {"BIN": "/opt/bin", "DIR": "/srv"}).secrets


def test_no_secret_shows_in_the_representation_of_a_configuration(written: Written) -> None:
    local = {**LOCAL, "args": ["s3cret"], "env": {"A": "s3cret"}}
    remote = {
        **REMOTE,
        "url": "https://h/?s3cret",
        "headers": {"X": "s3cret"},
        "oauth": {"client_secret": "s3cret"},
    }
    assert "s3cret" not in repr(load(written(servers(a=local, b=remote)), {}))


def test_reading_gives_the_values_and_the_line_of_each_key(written: Written) -> None:
    document = read(written(JSONC, "c.jsonc"))
    assert document.values["mcpServers"]["a"]["command"] == "npx"
    assert document.positions.line(("mcpServers", "a", "command")) == 4


def test_importing_the_loader_imports_no_parser() -> None:
    program = (
        "import sys, dmcp.config.loading, dmcp.config.watching, dmcp.config.diff;"
        "print([m for m in ('pydantic', 'json5', 'tomli', 'watchfiles', 'click') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_where_and_how_to_sign_in_is_taken_over(tmp_path: Path) -> None:
    oauth = {
        "client_id": "mine",
        "issuer": "${ISSUER}",
        "resource": "${AUDIENCE:-api://mine}",
        "redirect_host": "localhost",
        "redirect_port": 3118,
        "redirect_path": "/slack/done",
        "assume_pkce": True,
    }
    server = {"description": "d", "url": "https://far.example/mcp", "oauth": oauth}
    path = tmp_path / "dmcp.json"
    path.write_text(json.dumps({"mcpServers": {"far": server}}), encoding="utf-8")
    target = load(path, {"ISSUER": "https://login.example"}).servers["far"].target
    assert isinstance(target, RemoteServer)
    assert (target.oauth.issuer, target.oauth.resource) == ("https://login.example", "api://mine")
    assert (target.oauth.redirect_host, target.oauth.redirect_path) == ("localhost", "/slack/done")
    assert target.oauth.assume_pkce is True


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("issuer", "http://login.example"),
        ("issuer", "login.example"),
        ("redirect_host", "example.com"),
        ("redirect_path", "done"),
        ("redirect_path", "/a b"),
        ("resource", 7),
        ("resource", ""),
        ("assume_pkce", "yes"),
    ],
)
def test_a_place_to_sign_in_at_that_cannot_be_one_is_a_mistake(
    tmp_path: Path, key: str, value: object
) -> None:
    server = {"description": "d", "url": "https://far.example/mcp", "oauth": {key: value}}
    path = tmp_path / "dmcp.json"
    path.write_text(json.dumps({"mcpServers": {"far": server}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=key):
        load(path, {})
