from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from dmcp.auth import browser

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://a.example/authorize?x=1&y=%22"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://a/ b",
        'https://a/"',
        "https://a/`id`",
        "https://a/\n",
        "https://a/|calc",
        "https://[broken",
        "--help",
        "vscode://x/y",
    ],
)
def test_nothing_but_a_plain_web_address_is_opened(url: str) -> None:
    assert not browser.is_openable(url)


def test_a_sign_in_address_is_opened() -> None:
    assert browser.is_openable(URL)


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"BROWSER": "firefox"}, "linux", (("firefox", URL),)),
        ({"BROWSER": "'my browser' --new %s"}, "linux", (("my browser", "--new", URL),)),
        ({"BROWSER": "one:two"}, "linux", (("one", URL), ("two", URL))),
        ({"BROWSER": "'never ends"}, "linux", ()),
        ({"DISPLAY": ":0"}, "linux", (("xdg-open", URL),)),
        ({"WAYLAND_DISPLAY": "w", "BROWSER": "x"}, "linux", (("x", URL), ("xdg-open", URL))),
        ({}, "linux", ()),
        ({}, "darwin", (("open", URL),)),
        ({}, "win32", ()),
        ({"BROWSER": r"C:\b\one.exe;two"}, "win32", ((r"C:\b\one.exe", URL), ("two", URL))),
        (
            {"BROWSER": r'"C:\my browser\b.exe" --new "%s"'},
            "win32",
            ((r"C:\my browser\b.exe", "--new", URL),),
        ),
    ],
)
def test_the_browser_of_the_environment_comes_first(
    environ: dict[str, str], platform: str, expected: tuple[tuple[str, ...], ...]
) -> None:
    assert browser.commands(URL, environ, platform) == expected


def test_the_address_is_one_argument_and_never_passes_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "browser.py"
    script.write_text(f"import sys; print('noise'); open({str(seen)!r}, 'w').write('|'.join(sys.argv[1:]))")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script}")
    url = "https://a.example/?a=$(id)&b=;ls"
    browser.show(url, "group")
    for thread in threading.enumerate():
        if thread.name == "browser-group":
            thread.join(20)
    assert seen.read_text() == url
    out, err = capfd.readouterr()
    assert out == ""
    assert url in err
    assert "noise" not in err


def test_an_address_that_is_not_openable_is_neither_printed_nor_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it was opened"))
    browser.show("file:///etc/passwd", "group")
    assert "passwd" not in capsys.readouterr().err


def test_a_browser_that_windows_cannot_start_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def startfile(_url: str) -> None:
        raise OSError(1155, "No application is associated")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(os, "startfile", startfile, raising=False)
    browser._open(URL, "cannot start")
    assert "No application is associated; open the address by hand" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["watch", "su", "ssh", "eval", "xargs"])
def test_a_directory_among_the_words_of_browser_is_no_program(tmp_path: Path, name: str) -> None:
    profile = tmp_path / name
    profile.mkdir()
    assert not browser.is_program_text(("firefox", "--profile", str(profile), "%s"))
    assert browser.is_program_text(("env", name, "%s"))
