"""A forked command is like a started one, but for what it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.cli import run_dmcp
from harness.forked import is_possible

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


@pytest.mark.parametrize(
    "words",
    [["--version"], ["import", "nowhere"], ["nonsense"], ["./no.json"], ["schema"], ["plan", "-"], []],
)
def test_a_forked_command_ends_and_says_what_a_started_one_does(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = run_dmcp(*words, stdin="text", cwd=tmp_path)
    monkeypatch.setenv("DMCP_TEST_FORKED", "no")
    started = run_dmcp(*words, stdin="text", cwd=tmp_path)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_what_is_for_the_interpreter_is_not_forked() -> None:
    assert is_possible([], os.environ)
    assert not is_possible([], {**os.environ, "PYTHONUTF8": "0"})
    assert not is_possible([], {**os.environ, "COVERAGE_PROCESS_CONFIG": "{}"})
    assert not is_possible([], {**os.environ, "LC_ALL": "tr_TR.UTF-8"})
    assert not is_possible(["x" * 100_000], os.environ)


def test_a_forked_command_that_has_not_ended_in_time_is_killed(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_dmcp("--help", timeout=0.0, cwd=tmp_path)
