"""What people met when they put dmcp into their tools and took it out again: nothing stays, what is written lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dmcp.cli.coding_tools.places import Machine, places_of
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.cli.main import dmcp
from harness.cli import run_dmcp

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.model import Scope

CONFIG = {"mcpServers": {"notes": {"description": "Notes", "command": "notes"}}}
PLACES = [
    (name, scope)
    for name in TOOLS
    for scope in ("project", "user")
    if (TOOLS[name].for_install().user if scope == "user" else TOOLS[name].for_install().project)
]
BESIDE = Path(sys.executable).parent
"""Where this dmcp's program is."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a home without any coding tool's program; the working directory."""
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (project / "dynamic-mcp.json").write_text(json.dumps(CONFIG))
    for name in list(os.environ):
        if name.startswith(
            ("XDG_", "CLAUDE", "CODEX", "GEMINI", "OPENCODE", "QWEN", "COPILOT", "CLINE", "DYNAMIC")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.chdir(project)
    return project


def run(*words: str) -> str:
    return CliRunner().invoke(dmcp, words, catch_exceptions=False, standalone_mode=False).output


def everything(project: Path) -> dict[str, str | None]:
    """All files and directories of the home, backups and empty ones included; dmcp's own records left out."""
    home = project.parent
    return {
        path.relative_to(home).as_posix(): path.read_text() if path.is_file() else None
        for path in home.rglob("*")
        if ".dynamic-mcp" not in path.parts
    }


@pytest.mark.parametrize(("tool", "scope"), PLACES)
def test_uninstall_leaves_neither_files_nor_directories_nor_backups(
    tool: str, scope: Scope, project: Path
) -> None:
    flags = ["--global"] if scope == "user" else []
    before = everything(project)
    run("install", tool, *flags)
    run("install", tool, *flags)
    assert everything(project) != before
    run("uninstall", tool, *flags)
    assert everything(project) == before


@pytest.mark.parametrize("tool", ["cursor", "codex", "goose", "opencode"])
def test_uninstall_leaves_what_was_there_and_no_backup_of_its_own(tool: str, project: Path) -> None:
    path = places_of(TOOLS[tool].for_install(), "user", Machine.here())[0][0]
    path.parent.mkdir(parents=True)
    path.write_text({".toml": 'model = "x"\n', ".yaml": "model: x\n"}.get(path.suffix, '{"model": "x"}\n'))
    before = everything(project)
    run("install", tool, "--global")
    assert any(name.endswith(".bak") for name in everything(project))
    run("uninstall", tool, "--global")
    after = everything(project)
    assert set(after) == set(before)


def test_a_backup_that_somebody_has_changed_stays(project: Path) -> None:
    path = project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text("{}")
    run("install", "cursor")
    path.with_name("mcp.json.bak").write_text("mine now")
    run("uninstall", "cursor")
    assert path.with_name("mcp.json.bak").read_text() == "mine now"
    assert path.exists()


def test_a_file_somebody_has_used_since_stays(project: Path) -> None:
    run("install", "cursor")
    path = project / ".cursor" / "mcp.json"
    contents = json.loads(path.read_text())
    contents["mcpServers"]["other"] = {"command": "x"}
    path.write_text(json.dumps(contents))
    run("uninstall", "cursor")
    assert json.loads(path.read_text()) == {"mcpServers": {"other": {"command": "x"}}}


