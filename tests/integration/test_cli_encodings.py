"""Bytes that are no UTF-8 on the command line, in names and paths, and locales that say something else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dmcp.text import is_suspicious
from harness import write_config
from harness.child import WAIT
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="names and arguments are bytes on Linux"
)

BAD = b"\xff\xfe"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "ok.json", {"g": python_server(TESTS / "servers" / "noisy.py")})


def run_bytes(*words: bytes | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [os.fsencode(word) for word in (sys.executable, "-m", "dmcp", *words)]
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=WAIT,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), **env},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "words",
    [
        (b"call", b"CONFIG", b"g", b"echo", b"-a", b"x=" + BAD),
        (b"call", b"CONFIG", b"g", b"echo", b"--args", b'{"a": "' + BAD + b'"}'),
        (b"call", b"CONFIG", BAD, b"echo"),
        (b"call", b"CONFIG", b"g", BAD),
        (b"read", b"CONFIG", b"x://" + BAD),
        (b"prompt", b"CONFIG", BAD),
        (b"check", b"CONFIG", BAD),
        (b"check", BAD + b".json"),
        (b"auth", b"login", b"CONFIG", BAD),
        (b"import", BAD),
    ],
    ids=ascii,
)
def test_what_is_no_utf8_is_a_clear_error(config: Path, words: tuple[bytes, ...]) -> None:
    done = run_bytes(*(config if word == b"CONFIG" else word for word in words))
    assert done.returncode == 2
    assert "is not UTF-8" in done.stderr
    assert r"\udcff\udcfe" in done.stderr
    assert "a fault of dmcp's own" not in done.stderr
    assert not is_suspicious(done.stderr)


@pytest.mark.parametrize("name", [BAD + b".json", b"no-such-file-" + BAD])
def test_serving_a_name_that_is_no_utf8_and_not_there_is_a_clear_error(tmp_path: Path, name: bytes) -> None:
    done = run_bytes(name, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")


def test_paths_that_are_no_utf8_work(tmp_path: Path, config: Path) -> None:
    folder = tmp_path / os.fsdecode(b"dir" + BAD)
    folder.mkdir()
    file = folder / "dynamic-mcp.json"
    file.write_bytes(config.read_bytes())
    assert run_bytes(b"list", file).returncode == 0
    done = run_bytes(b"list", b"--trust", cwd=folder, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(run_bytes(b"check", file, b"--json").stdout)["servers"][0]["ready"]


def test_a_locale_that_is_not_utf8_does_not_matter(config: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run_bytes(b"call", config, b"g", b"echo", b"-a", "x=\u00e9".encode(), **plain)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert run_bytes(b"list", config, LC_ALL="xx_YY.bogus").returncode == 0


def test_input_that_is_no_utf8_is_a_clear_error(config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dmcp", "call", str(config), "g", "echo", "--args", "-"],
        input=b'{"a": "' + BAD + b'"}',
        capture_output=True,
        timeout=WAIT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr
    assert b"a fault of" not in done.stderr


def test_a_configuration_that_is_no_utf8_is_a_clear_error(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.write_bytes(b'{"mcpServers": {"' + BAD + b'": {}}}')
    done = run_dmcp("check", config)
    assert done.returncode == 2
    assert "not UTF-8" in done.stderr
