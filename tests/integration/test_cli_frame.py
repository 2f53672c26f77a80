"""The command line as a person meets it: help, mistakes, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from dmcp import __main__, __version__
from dmcp.cli.main import COMMANDS, dmcp
from harness.cli import run_dmcp
from harness.configs import write_config
from harness.raw import RawClient, RpcError, dmcp_command

if TYPE_CHECKING:
    from pathlib import Path

PING = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"}) + "\n"
PONG = {"jsonrpc": "2.0", "id": 7, "result": {}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "dynamic-mcp.json", {})


def test_the_front_door_knows_the_same_commands_as_the_command_line() -> None:
    assert set(COMMANDS) == __main__.COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_overview_is_there_and_has_its_line_of_help(name: str) -> None:
    command = dmcp.get_command(click.Context(dmcp), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.short_help == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_text(name: str) -> None:
    done = run_dmcp(name, "--help")
    assert done.returncode == 0
    assert f"Usage: dmcp {name}" in done.stdout


def test_help_names_every_command_and_every_exit_status() -> None:
    done = run_dmcp("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert "Exit status:" in done.stdout
    assert "\x1b" not in done.stdout


def test_help_imports_no_command() -> None:
    modules = "import sys, dmcp.cli.main as m; m.command_line(['--help'], len); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", modules], capture_output=True, text=True, timeout=20, check=True
    )
    imported = done.stderr.split()
    assert not [module for module, _ in COMMANDS.values() if f"dmcp.cli.{module}" in imported]
    assert not {"pydantic", "rich", "httpx", "dmcp.app"} & set(imported)


def test_version_is_the_packages() -> None:
    assert run_dmcp("--version").stdout == f"dmcp {__version__}\n"


@pytest.mark.parametrize("arguments", [["chekc"], ["chekc", "x.json"], ["-v", "chekc"]])
def test_a_mistyped_command_is_answered_with_the_nearest_one(arguments: list[str]) -> None:
    done = run_dmcp(*arguments)
    assert done.returncode == 2
    assert "chekc is neither a command nor a configuration file. Did you mean: dmcp check?" in done.stderr


@pytest.mark.parametrize("arguments", [["no/such.json"], ["-q", "no/such.json"], ["check", "no/such.json"]])
def test_a_configuration_that_is_not_there_is_named(arguments: list[str]) -> None:
    done = run_dmcp(*arguments)
    assert done.returncode == 2
    assert "no/such.json: there is no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_configuration_it_says_how_to_give_one() -> None:
    done = run_dmcp()
    assert done.returncode == 2
    assert "DYNAMIC_MCP_CONFIG" in done.stderr
    assert done.stdout == ""


def test_an_invalid_configuration_ends_it_with_all_mistakes_told(tmp_path: Path) -> None:
    bad = write_config(tmp_path / "bad.json", {"a": {"comand": "x"}, "b": {}})
    done = run_dmcp(bad)
    assert done.returncode == 2
    assert "mcpServers.a.comand" in done.stderr
    assert "mcpServers.b" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    done = run_dmcp("--jsn")
    assert done.returncode == 2
    assert "--jsn" in done.stderr


@pytest.mark.parametrize("options", [[], ["-v"], ["-vv"], ["-q"]])
def test_it_serves_the_configuration_with_every_log_option(config: Path, options: list[str]) -> None:
    done = run_dmcp(*options, config, stdin=PING)
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [PONG]


def test_it_serves_the_configuration_the_environment_names(config: Path) -> None:
    done = run_dmcp(stdin=PING, env={"DYNAMIC_MCP_CONFIG": str(config)})
    assert done.returncode == 0
    assert json.loads(done.stdout) == PONG


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "logged"), [(["-v"], True), ([], True), (["-q"], False), (["-v", "-q"], False)]
)
async def test_what_goes_wrong_with_a_server_is_logged_unless_it_shall_be_quiet(
    tmp_path: Path, options: list[str], logged: bool
) -> None:
    config = write_config(tmp_path / "broken.json", {"broken": {"command": "no-such-command-anywhere"}})
    async with RawClient(dmcp_command(config, *options)) as client:
        await client.initialize()
        with pytest.raises(RpcError, match="no-such-command-anywhere"):
            await client.tools("broken")
    assert ("broken: the command no-such-command-anywhere was not found" in client.stderr) == logged


@pytest.mark.anyio
async def test_verbose_tells_what_happens(config: Path) -> None:
    async with RawClient(dmcp_command(config, "-v")) as client:
        await client.initialize()
        await client.until(lambda: "configuration in force" in client.stderr, "line about the configuration")


def test_a_configuration_named_like_a_command_is_served_by_its_path(tmp_path: Path) -> None:
    write_config(tmp_path / "check", {})
    done = run_dmcp("./check", stdin=PING, cwd=tmp_path)
    assert json.loads(done.stdout) == PONG


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_completion_script(shell: str) -> None:
    done = run_dmcp(env={"_DMCP_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0
    assert "_DMCP_COMPLETE" in done.stdout


def test_a_shell_completes_the_commands() -> None:
    done = run_dmcp(env={"_DMCP_COMPLETE": "bash_complete", "COMP_WORDS": "dmcp ch", "COMP_CWORD": "1"})
    assert done.stdout == "plain,check\n"


def test_a_fault_of_dmcps_own_is_one_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_config: str | None) -> int:
        raise RuntimeError("something unforeseen")

    monkeypatch.setattr(__main__, "serve", broken)
    monkeypatch.setattr(sys, "argv", ["dmcp"])
    assert __main__.main() == 1
    assert "a fault of dmcp's own: RuntimeError: something unforeseen" in capsys.readouterr().err
