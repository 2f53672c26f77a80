"""A command in surroundings that are not what it counts on: streams closed or full, a narrow terminal, Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from harness.cli import run_dmcp

if TYPE_CHECKING:
    from pathlib import Path

pty = pytest.importorskip("pty", reason="shells and terminals of POSIX")
termios = pytest.importorskip("termios", reason="likewise")

DMCP = [sys.executable, "-m", "dmcp"]
AT_TERMINAL = [
    sys.executable,
    "-c",
    "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'dmcp', *sys.argv[1:]])",
]
LONGEST = 60  # seconds
AGAIN = 1  # seconds after which a key is pressed again


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a configuration of one server that works, and a tool with a server to import."""
    assert run_dmcp("init", cwd=tmp_path).returncode == 0
    (tmp_path / ".cursor").mkdir()
    servers = {"mcpServers": {"a": {"command": "a"}}}
    (tmp_path / ".cursor/mcp.json").write_text(json.dumps(servers), encoding="utf-8")
    return tmp_path


def in_shell(here: Path, redirected: str, before: str = ":") -> subprocess.CompletedProcess[str]:
    """What comes of ``dmcp`` with these words and redirections, after another command."""
    return subprocess.run(
        ["/bin/sh", "-c", f'{before}; "$@" {redirected}', "sh", *DMCP],
        cwd=here, capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip


def at_terminal(
    here: Path, *words: str, columns: int = 80, after: str = "", press: bytes = b""
) -> tuple[int, str]:
    """The exit status of a command at a terminal, and what it shows; a key is pressed when ``after`` is there."""
    environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, columns))
    with subprocess.Popen([*AT_TERMINAL, *words], cwd=here, stdin=its, env=environ) as process:
        os.close(its)
        shown, pressed, end = "", 0.0, time.monotonic() + LONGEST
        while time.monotonic() < end:
            try:
                if select.select([ours], [], [], AGAIN)[0]:
                    shown += os.read(ours, 65536).decode()
                if press and after in shown and time.monotonic() > pressed + AGAIN:
                    pressed = time.monotonic()
                    os.write(
                        ours, press
                    )  # a key that comes while a question is being put is lost: it comes again
            except OSError:  # the terminal has no more users
                break
        os.close(ours)
        return process.wait(LONGEST), shown


@pytest.mark.parametrize("command", ["list", "check", "schema", "init other.json", "--help"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_with_a_closed_stream_does_what_it_does(command: str, closed: str, here: Path) -> None:
    done = in_shell(here, f"{command} {closed}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")  # noqa: PTH110 - before any test
@pytest.mark.parametrize("command", ["list", "schema", "check --json", "fault --schema"])
def test_a_full_disk_behind_the_output_is_said_and_is_no_fault_of_dmcps(command: str, here: Path) -> None:
    done = in_shell(here, f"{command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: standard output cannot be written: No space left")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["init", "demo", "import --list"])
def test_a_working_directory_that_is_gone_is_said_and_is_no_fault_of_dmcps(
    command: str, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = in_shell(gone, command, before='rmdir "$PWD"')
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: The working directory does not exist any more: change to one that does.\n"


@pytest.mark.parametrize("command", ["init {}", "import cursor --yes --output {}", "schema --output {}"])
def test_a_path_the_system_does_not_take_is_named_and_is_no_fault_of_dmcps(command: str, here: Path) -> None:
    done = in_shell(here, command.format("x" * 300 + ".json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "File name too long" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["init {}", "import cursor --yes --output {}"])
def test_a_configuration_does_not_take_the_place_of_its_schema(command: str, here: Path) -> None:
    (here / "dmcp.schema.json").unlink(missing_ok=True)
    done = in_shell(here, command.format("./dmcp.schema.json"))
    assert done.returncode == 2
    assert "name another file" in done.stderr
    assert not (here / "dmcp.schema.json").exists()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_check_shows_every_word_however_narrow_the_terminal_is(columns: int, here: Path) -> None:
    status, shown = at_terminal(here, "check", columns=columns)
    assert status == 0
    assert "…" not in shown
    for word in ("notes", "ready", "stdio", "2025-11-25", "4,366", "1,092"):
        assert word in shown
    assert ("ready in" in shown) == (columns == 120)


def test_check_names_a_server_it_waits_for_and_ends_with_ctrl_c(here: Path) -> None:
    slow = {"mcpServers": {"sleepy": {"description": "d", "command": "sleep", "args": ["600"]}}}
    (here / "slow.json").write_text(json.dumps(slow), encoding="utf-8")
    status, shown = at_terminal(here, "check", "slow.json", after="waiting for sleepy", press=b"\x03")
    assert status == 130
    assert "Traceback" not in shown


def test_ctrl_c_reaches_the_command_and_not_the_dmcp_behind_it(here: Path) -> None:
    """In a terminal Ctrl-C is for every process of its group, and one that is still starting would show a traceback."""
    ours, its = pty.openpty()
    script = (
        "import asyncio, os, sys\n"
        "from dmcp.cli.client import Client\n"
        "async def main():\n"
        "    async with Client([sys.executable, '-m', 'dmcp', 'dynamic-mcp.json']) as client:\n"
        "        print(os.getsid(client._process.pid) == os.getsid(0))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=here,
        stdin=its,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
    )
    os.close(its)
    os.close(ours)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("press", "status"), [(b"\x03", 130), (b"\x04", 2)])
@pytest.mark.parametrize(("to", "after"), [("new.json", "good for"), ("dynamic-mcp.json", "Replace it")])
def test_an_import_stopped_at_a_question_writes_nothing(
    press: bytes, status: int, to: str, after: str, here: Path
) -> None:
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()}
    ended, shown = at_terminal(here, "import", "cursor", "-o", to, after=after, press=press)
    assert ended == status
    assert shown.splitlines()[-1] == "Error: stopped before the end; nothing was written"
    assert {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


def test_a_sign_in_without_remote_servers_says_that_there_are_none(here: Path) -> None:
    done = run_dmcp("auth", "login", cwd=here)
    assert done.returncode == 2
    assert "There are no remote servers in this configuration" in done.stderr
