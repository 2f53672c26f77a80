"""A person's machine for one test: a home and a project that are empty, the coding tools from npm, and no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import npm_server, write_config
from harness.cli import run_dmcp

CLIENTS = Path(__file__).parents[2] / "npm" / "clients" / "node_modules" / ".bin"
_LONGEST = 90  # seconds a tool may take; one to four is usual
_NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
    "NO_COLOR": "1",
}
_INHERITED = ("TEST_MARK_OF_DMCP", "LANG", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP", "TMPDIR")


@dataclass(frozen=True)
class Desk:
    """Where a person works: a home, a project, a configuration of dmcp's in it, and the environment of both."""

    home: Path
    project: Path
    config: Path
    env: dict[str, str]

    def program(self, name: str) -> str:
        """The path of a tool's program."""
        found = shutil.which(name, path=self.env["PATH"])
        assert found is not None
        return found

    def run(self, tool: str, *arguments: str) -> str:
        """What the tool prints, on both streams; its end is waited for."""
        done = subprocess.run(
            [self.program(tool), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST,
            check=False,
            cwd=self.project,
            env=self.env,
        )
        return done.stdout

    def dmcp(self, *arguments: str) -> str:
        """What a dmcp command prints; it has to succeed."""
        # This test's whole environment is the person's, so that nothing of the real one is read or written.
        done = run_dmcp(*arguments, env=self.env, cwd=self.project, timeout=_LONGEST)  # it may run the tool
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    missing = [
        name for name in ("claude", "codex", "gemini", "opencode") if not shutil.which(name, path=CLIENTS)
    ]
    if missing:
        told = f"{', '.join(missing)} not installed; run: npm install --no-save --prefix tests/npm/clients"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env |= {"HOME": str(home), "USERPROFILE": str(home), "PATH": f"{CLIENTS}{os.pathsep}{os.environ['PATH']}"}
    env |= _NO_NETWORK | _QUIET
    config = write_config(project / "dynamic-mcp.json", {"everything": npm_server("everything")})
    for name in list(os.environ):
        if name.startswith(("XDG_", "CLAUDE", "CODEX", "GEMINI", "OPENCODE")):
            monkeypatch.delenv(name)
    return Desk(home, project, config, env)
