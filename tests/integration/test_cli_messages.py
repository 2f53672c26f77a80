"""What dmcp says at a start, at a reload and of mistakes: once, in one form, with what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dmcp import __version__
from harness import RawClient, RpcError, dmcp_command, write_config
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server
from servers.oauth_process import running

if TYPE_CHECKING:
    from pathlib import Path

NOISY = python_server(TESTS / "servers" / "noisy.py")


@pytest.mark.anyio
async def test_a_healthy_start_and_a_reload_are_said_in_one_line_each(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"one": NOISY, "two": {**NOISY, "startup": "lazy"}})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        await client.logged("serves")
        await client.call("one", "echo")
        write_config(config, {"one": NOISY})
        await client.logged(
            "changed configuration in force: 0 started, 0 restarted, 1 stopped, 0 updated, 1 kept"
        )
        await client.close()
    first, second = client.stderr.splitlines()
    date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
    assert re.match(rf"{date} INFO    dmcp: dmcp {re.escape(__version__)} serves ", first)
    assert first.endswith(f"{config}: 2 servers (one, two)")
    assert re.match(rf"{date} INFO    dmcp: changed configuration in force", second)


@pytest.mark.anyio
async def test_whoever_chose_a_level_gets_no_more_than_that(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"one": NOISY})
    async with RawClient(dmcp_command(config), env={"DMCP_LOG": "warning"}) as client:
        await client.initialize()
        await client.call("one", "echo")
        await client.close()
    assert client.stderr == ""


def test_plan_is_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    old = write_config(tmp_path / "old.json", {"gone": NOISY, "z": NOISY, "m": NOISY})
    new = write_config(
        tmp_path / "new.json", {"z": NOISY, "b": NOISY, "m": {**NOISY, "cwd": "/"}, "a": NOISY}
    )
    done = run_dmcp("plan", old, new)
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["keep", "z"],
        ["start", "b"],
        ["restart", "m"],
        ["start", "a"],
        ["stop", "gone"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"mcpServers": {"a": {"command": "x" "args": []}}}',
            ":1:38: this is not valid JSON: .*a comma seems to be missing before it",
        ),
        (
            '{"mcpServers": {\n "a": {"url": "https://x"} // c\n "b": {}}}',
            ":3:2: .*a comma seems to be missing at the end of line 2",
        ),
        ('{"mcpServers": {"a": {"args": ["1" "2"]}}}', "a comma seems to be missing before it"),
        ('{"mcpServers": {"a" {"command": "x"}}}', "a colon or comma seems to be missing before it"),
        ('{"mcpServers": {"a": {"command": "x"}}', "this is not valid JSON: unexpected end of input\\.$"),
        ('{"mcpServers": {"a": tru}}', "this is not valid JSON: (?!.*missing)"),
    ],
)
def test_a_missing_comma_is_said(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "dmcp.json"
    config.write_text(text)
    done = run_dmcp("plan", config, config)
    assert done.returncode == 2
    assert re.search(said, done.stderr.strip()), done.stderr


def test_no_key_is_suggested_that_is_there(tmp_path: Path) -> None:
    config = tmp_path / "dmcp.json"
    config.write_text('{"mcpServers": {"b": {"command": "x", "comand": "y", "description": "d"}}}')
    done = run_dmcp("plan", config, config)
    assert "did you mean" not in done.stderr
    assert 'mcpServers.b.comand is not a known key, and "command" is there already' in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "no.json", "no.json"],
        ["check", "no.json"],
        ["no.json"],
        ["chekc"],
        ["check", "--jso"],
        ["call"],
    ],
)
def test_every_error_begins_alike(tmp_path: Path, words: list[str]) -> None:
    done = run_dmcp(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["check", "list"])
def test_a_hint_names_the_configuration_that_was_named(tmp_path: Path, command: str) -> None:
    with running() as server:
        config = write_config(tmp_path / "my config.json", {"far": {"url": server.url}})
        done = run_dmcp(command, config, env={"HOME": str(tmp_path), "DISPLAY": "", "BROWSER": ""})
    assert done.returncode == 1
    assert f"`dmcp auth login '{config}' far`" in done.stdout


@pytest.mark.parametrize(
    ("folder", "shown"), [(".config/dmcp", ""), ("an app", "'{config}' ")], ids=["own", "named"]
)
@pytest.mark.anyio
async def test_an_assistant_hears_a_command_that_works_wherever_it_is_typed(
    tmp_path: Path, folder: str, shown: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    with running() as server:
        config = write_config(tmp_path / folder / "dmcp.json", {"far away": {"url": server.url}})
        env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "DMCP_SIGN_IN": "never"}
        async with RawClient(dmcp_command(config), env=env) as client:
            await client.initialize()
            with pytest.raises(RpcError) as refused:
                await client.call("far away", "whoami")
        words = f"`dmcp auth login {shown.format(config=config)}'far away'`"
        assert words in str(refused.value)
        for command in ("check", "call"):
            more = ("far away", "whoami") if command == "call" else ()
            done = run_dmcp(command, *([config] if shown else []), *more, env=env, cwd=tmp_path)
            assert words in done.stdout + done.stderr


def test_a_remote_server_that_lacks_a_variable_is_shown_as_remote(tmp_path: Path) -> None:
    far = {"type": "http", "url": "http://127.0.0.1:9/mcp", "headers": {"X": "${SURELY_NOT_SET}"}}
    config = write_config(tmp_path / "dmcp.json", {"far": far, "near": {**NOISY, "cwd": "${SURELY_NOT_SET}"}})
    rows = {
        line.split()[0]: line.split()[1:] for line in run_dmcp("check", config).stdout.splitlines() if line
    }
    assert rows["far"] == ["unavailable", "http"]
    assert rows["near"] == ["unavailable", "stdio"]


def test_a_reason_that_has_the_mended_line_is_followed_by_no_other_advice(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"a": {"command": "~/bin/server"}})
    shown = run_dmcp("check", config).stdout
    assert 'write "command": ' in shown
    assert "install it" not in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call", "notes", "read_note", "number=1"], "arguments are given with -a: -a number=..."),
        (
            ["call", "dmcp.json", "notes", "read_note", "number=1"],
            "arguments are given with -a: -a number=...",
        ),
        (["call", "notes", "read_note", '{"number": 1}'], "given with --args '{...}'"),
        (["prompt", "summary", "topic=secret"], "arguments are given with -a: -a topic=..."),
        (["check", "."], ".: this is a directory"),
    ],
)
def test_a_habit_of_other_programs_is_answered_with_how_it_is_done_here(
    tmp_path: Path, words: list[str], said: str
) -> None:
    write_config(tmp_path / "dmcp.json", {"notes": NOISY})
    done = run_dmcp(*words, cwd=tmp_path, env={"DYNAMIC_MCP_CONFIG": "dmcp.json"})
    assert done.returncode == 2
    assert said in done.stderr
    assert "secret" not in done.stderr


def test_init_writes_what_a_person_would_write(tmp_path: Path) -> None:
    assert run_dmcp("init", cwd=tmp_path).returncode == 0
    text = (tmp_path / "dynamic-mcp.json").read_text()
    assert '"-m", "dmcp.demo.notes"],' in text
