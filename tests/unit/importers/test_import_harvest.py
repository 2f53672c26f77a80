from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.coding_tools.discover import overview
from dmcp.cli.coding_tools.load import find, find_all
from dmcp.cli.coding_tools.model import Command
from dmcp.cli.coding_tools.output import relative_path_note
from dmcp.cli.coding_tools.places import Machine, places_of
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path / "home", tmp_path / "project", {}, "linux")


def put(path: Path, servers: object, key: str = "mcpServers") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: servers}))


def test_everything_is_imported_once_and_clashes_get_names_of_their_own(machine: Machine) -> None:
    put(machine.home / ".cursor/mcp.json", {"same": {"command": "a"}, "clash": {"command": "cursor"}})
    put(machine.cwd / ".cursor/mcp.json", {"clash": {"command": "project"}})
    put(machine.home / ".lmstudio/mcp.json", {"same": {"command": "a"}, "clash": {"command": "other"}})
    (machine.home / ".codex").mkdir()
    (machine.home / ".codex/config.toml").write_text("[broken")
    result = find_all(machine)()
    assert {server.name: server.target.command for server in result.servers} == {  # type: ignore[union-attr]  # all are commands
        "clash": "project",
        "clash-lmstudio": "other",
        "same": "a",
    }
    assert any("same in Cursor and LM Studio" in remark for remark in result.remarks)
    assert any("imported as clash-lmstudio" in remark for remark in result.remarks)
    assert [note.server for note in result.not_converted] == ["Codex CLI"]


def test_one_bad_server_does_not_keep_the_others_out(machine: Machine) -> None:
    put(
        machine.cwd / ".mcp.json",
        {"bad": 5, "worse": {"args": []}, "": {"command": "x"}, "good": {"command": "x"}},
    )
    result = find("claude", "project", machine)()
    assert [server.name for server in result.servers] == ["good"]
    assert sorted(note.server for note in result.not_converted) == ['""', "bad", "worse"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("curser", 'did you mean "cursor"'),
        ("zzz", "The tools are: cursor, opencode"),
        ("missing/file.json", "no such file"),
        ("file.json", "no such file"),
        ("cursor", "has no project configuration here"),
    ],
)
def test_what_is_not_there_is_said(machine: Machine, what: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find(what, "project", machine)


def test_the_other_scope_is_pointed_to(machine: Machine) -> None:
    put(machine.home / ".cursor/mcp.json", {"a": {"command": "a"}})
    with pytest.raises(ConfigError, match="add --global"):
        find("cursor", "project", machine)


def test_files_without_servers_are_an_error(machine: Machine) -> None:
    put(machine.cwd / ".mcp.json", {})
    with pytest.raises(ConfigError, match="no MCP servers"):
        find("claude", "project", machine)()
    put(machine.cwd / ".mcp.json", "text")
    with pytest.raises(ConfigError, match="is a text where a table of servers belongs"):
        find("claude", "project", machine)()
    with pytest.raises(ConfigError, match="no coding tool"):
        find_all(Machine(machine.home / "x", machine.home / "y", {}, "linux"))


def test_tools_that_move_their_files_by_a_variable_are_found_there(machine: Machine, tmp_path: Path) -> None:
    environ = {
        "CODEX_HOME": str(tmp_path / "codex"),
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
        "CLINE_MCP_SETTINGS_PATH": str(tmp_path / "cline.json"),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
    }
    moved = Machine(machine.home, machine.cwd, environ, "linux")
    found = {name: [str(path) for path, _, _ in places_of(TOOLS[name], "user", moved)] for name in TOOLS}
    assert found["codex"] == [str(tmp_path / "codex/config.toml")]
    assert found["claude"] == [str(tmp_path / "claude/.claude.json")]
    assert str(tmp_path / "cline.json") in found["cline"]
    assert str(tmp_path / "xdg/opencode/opencode.json") in found["opencode"]


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ".config/Claude/"),
        ("darwin", "Library/Application Support/Claude/"),
        ("win32", "AppData/Roaming/Claude/"),
    ],
)
def test_each_platform_has_its_own_places(machine: Machine, platform: str, expected: str) -> None:
    there = Machine(machine.home, machine.cwd, {}, platform)
    paths = [path.as_posix() for path, _, _ in places_of(TOOLS["claude-desktop"], "user", there)]
    assert any(expected in path for path in paths)
    assert any("Claude_pzs8sxrjxfjjc" in path for path in paths) == (platform == "win32")


