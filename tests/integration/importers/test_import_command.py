from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import json5
import pytest
from click.testing import CliRunner, Result

import dmcp
from dmcp.cli import import_
from dmcp.cli.coding_tools.places import Machine
from dmcp.config.loading import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVERS = {
    "mcpServers": {
        "zeta": {"command": "zeta", "env": {"KEY": "top-secret-value"}},
        "alpha": {
            "url": "https://alpha.example.com/mcp",
            "headers": {"Authorization": "Bearer top-secret-value"},
        },
    }
}
ALONE = [sys.executable, "-c", "from dmcp.cli.import_ import import_command as c; c(prog_name='dmcp import')"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / ".mcp.json").write_text(json.dumps(SERVERS))
    return tmp_path


@pytest.fixture
def invoke(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str, answers: str | None = None) -> Result:
        monkeypatch.setattr(import_, "is_interactive", lambda: answers is not None)
        result = CliRunner().invoke(import_.import_command, [*arguments], input=answers)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "top-secret-value" not in result.output
        return result

    return run


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def written(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "dynamic-mcp.json").read_text())["mcpServers"]
    return found


def test_in_a_script_it_asks_nothing_and_writes_what_dmcp_starts_with(project: Path) -> None:
    (project / "opencode.json").write_text(
        json.dumps({"mcp": {"a": {"type": "local", "command": ["x", "{env:A}"]}}})
    )
    (project / "dynamic-mcp.json").write_text("old")
    environ = {**os.environ, "PYTHONPATH": str(Path(dmcp.__file__).parents[1])}
    done = subprocess.run(
        [*ALONE, "opencode", "--force"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(load(project / "dynamic-mcp.json", {"A": "1"}).servers) == ["a"]
    assert (project / "dynamic-mcp.json.bak").read_text() == "old"


def test_servers_come_by_name_with_two_spaces_and_a_final_newline(
    project: Path, invoke: Callable[..., Result]
) -> None:
    assert invoke("claude").exit_code == 0
    text = (project / "dynamic-mcp.json").read_text()
    assert list(written(project)) == ["alpha", "zeta"]
    assert text.endswith("}\n")
    assert '\n  "mcpServers": {\n    "alpha": {' in text
    (project / "dynamic-mcp.json").unlink()
    invoke("claude")
    assert (project / "dynamic-mcp.json").read_text() == text


def test_a_person_is_asked_about_each_server_by_name(project: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("claude", answers="Letters\n\n\nn\nn\ny\nn\n")
    assert result.exit_code == 0
    assert written(project)["alpha"]["description"] == "Letters"
    assert written(project)["zeta"] == {
        "description": "Tools of the zeta server, started by zeta",
        "command": "zeta",
        "env": {"KEY": "top-secret-value"},
        "features": {"tools": False, "prompts": False},
    }
    assert "***" not in result.output.partition("Imported")[0].partition("alpha:")[0]


def test_the_end_of_the_answers_writes_nothing(project: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("claude", answers="Letters\n")
    assert result.exit_code == 2
    assert "nothing was written" in result.output
    assert not (project / "dynamic-mcp.json").exists()


@pytest.mark.parametrize(("answer", "status"), [("y\n\n\n\n\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_person_decides_whether_to_overwrite_before_anything_is_read(
    project: Path, invoke: Callable[..., Result], answer: str, status: int
) -> None:
    (project / "dynamic-mcp.json").write_text("old")
    if status:
        (project / ".mcp.json").write_text("{ broken")
    result = invoke("claude", answers=answer)
    assert result.exit_code == status
    assert (project / "dynamic-mcp.json").read_text() == "old" or status == 0
    assert (project / "dynamic-mcp.json.bak").exists() == (status == 0)
    assert "broken" not in result.output


def test_nothing_is_overwritten_without_a_person_or_force(
    project: Path, invoke: Callable[..., Result]
) -> None:
    (project / "dynamic-mcp.json").write_text("old")
    for arguments in (["claude"], ["claude", "--yes"]):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "--force" in result.output
        assert "--merge" in result.output
    assert (project / "dynamic-mcp.json").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clade"], 'did you mean "claude"'),
        (["cursor"], "no project configuration here"),
        (["none.json"], "no such file"),
        (["broken.json"], "not valid JSON: 2 "),
        (["empty.json"], "no MCP servers"),
        (["claude", "-o", "none/out.json"], "its directory does not exist"),
        (["claude", "-o", "out.toml"], "not TOML"),
        (["claude", "-o", "."], "is a directory"),
        ([], "give a tool or a file"),
        (["claude", "--all"], "give a tool or a file"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    project: Path, invoke: Callable[..., Result], arguments: list[str], said: str
) -> None:
    (project / "broken.json").write_text('{"mcpServers":\n {"a": ]}')
    (project / "empty.json").write_text('{"mcpServers": {}}')
    before = names_in(project)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert names_in(project) == before


def test_a_dry_run_shows_the_outcome_without_secrets_and_writes_nothing(
    project: Path, invoke: Callable[..., Result]
) -> None:
    result = invoke("claude", "--dry-run")
    assert result.exit_code == 0
    assert '"KEY": "***"' in result.output
    assert "Would import 2 servers" in result.output
    assert names_in(project) == [".mcp.json"]


def test_merging_adds_what_is_new_and_touches_nothing_else(
    project: Path, invoke: Callable[..., Result]
) -> None:
    old = '{\n  // mine\n  "mcpServers": {\n    "zeta": {"description": "my own", "command": "z"},\n  },\n}\n'
    (project / "dynamic-mcp.json").write_text(old)
    result = invoke("claude", "--merge")
    assert result.exit_code == 0
    assert "zeta: already in dynamic-mcp.json, left as it is" in result.output
    text = (project / "dynamic-mcp.json").read_text()
    assert text.startswith(
        '{\n  // mine\n  "mcpServers": {\n    "zeta": {"description": "my own", "command": "z"},\n'
    )
    assert list(json5.loads(text)["mcpServers"]) == ["zeta", "alpha"]
    assert (project / "dynamic-mcp.json.bak").read_text() == old
    assert list(load(project / "dynamic-mcp.json", {}).servers) == ["zeta", "alpha"]
    assert invoke("claude", "--merge").exit_code == 0
    assert (project / "dynamic-mcp.json").read_text() == text


def test_merging_into_what_is_no_configuration_is_refused(
    project: Path, invoke: Callable[..., Result]
) -> None:
    for old in ("{ broken", '{"mcpServers": []}', "[]"):
        (project / "dynamic-mcp.json").write_text(old)
        result = invoke("claude", "--merge")
        assert result.exit_code == 2
        assert "dynamic-mcp.json" in result.output
        assert (project / "dynamic-mcp.json").read_text() == old


def test_everything_found_is_imported_at_once(project: Path, invoke: Callable[..., Result]) -> None:
    (project / ".cursor").mkdir()
    (project / ".cursor" / "mcp.json").write_text('{"mcpServers": {"zeta": {"command": "other"}}}')
    result = invoke("--all")
    assert result.exit_code == 0
    assert list(written(project)) == ["alpha", "zeta", "zeta-claude"]
    assert "imported as zeta-claude" in result.output


def test_the_list_says_where_servers_are(project: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("--list")
    assert result.exit_code == 0
    assert any(line.split()[:3] == ["claude", "project", "2"] for line in result.output.splitlines())


def test_a_file_of_any_tool_is_recognised_and_it_is_said(
    project: Path, invoke: Callable[..., Result]
) -> None:
    (project / "other.json").write_text(
        '{"mcpServers": {"a": {"httpUrl": "https://x.example.com", "timeout": 500}}}'
    )
    result = invoke("other.json")
    assert "read as a file of Gemini CLI" in result.output
    assert written(project)["a"]["type"] == "http"


def test_a_server_that_dmcp_would_refuse_is_left_out_and_said(
    project: Path, invoke: Callable[..., Result]
) -> None:
    servers = {"bad": {"url": "https://x.example.com", "headers": {"A\nB": "c"}}, "good": {"command": "x"}}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    result = invoke("claude")
    assert result.exit_code == 0
    assert list(written(project)) == ["good"]
    assert "bad: not imported, since headers" in result.output


def test_a_probe_is_asked_only_where_the_tool_says_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = {
        "own": {"command": "x", "description": "Mine"},
        "asked": {"command": "y"},
        "silent": {"command": "z"},
    }
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    asked: list[str] = []

    def probe(entries: Mapping[str, dict[str, Any]], summaries: Mapping[str, str]) -> Mapping[str, str]:
        assert not summaries
        asked.extend(entries)
        return {"asked": "Says so itself"}

    request = import_.Request(project / "dynamic-mcp.json", False, False, False, False, probe)
    import_.run(request, import_.find("claude", "project", Machine.here()))
    assert asked == ["asked", "silent"]
    assert [entry["description"] for entry in written(project).values()] == [
        "Says so itself",
        "Mine",
        "Tools of the silent server, started by z",
    ]
    assert "Imported 3 servers" in capsys.readouterr().out


def test_an_env_file_is_inlined_as_references_only_when_a_person_says_so(
    project: Path, invoke: Callable[..., Result]
) -> None:
    (project / "vars.env").write_text("# comment\nexport TOKEN=top-secret-value\nKEY = top-secret-value\n")
    (project / ".cursor").mkdir()
    server = {"command": "x", "env": {"KEY": "own"}, "envFile": "${workspaceFolder}/vars.env"}
    (project / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": {"a": server}}))
    assert "a: its envFile" in invoke("cursor").output
    assert written(project)["a"]["env"] == {"KEY": "own"}
    assert "a: its envFile" in invoke("cursor", "--force", answers="n\n\n\n").output
    assert written(project)["a"]["env"] == {"KEY": "own"}
    assert "export them" in invoke("cursor", "--force", answers="y\n\n\n").output
    assert written(project)["a"]["env"] == {"TOKEN": "${TOKEN}", "KEY": "own"}
    (project / "vars.env").unlink()
    assert "no such file" in invoke("cursor", "--force", answers="y\n\n\n").output


def test_names_from_a_file_cannot_drive_the_terminal(project: Path, invoke: Callable[..., Result]) -> None:
    servers = {"a\x1b[2J": {"command": "x\x07", "new\x1b": 1}}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    result = invoke("claude", "--dry-run")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    assert "a\\x1b[2J" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("options", "asked"), [([], True), (["--yes"], False)])
def test_at_a_terminal_it_asks_unless_told_not_to(project: Path, options: list[str], asked: bool) -> None:
    import pty  # noqa: PLC0415 - there is none on Windows

    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"First\n\nSecond\n\n")
        done = subprocess.run(
            [*ALONE, "claude", *options],
            env={**os.environ, "PYTHONPATH": str(Path(dmcp.__file__).parents[1])},
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("What is it good for?" in done.stdout) == asked
    assert (written(project)["zeta"]["description"] == "Second") == asked


def test_with_probe_the_description_is_what_the_server_says_of_itself(
    project: Path, invoke: Callable[..., Result]
) -> None:
    notes = {"command": sys.executable, "args": ["-m", "dmcp.demo.notes"]}
    servers = {
        "notes": notes,
        "gone": {"command": "there-is-no-such-program"},
        "off": {**notes, "disabled": True},
    }
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    result = invoke("claude", "--yes", "--probe", "--trust")
    assert "gone did not answer" in result.output
    assert "off did not answer" not in result.output
    descriptions = {name: entry["description"] for name, entry in written(project).items()}
    assert descriptions["notes"].startswith("dmcp-demo-notes; tools: ")
    assert descriptions["gone"].startswith("Tools of the gone server")
    assert descriptions["off"].startswith("Tools of the off server")


def test_a_megabyte_of_a_name_or_a_command_does_not_fill_the_terminal(
    project: Path, invoke: Callable[..., Result]
) -> None:
    huge = "n" * 2**20
    servers = {huge: {"command": huge}, "a": {"command": "x", huge: 1}}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    result = invoke("claude")
    assert result.exit_code == 0
    assert set(written(project)) == {huge, "a"}
    assert len(result.output) < 5000
