"""Which file a command means; the working directory, which may be anybody's, is not searched on Windows either."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import dmcp
from dmcp.auth import browser
from dmcp.programs import find_program


@pytest.fixture(autouse=True)
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


def test_the_working_directory_is_no_place_to_find_a_command_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "npx.CMD").write_text("")
    monkeypatch.chdir(here)
    assert find_program("npx", {"PATH": f";{there};"}) == str(there / "npx.CMD")
    assert find_program("npx", {"PATH": ""}) is None
    assert find_program("npx", {}) is None
    assert find_program("npx.cmd", {"PATH": str(here)}) is None, "as on a disk that minds the case"
    assert find_program(str(here / "npx"), {}) == str(here / "npx.CMD")
    assert find_program("npx", {"PATH": f'"{there}"', "PATHEXT": ".EXE;.CMD"}) == str(there / "npx.CMD")


def test_no_other_function_of_dmcp_looks_for_programs() -> None:
    package = Path(dmcp.__file__).parent
    users = [
        file.name
        for file in package.rglob("*.py")
        if re.search(r"\bwhich\(", file.read_text("utf-8")) and file.name != "programs.py"
    ]
    assert not users


def test_a_browser_is_not_looked_for_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[object] = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "firefox.EXE").write_text("")
    monkeypatch.setenv("BROWSER", "firefox")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    browser._open("https://a.example/", "s")
    assert not started
    assert "no browser could be opened" in capsys.readouterr().err


def test_a_browser_that_turns_out_to_be_a_batch_file_is_given_no_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[object] = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command))
    (tmp_path / "firefox.CMD").write_text("")
    monkeypatch.setenv("BROWSER", "firefox")
    monkeypatch.setenv("PATH", str(tmp_path))
    browser._open("https://a.example/?a=1&calc", "s")
    assert not started
