"""What dmcp writes lands where it says, whole or not at all, whatever links and files a strange folder has laid out."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli import run_dmcp

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and permissions as POSIX has them")

VICTIM = "the person's own file\n"
TEXT = '{"mcpServers": {"evil": {"description": "$(touch pwned)", "command": "evil"}}}\n'
SERVERS = {"one": {"command": "one", "env": {"KEY": "literal-secret-value"}}}


class Folder:
    """A strange folder, a home, and a file of the person's that must not change."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "clone"
        self.home.mkdir()
        self.project.mkdir()
        self.victim = self.home / ".bashrc"
        self.victim.write_text(VICTIM)
        self.config = self.project / "dynamic-mcp.json"
        self.config.write_text(TEXT)

    def run(self, *words: str, path: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
        env = {"HOME": str(self.home), "PATH": path, "XDG_CONFIG_HOME": ""}
        return run_dmcp(*words, env=env, cwd=self.project)

    def source(self) -> None:
        (self.project / ".mcp.json").write_text(json.dumps({"mcpServers": SERVERS}))

    def left_over(self) -> list[str]:
        return [path.name for path in self.project.rglob("*") if path.name.endswith(".new")]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def _install(folder: Folder) -> tuple[Path, list[str]]:
    target = folder.project / ".vscode" / "mcp.json"
    target.parent.mkdir()
    target.write_text('{"servers": {"evil": {"command": "$(evil)"}}}')
    return target, ["install", "vscode"]


def _force(folder: Folder) -> tuple[Path, list[str]]:
    folder.source()
    return folder.config, ["import", "claude", "--yes", "--force"]


def _merge(folder: Folder) -> tuple[Path, list[str]]:
    folder.source()
    return folder.config, ["import", "claude", "--yes", "--merge"]


def _init(folder: Folder) -> tuple[Path, list[str]]:
    return folder.config, ["init", "--force"]


WRITERS = pytest.mark.parametrize("writer", [_install, _force, _merge, _init])
Writer = "Callable[[Folder], tuple[Path, list[str]]]"


@WRITERS
def test_a_link_in_the_place_of_the_backup_is_replaced_and_not_written_through(
    writer: Callable[[Folder], tuple[Path, list[str]]], folder: Folder
) -> None:
    target, words = writer(folder)
    before = target.read_text()
    backup = target.with_name(target.name + ".bak")
    backup.symlink_to(folder.victim)
    done = folder.run(*words)
    assert done.returncode == 0, done.stderr
    assert folder.victim.read_text() == VICTIM
    assert not backup.is_symlink()
    assert backup.read_text() == before
    assert target.read_text() != before
    assert folder.left_over() == []


@WRITERS
def test_a_link_in_the_place_of_the_file_is_refused_in_a_sentence(
    writer: Callable[[Folder], tuple[Path, list[str]]], folder: Folder
) -> None:
    target, words = writer(folder)
    target.rename(folder.home / "elsewhere.json")
    target.symlink_to(folder.home / "elsewhere.json")
    before = (folder.home / "elsewhere.json").read_text()
    done = folder.run(*words)
    assert done.returncode == 2
    assert "is a symbolic link to" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder.home / "elsewhere.json").read_text() == before
    assert target.is_symlink()


def test_a_link_to_nowhere_makes_no_file_there(folder: Folder) -> None:
    folder.config.unlink()
    folder.config.symlink_to(folder.home / "new.json")
    for words in (["init"], ["init", "--force"]):
        assert folder.run(*words).returncode == 2
    assert not (folder.home / "new.json").exists()


def test_a_link_that_a_person_names_is_followed_and_its_backup_is_beside_the_real_file(
    folder: Folder,
) -> None:
    folder.source()
    real = folder.home / "real.json"
    real.write_text(TEXT)
    (folder.project / "named.json").symlink_to(real)
    (folder.home / "real.json.bak").symlink_to(folder.victim)
    done = folder.run("import", "claude", "--yes", "--force", "--output", "named.json")
    assert done.returncode == 0, done.stderr
    assert (folder.project / "named.json").is_symlink()
    assert "one" in json.loads(real.read_text())["mcpServers"]
    assert (folder.home / "real.json.bak").read_text() == TEXT
    assert folder.victim.read_text() == VICTIM


@pytest.mark.parametrize("tool", ["vscode", "cursor", "codex", "gemini", "zed"])
def test_a_directory_that_is_a_link_out_of_the_folder_is_not_entered(tool: str, folder: Folder) -> None:
    outside = folder.home / "outside"
    outside.mkdir()
    for name in (".vscode", ".cursor", ".codex", ".gemini", ".zed"):
        (folder.project / name).symlink_to(outside)
    done = folder.run("install", tool)
    assert done.returncode == 2
    assert "is a symbolic link to" in done.stderr
    assert list(outside.iterdir()) == []


def test_the_own_command_of_a_tool_is_not_run_where_it_would_follow_a_link(
    folder: Folder, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    gemini = programs / "gemini"
    gemini.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    gemini.chmod(0o755)
    outside = folder.home / "outside"
    outside.mkdir()
    (folder.project / ".gemini").symlink_to(outside)
    done = folder.run("install", "gemini", path=f"{programs}:/bin:/usr/bin")
    assert done.returncode == 2
    assert "is a symbolic link to" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_the_persons_own_files_may_be_links_within_the_home_directory(folder: Folder) -> None:
    dotfiles = folder.home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "mcp.json").write_text("{}")
    (folder.home / ".cursor").mkdir()
    (folder.home / ".cursor" / "mcp.json").symlink_to(dotfiles / "mcp.json")
    assert folder.run("install", "cursor", "--global").returncode == 0
    assert "dmcp" in json.loads((dotfiles / "mcp.json").read_text())["mcpServers"]
    assert (folder.home / ".cursor" / "mcp.json").is_symlink()


