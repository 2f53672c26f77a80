"""What is said of a command that was not found: what is wrong with it, and the line as it should be."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from dmcp.errors import LinkRefused
from dmcp.protocol.noise import unexpanded
from dmcp.upstream.processes import advice, advice_on_directory, resolve_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("command", "mended"),
    [
        ("~/bin/server", '~ is not expanded: write "command": "/home/me/bin/server"'),
        ("$HOME/bin/server", '"command": "${HOME}/bin/server"'),
        ("npx -y some-server", 'a whole command line: write "command": "npx", "args": ["-y", "some-server"]'),
        ("~/bin/x --dir '/a b'", '"command": "/home/me/bin/x", "args": ["--dir", "/a b"]'),
        ("uvx 'half", '"command": "uvx", "args": ["\'half"]'),
        ("npx ", 'a space around it: write "command": "npx"'),
        ('"npx"', 'the quotes belong to a shell: write "command": "npx"'),
        ("   ", "it is blank"),
        ("PORT=3 npx x", '"command": "npx", "args": ["x"], "env": {"PORT": "..."}'),
        ("cd /x && npx y", '"command": "sh", "args": ["-c", "cd /x && npx y"]'),
        ("server --api-key sk-1 --dir d", '"args": ["--api-key", "...", "--dir", "d"]'),
        ("server --token=sk-1", '"args": ["--token=..."]'),
    ],
)
def test_the_error_says_which_it_is_and_has_the_mended_line(command: str, mended: str) -> None:
    told = advice(command, 0)
    assert told is not None
    assert mended in told
    assert "sk-1" not in told


def test_arguments_that_stand_beside_it_stay_behind_the_new_ones() -> None:
    assert (advice("npx -y", 2) or "").endswith(", and after them the 2 there are")


def test_an_ordinary_command_gets_no_advice() -> None:
    assert advice("npx", 3) is None
    assert advice("/opt/x/server", 0) is None


def test_a_directory_has_the_same_troubles() -> None:
    assert '"cwd": "/home/me/x"' in (advice_on_directory("~/x") or "")
    assert '"cwd": "${HOME}/x"' in (advice_on_directory("$HOME/x") or "")
    assert advice_on_directory("/x") is None


def test_a_file_whose_name_has_a_space_is_found_as_ever(tmp_path: Path) -> None:
    program = tmp_path / "my server"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert resolve_command(str(program), {}, None) == str(program)


@pytest.mark.parametrize(
    ("command", "cwd", "told"),
    [
        ("npx -y x", None, "the command npx -y x was not found: it is a whole command line"),
        ("nothing-here", None, 'was not found: install it, or give the full path as "command"'),
        ("/tmp", None, "is a directory"),
        ("sh", "~/x", "the working directory ~/x does not exist: ~ is not expanded"),
        ("sh", os.devnull, "is not a directory"),
    ],
)
def test_what_a_start_says(command: str, cwd: str | None, told: str) -> None:
    with pytest.raises(LinkRefused) as caught:
        resolve_command(command, {"PATH": "/bin"}, cwd)
    assert told in str(caught.value)


def test_arguments_only_a_shell_would_expand() -> None:
    assert unexpanded(["-y", "~/notes"]) == "~/"
    assert unexpanded(["--dir=$HOME/x"]) == "$HOME"
    assert unexpanded(["a~/b", "~", "${HOME}"]) == ""
