"""A server gets what is its own of dmcp's environment, and ``dmcp check`` says what it does not get."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.coding_tools import install as installing
from dmcp.cli.coding_tools.places import Machine
from dmcp.config.model import StdioServer
from dmcp.protocol.environment import helper_environment, not_given, server_environment
from harness import EVENTS, RawClient, RpcError, dmcp_command, write_config
from harness.cli import run_dmcp
from harness.configs import TESTS, Entry, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
REPORT = TESTS / "servers" / "process_report.py"
OUTSIDE = {
    "A_TOKEN": "secret-of-a",
    "B_URL_KEY": "secret-of-b",
    "SHARED_KEY": "secret-of-both",
    "ONLY_DEFAULTED": "secret-too",
    "FREE": "for everybody",
    "DMCP_LOG": "warning",
    "DMCP_SOMETHING": "own",
    "_DMCP_COMPLETE_NOT": "own",
    "DYNAMIC_MCP_CONFIG": "/nowhere",
    "LC_TIME": "C",
    "https_proxy": "http://user:pw@127.0.0.1:1",
    "no_proxy": "*",
    "NODE_EXTRA_CA_CERTS": "/nowhere.pem",
}


def reporting(*arguments: str, **more: Any) -> Entry:
    return python_server(REPORT, *arguments, **more)


async def started_with(config: Path, group: str, env: dict[str, str] = OUTSIDE) -> dict[str, Any]:
    async with RawClient(dmcp_command(config), env=env) as client:
        await client.initialize()
        result = await client.call(group, "report")
    report: dict[str, Any] = json.loads(result["content"][0]["text"])
    return report


async def environment_of(config: Path, group: str) -> dict[str, str]:
    env: dict[str, str] = (await started_with(config, group))["env"]
    return env


@pytest.fixture
def config(tmp_path: Path) -> Path:
    servers: dict[str, Entry] = {
        "a": reporting("--token=${A_TOKEN}", "${ONLY_DEFAULTED:-none}", "${SHARED_KEY}", "${HOME}"),
        "b": reporting(env={"KEY": "x-${SHARED_KEY}"}),
        "c": reporting(env={"A_TOKEN": "given to c by hand"}),
        "remote": {
            "url": "http://127.0.0.1:9/${B_URL_KEY:-${NESTED_ONE:-x}}",
            "headers": {"X-Key": "${NESTED_TWO:-}"},
            "oauth": {"client_secret": "${NESTED_THREE:-x}"},
            "startup": "lazy",
        },
        "off": {**reporting("${OF_A_DISABLED_ONE:-}"), "enabled": False},
    }
    return write_config(tmp_path / "c.json", servers)


async def test_the_server_whose_entry_refers_to_a_variable_keeps_it(config: Path) -> None:
    env = await environment_of(config, "a")
    assert env["A_TOKEN"] == "secret-of-a"
    assert env["ONLY_DEFAULTED"] == "secret-too"
    assert env["SHARED_KEY"] == "secret-of-both"
    assert env["FREE"] == "for everybody"


async def test_what_other_servers_refer_to_is_withheld_and_the_rest_is_passed_on_as_ever(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("NESTED_ONE", "NESTED_TWO", "NESTED_THREE", "OF_A_DISABLED_ONE")
    for name in names:
        monkeypatch.setenv(name, "secret")
    env = await environment_of(config, "b")
    assert not env.keys() & {"A_TOKEN", "ONLY_DEFAULTED", "B_URL_KEY", *names}
    assert env["SHARED_KEY"] == "secret-of-both"
    assert env["KEY"] == "x-secret-of-both"
    assert env["FREE"] == "for everybody"
    assert env["HOME"], "needed by every program, whoever refers to it"
    assert env["https_proxy"]


async def test_what_is_given_by_hand_is_given_whatever_the_others_refer_to(config: Path) -> None:
    env = await environment_of(config, "c")
    assert env["A_TOKEN"] == "given to c by hand"
    assert "SHARED_KEY" not in env


async def test_no_server_gets_what_is_addressed_to_dmcp(config: Path) -> None:
    env = await environment_of(config, "b")
    assert not [name for name in env if name.startswith(("DMCP_", "_DMCP_", "DYNAMIC_MCP"))]


@pytest.mark.parametrize("top_level", [True, False])
async def test_without_inheritance_a_server_gets_the_least_a_program_needs(
    tmp_path: Path, top_level: bool
) -> None:
    entry = reporting(env={"OWN": "1"})
    config = (
        write_config(tmp_path / "c.json", {"a": entry}, inherit_env=False)
        if top_level
        else write_config(tmp_path / "c.json", {"a": {**entry, "inherit_env": False}})
    )
    env = await environment_of(config, "a")
    assert env["OWN"] == "1"
    assert {"PATH", "HOME", "LC_TIME", "https_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS"} <= env.keys()
    assert not env.keys() & {"FREE", "A_TOKEN", "DMCP_LOG"}


async def test_a_list_gives_the_least_and_what_is_named(tmp_path: Path) -> None:
    servers = {
        "a": reporting("${A_TOKEN}"),
        "b": reporting(inherit_env=["FREE", "A_TOKEN", "DMCP_SOMETHING", "NOT_SET"]),
        "c": reporting(inherit_env=True),
    }
    config = write_config(tmp_path / "c.json", servers, inherit_env=[])
    env = await environment_of(config, "b")
    assert env["FREE"] == "for everybody"
    assert env["A_TOKEN"] == "secret-of-a", "the person has named it for this server"
    assert not env.keys() & {"SHARED_KEY", "DMCP_SOMETHING", "NOT_SET"}
    assert "FREE" not in await environment_of(config, "a")
    assert "FREE" in await environment_of(config, "c")


async def test_a_reload_counts_at_the_next_start_and_restarts_no_other_server(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"a": reporting(), "b": reporting()})
    env = {**OUTSIDE, **EVENTS}
    async with RawClient(dmcp_command(config), env=env) as client:
        await client.initialize()
        first = json.loads((await client.call("b", "report"))["content"][0]["text"])
        assert first["env"]["A_TOKEN"]
        write_config(config, {"a": reporting("${A_TOKEN}"), "b": reporting()})
        await client.event("ConfigurationApplied", first=False, restarted=1, kept=1)
        second = json.loads((await client.call("b", "report"))["content"][0]["text"])
        assert second["pid"] == first["pid"]
        os.kill(first["pid"], signal.SIGKILL)
        third = second
        while third["pid"] == first["pid"]:
            try:
                third = json.loads((await client.call("b", "report"))["content"][0]["text"])
            except RpcError:
                continue  # the call that was in flight when it died
        assert "A_TOKEN" not in third["env"]


def test_check_names_what_each_server_is_not_given_and_shows_no_value(config: Path) -> None:
    done = run_dmcp("check", config, "--json", env=OUTSIDE)
    found = {server["group"]: server["not_given"] for server in json.loads(done.stdout)["servers"]}
    assert found["b"]["A_TOKEN"] == "only a refers to it"
    assert found["b"]["B_URL_KEY"] == "only remote refers to it"
    assert "SHARED_KEY" not in found["b"]
    assert "FREE" not in found["b"]
    assert found["a"].keys() == {
        "B_URL_KEY",
        *(name for name in found["a"] if "DMCP" in name or "DYNAMIC" in name),
    }
    assert found["b"]["DMCP_SOMETHING"] == "dmcp's own"
    assert "A_TOKEN" not in found["c"], "it has one of its own"
    assert found["remote"] == {}
    shown = run_dmcp("check", config, env=OUTSIDE)
    assert "A_TOKEN" in shown.stdout
    assert "secret-of" not in done.stdout + shown.stdout + shown.stderr


@pytest.mark.parametrize("value", ["yes", 1, {}, ["A*"], ["A?"], ["A=B"], [""], ["A B"], [1], None], ids=str)
def test_a_value_that_is_not_understood_is_an_error(tmp_path: Path, value: Any) -> None:
    config = write_config(tmp_path / "c.json", {"a": reporting()}, inherit_env=value)
    done = run_dmcp("check", config)
    assert done.returncode == 2
    assert "inherit_env must" in done.stderr


def test_it_is_for_local_servers_only(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"a": {"url": "http://127.0.0.1:9/", "inherit_env": False}})
    done = run_dmcp("check", config)
    assert done.returncode == 2
    assert "inherit_env is only for servers with a command" in done.stderr


def test_on_windows_names_are_the_same_however_they_are_written() -> None:
    environ = {"PATH": "dmcp's", "TOKEN": "1", "FREE": "1", "SYSTEMROOT": "W", "DMCP_LOG": "x", "NAMED": "1"}
    server = StdioServer("x", env={"Path": "its own"})
    made = server_environment(server, environ, ["Token"], "win32")
    assert made == {"PATH": "its own", "FREE": "1", "SYSTEMROOT": "W", "NAMED": "1"}
    assert not_given(server, environ, {"Token": "a"}, "win32") == {
        "TOKEN": "only a refers to it",
        "DMCP_LOG": "dmcp's own",
    }
    least = server_environment(StdioServer("x", inherit_env=("Named",)), environ, (), "win32")
    assert least == {"PATH": "dmcp's", "SYSTEMROOT": "W", "NAMED": "1"}


def test_on_posix_names_that_differ_in_case_are_different() -> None:
    environ = {"TOKEN": "1", "Token": "2"}
    assert server_environment(StdioServer("x"), environ, ["TOKEN"], "linux") == {"Token": "2"}


def test_a_shell_function_is_no_setting() -> None:
    environ = {"HOME": "() { evil; }", "LANG": "C"}
    assert server_environment(StdioServer("x", inherit_env=False), environ, (), "linux") == {"LANG": "C"}


def test_the_programs_dmcp_runs_itself_get_no_secret() -> None:
    environ = {
        "PATH": "/bin",
        "HOME": "/h",
        "DISPLAY": ":0",
        "XAUTHORITY": "/x",
        "SSH_AUTH_SOCK": "/s",
        "ODD": "hidden",
        "GITHUB_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "s",
        "DB_PASSWORD": "p",
        "DMCP_LOG": "debug",
    }
    made = helper_environment(environ, lambda text: "***" if text == "hidden" else text)
    assert made.keys() == {"PATH", "HOME", "DISPLAY", "XAUTHORITY", "SSH_AUTH_SOCK"}


def test_a_coding_tools_own_command_gets_no_secret(tmp_path: Path) -> None:
    out = tmp_path / "env.json"
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    environ = {"PATH": "/bin", "HOME": str(tmp_path), "X_TOKEN": "t", "DMCP_LOG": "debug"}
    machine = Machine(tmp_path, tmp_path, environ, sys.platform)
    installing.run_command([sys.executable, "-c", program, str(out)], machine)
    seen = json.loads(out.read_text())
    assert seen["HOME"] == str(tmp_path)
    assert not seen.keys() & {"X_TOKEN", "DMCP_LOG"}
