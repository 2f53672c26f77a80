"""Commands about one group start that group's server and no other."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness import write_config
from harness.cli import run_dmcp
from harness.configs import TESTS

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = str(TESTS / "servers" / "hostile_words.py")  # it has a tool, a resource and a prompt


def marked(room: Path, name: str, **more: Any) -> dict[str, Any]:
    """A server that leaves a file where it was started."""
    program = f"open({str(room / name)!r}, 'w').close(); import runpy; runpy.run_path({HOSTILE!r}, run_name='__main__')"
    return {"command": sys.executable, "args": ["-c", program], **more}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    bare = {"resources": False, "prompts": False}
    servers = {
        "a": marked(tmp_path, "a"),
        "b": marked(tmp_path, "b"),
        "c": marked(tmp_path, "c", features=bare),
    }
    return write_config(tmp_path / "dmcp.json", servers)


def started(room: Path) -> set[str]:
    return {name for name in "abc" if (room / name).exists()}


@pytest.mark.parametrize(
    ("command", "groups"),
    [
        (["call", "a", "plain"], {"a"}),
        (["call", "a", "plain", "-a", "x=1"], {"a"}),
        (["list", "b"], {"b"}),
        (["check", "a", "c"], {"a", "c"}),
        (["check"], {"a", "b", "c"}),
        (["list"], {"a", "b", "c"}),
        (["read", "dmcp://b/x://plain"], {"b"}),
        (["read", "x://plain"], {"a", "b"}),
        (["prompt", "b/plain"], {"b"}),
        (["prompt", "plain"], {"a", "b"}),
        (["read", "b", "x://plain"], {"b"}),
        (["prompt", "a", "plain"], {"a"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_only_what_a_command_is_about_is_started(
    tmp_path: Path, config: Path, command: list[str], groups: set[str]
) -> None:
    done = run_dmcp(command[0], config, *command[1:])
    assert done.returncode == 0, done.stderr
    assert started(tmp_path) == groups


def test_check_shows_the_groups_asked_for(config: Path) -> None:
    done = run_dmcp("check", config, "c", "--json")
    assert [server["group"] for server in json.loads(done.stdout)["servers"]] == ["c"]


def test_check_of_a_group_that_is_not_there_starts_nothing(tmp_path: Path, config: Path) -> None:
    done = run_dmcp("check", config, "aa")
    assert done.returncode == 2
    assert "there is no group 'aa'; there are: a, b, c (did you mean a?)" in done.stderr
    assert started(tmp_path) == set()


@pytest.mark.parametrize("command", ["read", "prompt"])
def test_reading_of_a_group_that_is_not_there_starts_nothing(
    tmp_path: Path, config: Path, command: str
) -> None:
    done = run_dmcp(command, config, "bb", "x://plain")
    assert done.returncode == 2
    assert "there is no group 'bb'; there are: a, b, c" in done.stderr
    assert "[CONFIG] [GROUP]" in run_dmcp(command, config).stderr
    assert started(tmp_path) == set()


def test_a_call_to_a_group_that_is_not_there_names_those_there_are(config: Path) -> None:
    done = run_dmcp("call", config, "nowhere", "x")
    assert done.returncode == 1
    assert "nowhere" in done.stdout + done.stderr
    assert "a, b, c" in done.stdout + done.stderr


def test_what_other_servers_refer_to_is_withheld_though_they_are_not_started(tmp_path: Path) -> None:
    show = "import os,sys; sys.stderr.write('has ' + os.environ.get('OF_THE_OTHER', 'nothing') + '\\n')"
    servers = {
        "a": {"command": sys.executable, "args": ["-c", show]},
        "b": {"command": sys.executable, "args": ["-c", ""], "env": {"X": "${OF_THE_OTHER}"}},
    }
    config = write_config(tmp_path / "dmcp.json", servers)
    done = run_dmcp("check", config, "a", env={"OF_THE_OTHER": "s3cret-of-b"})
    assert "has nothing" in done.stdout
