"""A person's own configuration is used where no other is named or found, and said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, write_config
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

NOISY = python_server(TESTS / "servers" / "noisy.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the place of POSIX")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    place = tmp_path / "config" / "dmcp"
    place.mkdir(parents=True)
    return write_config(place / "dmcp.json", {"mine": NOISY})


@pytest.fixture
def env(tmp_path: Path, own: Path) -> dict[str, str]:
    (tmp_path / "work").mkdir()
    return {"XDG_CONFIG_HOME": str(own.parents[1]), "DYNAMIC_MCP_CONFIG": ""}


def test_commands_use_it_without_trust_and_say_so(tmp_path: Path, own: Path, env: dict[str, str]) -> None:
    done = run_dmcp("list", cwd=tmp_path / "work", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mine")
    assert f"Using {own}" in done.stderr


def test_what_is_named_or_found_goes_first(tmp_path: Path, own: Path, env: dict[str, str]) -> None:
    other = write_config(tmp_path / "other.json", {"other": NOISY})
    done = run_dmcp("list", other, cwd=tmp_path / "work", env=env)
    assert done.stdout.startswith("other")
    assert str(own) not in done.stderr
    write_config(tmp_path / "work" / "dynamic-mcp.json", {"found": NOISY})
    done = run_dmcp("list", "--trust", cwd=tmp_path / "work", env={**env, "HOME": str(tmp_path)})
    assert done.stdout.startswith("found")


def test_without_any_the_error_names_the_place(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "empty"), "DYNAMIC_MCP_CONFIG": ""}
    for words in (["list"], []):
        done = run_dmcp(*words, cwd=tmp_path, env=env)
        assert done.returncode == 2
        assert str(tmp_path / "empty" / "dmcp" / "dmcp.json") in done.stderr


@pytest.mark.anyio
async def test_serving_without_a_word_uses_it_and_the_log_says_so(
    tmp_path: Path, own: Path, env: dict[str, str]
) -> None:
    async with RawClient([sys.executable, "-m", "dmcp"], env=env, cwd=tmp_path / "work") as client:
        await client.initialize()
        await client.logged(f"serves {own}: 1 server (mine)")
        assert (await client.call("mine", "echo"))["content"][0]["text"] == "done"