def test_the_overview_counts_servers_and_says_what_cannot_be_read(machine: Machine) -> None:
    put(machine.cwd / ".mcp.json", {"a": {"command": "a"}, "b": {"command": "b"}})
    put(machine.home / ".gemini/settings.json", "dark", "theme")
    (machine.cwd / ".cursor").mkdir()
    (machine.cwd / ".cursor/mcp.json").write_text("{")
    lines = overview(machine).splitlines()
    claude = next(line for line in lines if line.startswith("claude"))
    assert claude.split()[:3] == ["claude", "project", "2"]
    assert any(line.startswith("cursor") and "unreadable" in line for line in lines)
    assert "gemini" in lines[-1]


def test_claude_codes_local_scope_is_found_from_within_the_repository(machine: Machine) -> None:
    (machine.cwd / ".git").mkdir()
    local = {str(machine.cwd): {"mcpServers": {"a": {"command": "a"}}, "disabledMcpServers": ["a"]}}
    put(machine.home / ".claude.json", local, "projects")
    below = Machine(machine.home, machine.cwd / "src" / "deep", {}, "linux")
    below.cwd.mkdir(parents=True)
    servers = find("claude", "project", below)().servers
    assert [(server.name, server.enabled) for server in servers] == [("a", False)]


def test_an_extension_of_claude_desktop_can_be_named_and_a_packed_one_says_what_to_do(
    machine: Machine, tmp_path: Path
) -> None:
    manifest = {
        "manifest_version": "0.3",
        "name": "x",
        "server": {"mcp_config": {"command": "node", "args": ["${__dirname}/i.js", "${user_config.k}"]}},
    }
    path = tmp_path / "unpacked" / "manifest.json"
    path.parent.mkdir()
    path.write_text(json.dumps(manifest))
    result = find(str(path), "project", machine)()
    assert [(each.name, each.target) for each in result.servers] == [
        ("x", Command("node", (f"{path.parent}/i.js", "${K}")))
    ]
    assert ["${user_config.k}" in str(note) for note in result.not_converted] == [True]
    packed = tmp_path / "x.mcpb"
    packed.write_bytes(b"PK\x03\x04\xff")
    with pytest.raises(ConfigError, match="this extension is packed: install it in Claude Desktop"):
        find(str(packed), "project", machine)()


@pytest.mark.parametrize(
    "manifest",
    [
        {"server": {}},
        {"server": {"mcp_config": 5}},
        {
            "server": {"mcp_config": {"command": ["node"], "args": "x", "env": 3}},
            "user_config": {"a": 5, "b": []},
        },
        {"server": {"mcp_config": {"command": "x", "args": [["y"]], "env": {"A": {}}}}, "name": 7},
    ],
)
def test_a_manifest_with_wrong_types_is_named_and_the_others_are_imported(
    machine: Machine, manifest: dict[str, object]
) -> None:
    claude = machine.home / ".config/Claude"
    put(claude / "claude_desktop_config.json", {"good": {"command": "x"}})
    folder = claude / "Claude Extensions" / "bad"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"manifest_version": "0.3", **manifest}))
    (claude / "Claude Extensions Settings").mkdir()
    (claude / "Claude Extensions Settings" / "bad.json").write_text("[broken")
    result = find("claude-desktop", "user", machine)()
    assert [server.name for server in result.servers] == ["good"]
    assert [note.server for note in result.not_converted if "not imported" in note.what] == ["bad"]


@pytest.mark.parametrize(("word", "named"), [("./run.sh", True), ("run", False), ("/opt/run", False)])
def test_a_relative_path_in_the_users_own_file_is_named(machine: Machine, word: str, named: bool) -> None:
    put(machine.home / ".cursor/mcp.json", {"one": {"command": word}})
    (server,) = find("cursor", "user", machine)().servers
    note = relative_path_note(server)
    assert (note is not None and "is relative, and began wherever the tool was started" in note.what) == named
