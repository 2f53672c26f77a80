"""``dmcp auth`` in a terminal of its own, with a home directory of its own and a BROWSER that signs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness.cli import run_dmcp
from servers.oauth_process import OAuthServer, running

_ROOT = Path(__file__).parents[3]
_BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).close()"


class Terminal:
    def __init__(self, folder: Path, server: OAuthServer) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        browser = folder / "browser.py"
        browser.write_text(_BROWSER)
        self.config = folder / "dmcp.json"
        entries = {
            "far": {"description": "a remote one", "url": server.url},
            "near": {"description": "a local one", "command": "true"},
        }
        self.config.write_text(json.dumps({"mcpServers": entries}))
        self.environment = os.environ | {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "BROWSER": f"{sys.executable} {browser}",
            "DYNAMIC_MCP_CONFIG": str(self.config),
            "PYTHONPATH": str(_ROOT),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dmcp", "auth", *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run a command without waiting for it; what it says on stderr can be read."""
        command, pipe = [sys.executable, "-m", "dmcp", "auth", *arguments], subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def stored(self) -> Path:
        return self.home / ".dynamic-mcp" / "oauth-servers" / "far.json"


def test_a_person_signs_in_looks_and_signs_out(tmp_path: Path) -> None:
    with running() as server:
        terminal = Terminal(tmp_path, server)
        assert terminal.run("status").stdout == "far: not signed in\n"
        login = terminal.run("login")
        assert login.returncode == 0, login.stderr
        assert login.stdout.startswith("far: signed in")
        assert f"{server.base}/authorize" in login.stderr
        tokens = json.loads(terminal.stored().read_text())["entries"][0]["tokens"]
        status = terminal.run("status", "far", "--json")
        assert json.loads(status.stdout)[0]["state"] == "signed in"
        for secret in (tokens["access_token"], tokens["refresh_token"]):
            assert secret not in login.stdout + login.stderr + status.stdout + status.stderr
        assert terminal.run("logout", "far").stdout == "far: the sign-in is forgotten.\n"
        assert not terminal.stored().exists()


def test_a_login_replaces_a_sign_in_that_is_still_good(tmp_path: Path) -> None:
    with running() as server:
        terminal = Terminal(tmp_path, server)
        terminal.run("login", "far")
        first = terminal.stored().read_text()
        assert terminal.run("login", "far").returncode == 0
        assert terminal.stored().read_text() != first


def test_a_login_that_is_refused_ends_with_1_and_a_sentence(tmp_path: Path) -> None:
    with running(refuse="access_denied") as server:
        done = Terminal(tmp_path, server).run("login", "far")
    assert done.returncode == 1
    assert "refused in the browser" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["login", "near"], "near is no remote server"),
        (["login", "else"], "no server else"),
        (["logout"], "Say which server"),
        (["status", "-c", "missing.json"], "missing.json"),
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2_and_says_why(
    tmp_path: Path, arguments: list[str], text: str
) -> None:
    config = tmp_path / "dmcp.json"
    remote = {"description": "d", "url": "https://mcp.example"}
    local = {"description": "d", "command": "true"}
    config.write_text(json.dumps({"mcpServers": {"one": remote, "two": remote, "near": local}}))
    done = run_dmcp("auth", *arguments, env={"DYNAMIC_MCP_CONFIG": str(config)})
    assert done.returncode == 2
    assert text in done.stderr


def test_a_sign_in_another_process_has_begun_is_waited_for_and_the_person_is_told(tmp_path: Path) -> None:
    with running() as server:
        terminal = Terminal(tmp_path, server)
        (tmp_path / "browser.py").write_text("")  # a person who looks and does nothing yet
        first = terminal.start("login", "far")
        assert first.stderr is not None
        while not (url := first.stderr.readline().strip()).startswith(server.base):
            assert first.poll() is None
        second = terminal.start("login", "far")
        assert second.stderr is not None
        assert "another dmcp process is signing in" in second.stderr.readline()
        urllib.request.urlopen(url, timeout=20).close()
        for process in (first, second):
            said, _ = process.communicate(timeout=60)
            assert (process.returncode, said) == (0, "far: signed in. A dmcp that is running will use it.\n")
        assert server.count("authorizations") == 1
