"""Which of a project's files are read from a directory below its root: as the real tools do, tool by tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.coding_tools.discover import overview
from dmcp.cli.coding_tools.install import install
from dmcp.cli.coding_tools.load import find
from dmcp.cli.coding_tools.model import Command, LaunchCommand
from dmcp.cli.coding_tools.places import Machine, places_of
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    import os


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A person in the directory ``top/repo/inner/here``; ``repo`` is a repository."""
    here = tmp_path / "top" / "repo" / "inner" / "here"
    here.mkdir(parents=True)
    (tmp_path / "top" / "repo" / ".git").mkdir()
    return Machine(tmp_path / "home", here, {}, "linux")


def put(path: Path, *names: str) -> None:
    """A file of servers: those of these names, and "same", each started by a command called as the file's place."""
    place = next(each.name for each in path.parents if not each.name.startswith("."))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".toml":
        path.write_text("".join(f'[mcp_servers.{name}]\ncommand = "{place}"\n' for name in (*names, "same")))
        return
    key = {"opencode.json": "mcp", "settings.json": "amp.mcpServers"}.get(path.name, "mcpServers")
    entry = {"type": "local", "command": [place]} if key == "mcp" else {"command": place}
    path.write_text(json.dumps({key: dict.fromkeys((*names, "same"), entry)}))


def found(tool: str, machine: Machine) -> dict[str, str]:
    servers = find(tool, "project", machine)().servers
    return {server.name: server.target.command for server in servers if isinstance(server.target, Command)}


@pytest.mark.parametrize(
    ("tool", "file", "names", "same"),
    [
        ("claude", ".mcp.json", {"top", "repo", "inner"}, "inner"),
        ("opencode", "opencode.json", {"repo", "inner"}, "inner"),
        ("opencode", ".opencode/opencode.json", {"repo", "inner"}, "repo"),
        ("codex", ".codex/config.toml", {"repo", "inner"}, "inner"),
        ("copilot", ".mcp.json", {"repo", "inner"}, "inner"),
        ("amp", ".amp/settings.json", {"inner"}, "inner"),
        ("cursor", ".cursor/mcp.json", {"inner"}, "inner"),
    ],
)
def test_a_tool_that_looks_upwards_has_the_files_above_read_as_it_does(
    tool: str, file: str, names: set[str], same: str, machine: Machine
) -> None:
    for folder in machine.cwd.parents[:3]:
        put(folder / file, folder.name)
    servers = found(tool, machine)
    assert (set(servers), servers["same"]) == (names | {"same"}, same)


@pytest.mark.parametrize("tool", ["gemini", "qwen"])
def test_a_tool_that_does_not_look_upwards_has_nothing_read_there(tool: str, machine: Machine) -> None:
    put(machine.cwd.parent / f".{tool}" / "settings.json", "a")
    with pytest.raises(ConfigError, match="no project configuration here"):
        find(tool, "project", machine)


def test_without_a_repository_only_some_tools_go_on_to_the_root_of_the_disk(tmp_path: Path) -> None:
    here = tmp_path / "top" / "here"
    here.mkdir(parents=True)
    machine = Machine(tmp_path / "home", here, {}, "linux")
    for file in (".mcp.json", "opencode.json", ".codex/config.toml", ".amp/settings.json"):
        put(here.parent / file)
    assert (found("claude", machine), found("opencode", machine)) == ({"same": "top"}, {"same": "top"})
    for tool in ("codex", "copilot", "amp"):
        with pytest.raises(ConfigError, match="no project configuration here"):
            find(tool, "project", machine)


def test_codex_lays_an_entry_over_the_one_of_a_directory_above_key_by_key(machine: Machine) -> None:
    for folder, line in ((machine.cwd.parents[1], 'args = ["a"]'), (machine.cwd, "")):
        (folder / ".codex").mkdir()
        (folder / ".codex/config.toml").write_text(f'[mcp_servers.x]\ncommand = "{folder.name}"\n{line}\n')
    assert find("codex", "project", machine)().servers[0].target == Command("here", ("a",))


def test_the_workspace_of_an_editor_is_the_directory_its_file_is_in(machine: Machine) -> None:
    root = machine.cwd.parents[1]
    (root / ".vscode").mkdir()
    (root / ".vscode/mcp.json").write_text('{"servers": {"x": {"command": "${workspaceFolder}/run"}}}')
    assert found("vscode", machine) == {"x": f"{root}/run"}


def test_copilots_second_file_counts_only_where_the_first_is_not(machine: Machine) -> None:
    put(machine.cwd / ".mcp.json", "first")
    put(machine.cwd / ".github/mcp.json", "second")
    put(machine.cwd.parent / ".github/mcp.json", "above")
    assert set(found("copilot", machine)) == {"first", "above", "same"}


def test_dmcp_is_not_put_into_a_file_that_copilot_would_not_read(machine: Machine) -> None:
    put(machine.cwd / ".mcp.json", "first")
    with pytest.raises(ConfigError, match=r"reads \.mcp\.json here .* add --global"):
        install(TOOLS["copilot"].for_install(), "project", machine, LaunchCommand("/opt/dmcp", ()), None)
    assert not (machine.cwd / ".github").exists()


def test_dmcp_is_put_into_the_file_above_that_is_there_already(machine: Machine) -> None:
    put(machine.cwd.parents[1] / "opencode.json", "a")
    outcome = install(
        TOOLS["opencode"].for_install(), "project", machine, LaunchCommand("/opt/dmcp", ()), None
    )
    assert outcome.file == machine.cwd.parents[1] / "opencode.json"
    assert not (machine.cwd / "opencode.json").exists()


def test_the_files_of_the_working_directory_come_first_in_what_was_looked_for(machine: Machine) -> None:
    for tool in TOOLS.values():
        assert all(
            path.is_relative_to(machine.cwd)
            for path, keys, _ in places_of(tool, "project", machine)
            if len(keys) < 3
        )


def test_a_directory_that_may_not_be_searched_counts_as_empty(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine.cwd / ".cursor" / "mcp.json")
    shut = (str(machine.home), str(machine.cwd.parent / ".git"))
    stat = Path.stat

    def guarded(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if str(path).startswith(shut):  # as for a person; who tests as root may search everything
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", guarded)
    assert found("cursor", machine) == {"same": "here"}
    assert "cursor" in overview(machine)
    with pytest.raises(ConfigError, match="no user configuration"):
        find("codex", "user", machine)
