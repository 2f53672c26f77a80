from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dmcp.cli.coding_tools import install as installing
from dmcp.cli.coding_tools.detect import serves_dmcp
from dmcp.cli.coding_tools.formats import contents_of
from dmcp.cli.coding_tools.places import Machine, places_of
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.cli.main import dmcp
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.coding_tools.model import Scope

NOTES = {"command": "notes", "args": ["--all"]}
CONFIG = {
    "mcpServers": {
        "notes": {"description": "Notes", **NOTES, "env": {"KEY": "${NOTES_KEY}"}},
        "web": {"description": "Web", "url": "https://web.example.com/mcp"},
    }
}
PLACES = [
    (name, scope)
    for name in TOOLS
    for scope in ("project", "user")
    if (TOOLS[name].for_install().user if scope == "user" else TOOLS[name].for_install().project)
]


@dataclass(frozen=True)
class Desk:
    """A home and a project without any coding tool's program: every file is edited by dmcp."""

    home: Path
    project: Path

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(dmcp, [*arguments], catch_exceptions=False, standalone_mode=False)
        return result.output

    def place(self, tool: str, scope: Scope) -> Path:
        return places_of(TOOLS[tool].for_install(), scope, Machine.here())[0][0]

    def files(self) -> dict[str, str]:
        """Everything there but backups, by path."""
        found = sorted(path for path in self.home.rglob("*") if path.is_file() and path.suffix != ".bak")
        return {path.relative_to(self.home).as_posix(): path.read_text() for path in found}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (project / "dynamic-mcp.json").write_text(json.dumps(CONFIG))
    for name in list(os.environ):
        if name.startswith(
            ("XDG_", "CLAUDE", "CODEX", "GEMINI", "OPENCODE", "QWEN", "COPILOT", "CLINE", "AMP_", "DYNAMIC")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.chdir(project)
    return Desk(home, project)


def words(entry: Any) -> list[str]:
    command = entry.get("command") or entry.get("cmd")
    return [*(command if isinstance(command, list) else [command]), *entry.get("args", [])]


def test_a_configuration_named_by_way_of_a_directory_above_is_written_without_the_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.project / "below").mkdir()
    monkeypatch.chdir(desk.project / "below")
    desk.run("install", "cursor", "--config", "../dynamic-mcp.json")
    entry = json.loads((desk.project / "below/.cursor/mcp.json").read_text())["mcpServers"]["dmcp"]
    assert words(entry)[-1] == str(desk.project / "dynamic-mcp.json")


@pytest.mark.parametrize(("tool", "scope"), PLACES)
def test_install_writes_an_entry_that_starts_dmcp_and_uninstall_leaves_no_trace(
    desk: Desk, tool: str, scope: Scope
) -> None:
    where = TOOLS[tool].for_install()
    before = desk.files()
    flags = ["--global"] if scope == "user" else []
    desk.run("install", tool, *flags)
    path, keys, _ = places_of(where, scope, Machine.here())[0]
    entry: Any = contents_of(path)
    for key in (*keys, "dmcp"):
        entry = entry[key]
    assert serves_dmcp(words(entry))
    assert words(entry)[-1] == str(desk.project / "dynamic-mcp.json")
    between = desk.files()
    assert "already" in desk.run("install", tool, *flags)
    assert desk.files() == between
    desk.run("uninstall", tool, *flags)
    assert desk.files() == before


@pytest.mark.parametrize("tool", list(TOOLS))
def test_dmcp_itself_is_not_imported_from_a_tool_it_was_put_into(desk: Desk, tool: str) -> None:
    desk.run("install", tool)
    with pytest.raises(Exception, match="it is dmcp itself"):
        desk.run("import", tool, "--yes", "--output", "other.json")


OPENCODE = """{
  // mine
  "mcp": {
    "notes": { "type": "local", "command": ["notes", "--all"] }, // fronted
    "renamed": { "type": "remote", "url": "https://web.example.com/mcp", },
    "other": { "type": "local", "command": ["other"] },
  },
}
"""


def test_replace_switches_off_what_dmcp_fronts_and_uninstall_gives_the_file_back_byte_for_byte(
    desk: Desk,
) -> None:
    (desk.project / "opencode.jsonc").write_text(OPENCODE)
    said = desk.run("install", "opencode", "--replace")
    assert "Switched off there: notes, renamed\n" in said
    assert "nothing like it: other\n" in said
    servers: Any = contents_of(desk.project / "opencode.jsonc")
    assert [name for name, entry in servers["mcp"].items() if entry.get("enabled") is False] == [
        "notes",
        "renamed",
    ]
    assert "As before: notes, renamed\n" in desk.run("uninstall", "opencode")
    assert (desk.project / "opencode.jsonc").read_text() == OPENCODE


CODEX = """# mine
[mcp_servers.notes]
command = "notes"  # the notes
args = ["--all"]

[mcp_servers.other]
command = "other"
"""