def test_uninstall_writes_through_no_link_either(folder: Folder) -> None:
    assert folder.run("install", "cursor").returncode == 0
    target = folder.project / ".cursor" / "mcp.json"
    text = json.loads(target.read_text())
    text["mcpServers"]["other"] = {"command": "x"}
    outside = folder.home / "outside.json"
    outside.write_text(json.dumps(text))
    target.unlink()
    target.symlink_to(outside)
    done = folder.run("uninstall", "cursor")
    assert done.returncode == 2
    assert "is a symbolic link to" in done.stderr
    assert json.loads(outside.read_text()) == text


def _socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize("kind", ["directory", "pipe", "socket"])
@pytest.mark.parametrize("words", [["init", "--force"], ["import", "claude", "--yes", "--force"]])
def test_what_is_no_file_is_never_replaced(
    kind: str, words: list[str], folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.source()
    folder.config.unlink()
    monkeypatch.chdir(folder.project)
    make = {"directory": Path.mkdir, "pipe": os.mkfifo, "socket": _socket_at}[kind]
    make(folder.config)
    before = stat.S_IFMT(folder.config.lstat().st_mode)
    done = folder.run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "not a file" in done.stderr or "directory" in done.stderr
    assert stat.S_IFMT(folder.config.lstat().st_mode) == before


@pytest.mark.parametrize("command", ["install", "init", "merge"])
def test_a_full_disk_leaves_the_old_file_whole_and_no_part_of_the_new_one(
    command: str, folder: Folder
) -> None:
    target, words = {"install": _install, "init": _init, "merge": _merge}[command](folder)
    before = target.read_bytes()

    def tiny() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    done = subprocess.run(
        [sys.executable, "-m", "dmcp", *words],
        cwd=folder.project,
        env={**os.environ, "HOME": str(folder.home), "PATH": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=tiny,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert target.read_bytes() == before
    assert folder.left_over() == []


def test_a_kill_in_the_middle_leaves_the_old_file_whole(folder: Folder) -> None:
    folder.source()
    program = (
        "import os, signal, sys\n"
        "real = os.replace\n"
        "def die(new, old, **at):\n"
        "    if not str(old).endswith('.bak'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    real(new, old, **at)\n"
        "os.replace = die\n"
        "from dmcp.__main__ import main\n"
        "sys.argv = ['dmcp', 'import', 'claude', '--yes', '--force']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder.project,
        env={**os.environ, "HOME": str(folder.home)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert folder.config.read_text() == TEXT
    assert (folder.project / "dynamic-mcp.json.bak").read_text() == TEXT
    left = folder.left_over()
    assert len(left) == 1
    assert (folder.project / left[0]).stat().st_mode & 0o077 == 0


def test_another_name_of_the_same_file_keeps_its_contents(folder: Folder) -> None:
    os.link(folder.config, folder.home / "other-name")
    assert folder.run("init", "--force").returncode == 0
    assert (folder.home / "other-name").read_text() == TEXT
    assert folder.config.read_text() != TEXT


def test_permissions_are_kept_and_taken_from_others_where_secrets_come_in(folder: Folder) -> None:
    folder.config.chmod(0o644)
    assert folder.run("init", "--force").returncode == 0
    assert folder.config.stat().st_mode & 0o777 == 0o644
    assert (folder.project / "dynamic-mcp.json.bak").stat().st_mode & 0o777 == 0o644
    folder.source()
    assert folder.run("import", "claude", "--yes", "--force").returncode == 0
    assert "literal-secret-value" in folder.config.read_text()
    assert folder.config.stat().st_mode & 0o777 == 0o600


def test_what_dmcp_keeps_of_an_installation_is_the_persons_alone_and_a_link_there_is_replaced(
    folder: Folder,
) -> None:
    kept = folder.home / ".dynamic-mcp" / "installed"
    kept.mkdir(parents=True, mode=0o755)
    assert folder.run("install", "cursor", "--global").returncode == 0
    (record,) = kept.iterdir()
    assert folder.run("uninstall", "cursor", "--global").returncode == 0
    record.symlink_to(folder.home / "not-there")
    assert folder.run("install", "cursor", "--global").returncode == 0
    assert not record.is_symlink()
    assert not (folder.home / "not-there").exists()
    assert record.stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o700


def test_many_dmcps_at_once_lose_nothing(folder: Folder) -> None:
    names = [f"server{number}" for number in range(6)]
    for name in names:
        (folder.project / f"{name}.json").write_text(json.dumps({"mcpServers": {name: {"command": name}}}))
    with ThreadPoolExecutor(len(names)) as pool:
        runs = pool.map(lambda name: folder.run("import", f"{name}.json", "--yes", "--merge"), names)
        assert [done.returncode for done in runs] == [0] * len(names)
    assert set(json.loads(folder.config.read_text())["mcpServers"]) == {"evil", *names}
    assert folder.left_over() == []


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _enormous(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(10 * 1024**3)


def _nuls(path: Path) -> None:
    path.write_bytes(b"\0" * 500_000)


@pytest.mark.parametrize("make", [_pipe, Path.mkdir, _endless, _enormous, _nuls])
@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["check"],
        ["plan", "ok.json"],
        ["import", "--yes", "--force"],
        [],
        ["install", "zed", "--config"],
    ],
)
def test_what_cannot_be_a_configuration_is_said_at_once(
    make: Callable[[Path], None], words: list[str], folder: Folder
) -> None:
    (folder.project / "ok.json").write_text(TEXT)
    make(folder.project / "named.json")
    done = folder.run(*words, "named.json")
    assert done.returncode == 2, done.stderr
    assert "named.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000