GEMINI = """#!{python}
import json, pathlib, sys
path = pathlib.Path('.gemini/settings.json')
if sys.argv[2] == 'add':
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({{'mcpServers': {{sys.argv[5]: {{'command': sys.argv[6], 'args': sys.argv[7:]}}}}}}))
elif {removes}:
    path.write_text(json.dumps({{'mcpServers': {{}}}}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")
@pytest.mark.parametrize("removes", [True, False])
def test_uninstall_looks_whether_it_is_out_whatever_the_tools_own_command_says(
    removes: bool, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gemini CLI ends with 0 in a folder it does not trust, and removes nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "gemini"
    program.write_text(GEMINI.format(python=sys.executable, removes=removes))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr("dmcp.cli.install.python", lambda *words: ["/opt/dmcp", *words[2:]])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-program-beside" / "python"))
    before = everything(project)
    assert "with gemini mcp add" in run("install", "gemini")
    assert "dmcp" in (project / ".gemini" / "settings.json").read_text()
    said = run("uninstall", "gemini")
    assert ("with gemini mcp remove" in said) == removes
    assert everything(project) == before


@pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")
def test_dmcp_writes_the_file_where_the_tools_own_command_put_nothing_in_place(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "programs" / "gemini"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("dmcp.cli.install.python", lambda *words: ["/opt/dmcp", *words[2:]])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-program-beside" / "python"))
    settings = project / ".gemini" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{ "theme": "dark" } // mine\n')
    before = everything(project)
    said = run("install", "gemini")
    assert "gemini mcp add ended well and had changed nothing, so dmcp has written the file itself" in said
    assert "with gemini mcp add" not in said
    assert '"dmcp"' in settings.read_text()
    assert "// mine" in settings.read_text()
    run("uninstall", "gemini")
    assert everything(project) == before


def _as_if_run_by(prefix: Path, *words: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        f"sys.prefix = {str(prefix)!r}\n"
        f"sys.executable = {str(prefix / 'bin' / 'python')!r}\n"
        f"sys.argv = ['dmcp', *{list(words)!r}]\n"
        "from dmcp.__main__ import main\n"
        "sys.exit(main())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, "HOME": str(home), "PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        (".cache/uv/archive-v0/0a1b2c", ["uvx", "dmcp"]),
        ("Library/Caches/uv/environments-v2/dmcp-0a1b", ["uvx", "dmcp"]),
        ("moved/archive-v0/0a1b2c", ["uvx", "dmcp"]),
        (".cache/pipx/0a1b2c", ["pipx", "run", "dmcp"]),
        (".local/share/uv/tools/dmcp", None),
        ("work/.venv", None),
    ],
)
def test_what_is_written_by_a_dmcp_in_a_cache_lasts(
    cache: str, words: list[str] | None, project: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "home" / cache
    done = _as_if_run_by(prefix, "install", "cursor", "--global", cwd=project, home=project.parent)
    assert done.returncode == 0, done.stderr
    entry = json.loads((project.parent / ".cursor" / "mcp.json").read_text())["mcpServers"]["dmcp"]
    started = [entry["command"], *entry["args"]]
    if words is None:
        assert started[0] == str(prefix / "bin" / "python")
    else:
        assert started == [*words, str(project / "dynamic-mcp.json")]
    done = _as_if_run_by(prefix, "init", "new.json", cwd=project, home=project.parent)
    assert done.returncode == 0, done.stderr
    text = (project / "new.json").read_text()
    if words is not None:
        assert f'"command": "{words[0]}"' in text
        assert str(prefix) not in text


@pytest.mark.skipif(not (BESIDE / "dmcp").exists(), reason="dmcp is not installed beside this interpreter")
@pytest.mark.parametrize(
    ("tool", "configuration"),
    [
        ("vscode", "${workspaceFolder}/dynamic-mcp.json"),
        ("cursor", "${workspaceFolder}/dynamic-mcp.json"),
        ("gemini", "dynamic-mcp.json"),
        ("qwen", "dynamic-mcp.json"),
    ],
)
def test_a_file_of_the_project_gets_words_that_are_good_on_every_machine(
    tool: str, configuration: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BESIDE))
    run("install", tool)
    path, keys, _ = places_of(TOOLS[tool].for_install(), "project", Machine.here())[0]
    if tool == "vscode":
        path = project / ".vscode" / "mcp.json"
        keys = ("servers",)
    entry: Any = json.loads(path.read_text())
    for key in (*keys, "dmcp"):
        entry = entry[key]
    assert [entry["command"], *entry["args"]] == ["dmcp", configuration]
    assert "already" in run("install", tool)
    run("uninstall", tool)
    assert not path.exists()
    run("install", tool, "--global")
    path, keys, _ = places_of(TOOLS[tool].for_install(), "user", Machine.here())[0]
    assert str(project / "dynamic-mcp.json") in path.read_text()


def test_a_configuration_outside_of_the_project_is_named_by_its_whole_path(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BESIDE))
    elsewhere = project.parent / "mine.json"
    elsewhere.write_text(json.dumps(CONFIG))
    run("install", "vscode", "--config", str(elsewhere))
    assert json.loads((project / ".vscode/mcp.json").read_text())["servers"]["dmcp"]["args"] == [
        str(elsewhere)
    ]


def test_what_install_wrote_into_the_project_really_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (BESIDE / "dmcp").exists():
        pytest.skip("dmcp is not installed beside this interpreter")
    monkeypatch.setenv("PATH", str(BESIDE))
    run("install", "gemini")
    entry = json.loads((project / ".gemini/settings.json").read_text())["mcpServers"]["dmcp"]
    done = subprocess.run(
        [entry["command"], *entry["args"]],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert run_dmcp("check", *entry["args"], cwd=project).returncode == 1  # its one server is no program