def test_replace_and_uninstall_do_the_same_in_toml(desk: Desk) -> None:
    path = desk.home / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text(CODEX)
    desk.run("install", "codex", "--global", "--replace")
    servers: Any = contents_of(path)
    assert servers["mcp_servers"]["notes"]["enabled"] is False
    assert servers["mcp_servers"]["dmcp"]["env_vars"] == ["NOTES_KEY"]
    desk.run("uninstall", "codex", "--global")
    assert path.read_text() == CODEX


def test_a_tool_without_a_switch_has_its_entries_kept_for_it_until_uninstall(desk: Desk) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    secret = {**NOTES, "env": {"KEY": "top-secret-value"}}
    path.write_text(json.dumps({"mcpServers": {"notes": secret, "other": {"command": "other"}}}))
    said = desk.run("install", "cursor", "--replace")
    assert "top-secret-value" not in said
    assert sorted(json.loads(path.read_text())["mcpServers"]) == ["dmcp", "other"]
    (kept,) = (desk.home / ".dynamic-mcp" / "installed").glob("cursor-*.json")
    if sys.platform != "win32":
        assert kept.stat().st_mode & 0o077 == 0
    desk.run("uninstall", "cursor")
    assert json.loads(path.read_text()) == {"mcpServers": {"other": {"command": "other"}, "notes": secret}}
    assert not kept.exists()


def test_what_a_person_changed_since_is_left_and_said(desk: Desk) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"notes": NOTES}}))
    desk.run("install", "cursor", "--replace")
    servers = json.loads(path.read_text())["mcpServers"]
    path.write_text(json.dumps({"mcpServers": {**servers, "notes": {"command": "mine"}}}))
    said = desk.run("uninstall", "cursor")
    assert "mcpServers.notes" in said
    assert "As before" not in said
    assert json.loads(path.read_text()) == {"mcpServers": {"notes": {"command": "mine"}}}


def test_another_server_called_dmcp_is_not_overwritten(desk: Desk) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"dmcp": {"command": "something-else"}}}')
    before = desk.files()
    with pytest.raises(ConfigError, match="has a server named"):
        desk.run("install", "cursor")
    with pytest.raises(ConfigError, match="dmcp is not in Cursor"):
        desk.run("uninstall", "cursor")
    assert desk.files() == before


def test_an_entry_of_an_older_dmcp_gets_what_is_new_and_uninstall_takes_all_of_it_out(desk: Desk) -> None:
    desk.run("install", "claude", "--global")
    before = (desk.home / ".claude.json").read_text()
    entry = json.loads(before)
    assert entry["mcpServers"]["dmcp"].pop("alwaysLoad") is True  # Claude Code defers other tools
    (desk.home / ".claude.json").write_text(json.dumps(entry))
    desk.run("install", "claude", "--global")
    assert json.loads((desk.home / ".claude.json").read_text()) == json.loads(before)
    desk.run("uninstall", "claude", "--global")
    assert not (desk.home / ".claude.json").exists()


def test_an_entry_made_by_hand_is_taken_out_too(desk: Desk) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"dmcp": {"command": "/x/dmcp", "args": ["/c.json"]}}}')
    desk.run("uninstall", "cursor")
    assert json.loads(path.read_text()) == {"mcpServers": {}}


@pytest.mark.parametrize("text", ['{"mcpServers": ', '{"mcpServers": []}', "[]"])
def test_a_file_that_is_not_as_it_should_be_is_an_error_and_stays(desk: Desk, text: str) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(text)
    before = desk.files()
    with pytest.raises(ConfigError, match=r"mcp\.json"):
        desk.run("install", "cursor", "--replace")
    assert {name: text for name, text in desk.files().items() if "installed" not in name} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install", "cursr"], "did you mean cursor"),
        (["install", "cursor", "--config", "gone.json"], "gone.json"),
        (["install", "roo", "--config", "bad.json"], "description"),
        (["uninstall", "zed"], "dmcp is not in Zed for this project; --global looks"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_written(desk: Desk, arguments: list[str], said: str) -> None:
    (desk.project / "bad.json").write_text('{"mcpServers": {"a": {"command": "a"}}}')
    before = desk.files()
    with pytest.raises(ConfigError, match=said):
        desk.run(*arguments)
    assert desk.files() == before


@pytest.mark.skipif(sys.platform == "win32", reason="a program there is no script with a first line")
def test_a_tools_command_that_fails_is_quoted_and_leaves_everything_as_it_was(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    before = desk.files()
    assert installing.is_installed(["claude"], Machine.here())
    with pytest.raises(ConfigError, match="claude mcp add-json failed with status 3, saying: it is broken"):
        desk.run("install", "claude")
    assert desk.files() == before


def test_the_overview_says_where_dmcp_is_and_does_not_count_it(desk: Desk) -> None:
    path = desk.project / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"notes": NOTES, "other": {"command": "other"}}}))
    assert "cursor  project  2        " in desk.run("import", "--list")
    desk.run("install", "cursor")
    assert "cursor  project  2, dmcp  " in desk.run("import", "--list")
