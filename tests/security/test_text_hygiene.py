"""Nothing a server writes reaches a terminal, the log or a sentence of dmcp's as it is; results stay byte-exact."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from dmcp.text import is_suspicious
from harness import RawClient, dmcp_command, write_config
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server
from harness.raw import RpcError
from security.claims import claimer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

HOSTILE = TESTS / "servers" / "hostile_words.py"
NASTY = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e\u200b\u2066\U000e0041\ufeff\r"


def config_of(room: Path, *arguments: str) -> Path:
    return write_config(room / "dmcp.json", {"g": python_server(HOSTILE, *arguments)})


def assert_clean(*texts: str) -> None:
    for text in texts:
        assert not is_suspicious(text.replace("\r\n", "\n")), ascii(text)


@pytest.mark.parametrize(
    ("command", "status", "shown"),
    [
        (["-vv", "check"], 0, "1 of 1 server ready"),
        (["-vv", "list"], 0, r"to\x1b[31m\x1b]0;title"),
        (["-vv", "list", "CONFIG", "g"], 0, r"argu\x1b[31m"),
        (["-vv", "call", "CONFIG", "g", "plain"], 0, r"content of\x1b[31m"),
        (["-vv", "call", "CONFIG", "g", "no such tool"], 1, "no such tool"),
        (["-vv", "read", "CONFIG", "x://plain"], 0, r"content of\x1b[31m"),
        (["-vv", "read", "CONFIG", "y://z"], 1, r"it wen\x1b[31m"),
        (["-vv", "prompt", "CONFIG", "plain"], 0, r"us\x1b[31m"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_commands_print_what_a_server_says_escaped(
    tmp_path: Path, command: list[str], status: int, shown: str
) -> None:
    config = str(config_of(tmp_path))
    words = [config if word == "CONFIG" else word for word in command]
    done = run_dmcp(*words, *([] if config in words else [config]))
    assert_clean(done.stdout, done.stderr)
    assert done.returncode == status, done.stderr
    assert shown in done.stdout + done.stderr


@pytest.mark.parametrize("how", ["fail", "lists"])
def test_what_a_failing_server_says_is_escaped_everywhere(tmp_path: Path, how: str) -> None:
    config = config_of(tmp_path, how)
    for command in (["check"], ["list"], ["call", "-a", "x=1"]):
        words = [str(config), "g", "plain"] if command[0] == "call" else [str(config)]
        done = run_dmcp("-vv", *command, *words)
        assert_clean(done.stdout, done.stderr)


def test_names_are_cut_for_people_and_whole_in_json(tmp_path: Path) -> None:
    long = "n" * 1_000_000
    prompts = [{"name": long, "description": long}]
    says = {
        "tools": [{"name": long, "description": long}],
        "resources": [{"uri": f"x:{long}"}],
        "prompts": prompts,
    }
    config = write_config(tmp_path / "dmcp.json", {"g": claimer(tmp_path, "g", **says)})
    for words in ([config], [config, "g"]):
        done = run_dmcp("list", *words)
        assert done.returncode == 0
        assert len(done.stdout) < 30_000
        assert "n" * 100 in done.stdout
    done = run_dmcp("list", "--json", config)
    assert json.loads(done.stdout)["groups"][0]["tools"][0]["name"] == long


def test_json_is_exact(tmp_path: Path) -> None:
    done = run_dmcp("call", config_of(tmp_path), "g", "plain", "--json")
    assert NASTY in json.loads(done.stdout)["content"][0]["text"]


def test_check_flags_suspicious_names_and_descriptions(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    done = run_dmcp("check", config)
    assert "characters that hide or reorder text" in done.stdout
    found = json.loads(run_dmcp("check", config, "--json").stdout)["servers"][0]["suspicious"]
    assert any("tool" in what for what in found)
    assert_clean(*found)


def test_check_flags_nothing_of_a_plain_server(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": python_server(TESTS / "servers" / "noisy.py")})
    done = run_dmcp("check", config)
    assert "characters that hide" not in done.stdout


def test_names_and_descriptions_of_a_configuration_are_printed_escaped(tmp_path: Path) -> None:
    group = {"command": "no-such-command", "args": [NASTY], "description": NASTY}
    old = write_config(tmp_path / "old.json", {})
    new = tmp_path / "new.json"
    new.write_text(
        json.dumps(
            {
                "mcpServers": {
                    f"g{NASTY}": group,
                    "remote" + NASTY: {"url": "https://h.invalid", "description": NASTY},
                }
            }
        )
    )
    for words in (
        ["plan", old, new],
        ["list", new],
        ["check", new],
        ["auth", "status", new],
        ["call", new, NASTY, "x"],
    ):
        done = run_dmcp("-vv", *words)
        assert_clean(done.stdout, done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="file names of POSIX")
def test_a_path_is_printed_escaped(tmp_path: Path) -> None:
    for words in (
        ["check", tmp_path / f"no\x1b[31m{os.sep}file.json"],
        [tmp_path / "no\x1b]0;x.json"],
        ["a\x1bb"],
    ):
        done = run_dmcp(*words)
        assert done.returncode == 2
        assert_clean(done.stdout, done.stderr)


async def test_the_log_and_errors_are_clean_and_results_are_exact(tmp_path: Path) -> None:
    async with RawClient(
        dmcp_command(config_of(tmp_path)), env={"DMCP_LOG": "debug"}, strict=False
    ) as client:
        await client.initialize()
        result = await client.call("g", "plain")
        assert NASTY in result["content"][0]["text"]
        tools = await client.tools("g")
        assert any(NASTY in tool["name"] for tool in tools)
        read = await client.request("resources/read", {"uri": "x://plain"})
        assert NASTY in read["contents"][0]["text"]
        with pytest.raises(RpcError) as refused:
            await client.request("resources/read", {"uri": "y://z"})
        assert "it wen" in refused.value.message
        await client.close()
    assert "remark" in client.stderr
    assert_clean(client.stderr)
