"""What the tools say about servers and tools in other places than the server's entry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.coding_tools.load import find
from dmcp.cli.coding_tools.places import Machine

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.coding_tools.model import ImportedServer, LoadResult, Scope


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path / "home", tmp_path / "project", {}, "linux")


def put(path: Path, contents: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents))


def loaded(
    tool: str, machine: Machine, scope: Scope = "project"
) -> tuple[dict[str, ImportedServer], LoadResult]:
    found = find(tool, scope, machine)()
    return {server.name: server for server in found.servers}, found


LOCAL = {"type": "local", "command": ["x"]}


def test_opencodes_switches_become_the_lists_of_each_server_they_are_about(machine: Machine) -> None:
    switches = {"my-mcp*": False, "files_write*": False, "files_write_log": True, "web.site_get": True}
    put(
        machine.cwd / "opencode.json",
        {"mcp": dict.fromkeys(("my-mcp", "files", "web.site", "other"), LOCAL), "tools": switches},
    )
    servers, found = loaded("opencode", machine)
    assert servers["my-mcp"].features_off == ("tools",)
    assert (servers["files"].include, servers["files"].exclude) == ((), ("write*",))
    assert [note.server for note in found.not_converted] == ["files"]
    assert '"files_write_log"' in found.not_converted[0].what
    assert (servers["other"].exclude, servers["web.site"].exclude) == ((), ())


def test_opencodes_switches_are_merged_over_all_its_files_and_permission_wins(machine: Machine) -> None:
    put(machine.home / ".config/opencode/opencode.json", {"tools": {"a*": False, "b*": False}})
    put(machine.cwd / "opencode.jsonc", {"mcp": {"a": LOCAL, "b": LOCAL, "c": LOCAL}})
    put(
        machine.cwd / ".opencode/opencode.json",
        {
            "tools": {"a*": True},
            "permission": {"c_x": "deny", "b_y": "ask", "c_z": {"*": "deny", "ok": "allow"}},
        },
    )
    servers, found = loaded("opencode", machine)
    assert (servers["a"].features_off, servers["a"].exclude) == ((), ())
    assert servers["b"].include == ("y",)
    assert servers["c"].exclude == ("x",)
    assert found.not_converted == ()


def test_a_persons_servers_are_not_switched_by_the_project_somebody_happens_to_be_in(
    machine: Machine,
) -> None:
    put(machine.home / ".config/opencode/opencode.json", {"mcp": {"a": LOCAL}})
    put(machine.cwd / "opencode.json", {"tools": {"a*": False}})
    servers, _ = loaded("opencode", machine, "user")
    assert servers["a"].features_off == ()


def test_an_agent_with_switches_of_its_own_is_said_for_the_servers_it_concerns(machine: Machine) -> None:
    agents = {
        "review": {"tools": {"a_*": True}},
        "plan": {"tools": {"b_z": False}, "permission": {"b_z": "allow"}},
    }
    put(
        machine.cwd / "opencode.json",
        {"mcp": {"a": LOCAL, "b": LOCAL}, "tools": {"a*": False}, "agent": agents},
    )
    _, found = loaded("opencode", machine)
    assert [(note.server, note.what) for note in found.not_converted] == [
        ("a", 'other "tools" for the agent review')
    ]


@pytest.mark.parametrize(
    ("tool", "file", "allowed", "on"),
    [
        ("gemini", ".gemini/settings.json", [], set()),
        ("gemini", ".gemini/settings.json", [" FILES "], {"Files"}),
        ("qwen", ".qwen/settings.json", [], set()),
        ("qwen", ".qwen/settings.json", ["files"], set()),
        ("qwen", ".qwen/settings.json", ["other"], {"other"}),
    ],
)
def test_a_list_of_allowed_servers_is_read_as_the_tool_reads_it(
    tool: str, file: str, allowed: list[str], on: set[str], machine: Machine
) -> None:
    servers = {"Files": {"command": "x"}, "other": {"command": "x"}}
    put(machine.cwd / file, {"mcpServers": servers, "mcp": {"allowed": allowed}})
    found, _ = loaded(tool, machine)
    assert {name for name, server in found.items() if server.enabled} == on


@pytest.mark.parametrize(("tool", "on"), [("gemini", set()), ("qwen", {"a", "b"})])
def test_allowed_servers_of_two_files_are_those_of_both_in_gemini_and_those_of_either_in_qwen(
    tool: str, on: set[str], machine: Machine
) -> None:
    put(machine.home / f".{tool}/settings.json", {"mcp": {"allowed": ["a"]}})
    servers = {"a": {"command": "x"}, "b": {"command": "x"}}
    put(machine.cwd / f".{tool}/settings.json", {"mcpServers": servers, "mcp": {"allowed": ["b"]}})
    found, _ = loaded(tool, machine)
    assert {name for name, server in found.items() if server.enabled} == on


@pytest.mark.parametrize(("tool", "name"), [("gemini", "mcp_a_write"), ("qwen", "mcp__a__write")])
def test_a_tool_excluded_by_its_long_name_is_excluded_from_its_server(
    tool: str, name: str, machine: Machine
) -> None:
    servers = {"a": {"command": "x", "includeTools": ["read(path)", "list*"]}, "b": {"command": "x"}}
    put(
        machine.cwd / f".{tool}/settings.json", {"mcpServers": servers, "tools": {"exclude": [name, "shell"]}}
    )
    found, _ = loaded(tool, machine)
    assert (found["a"].include, found["a"].exclude) == (("read", "list[*]"), ("write",))
    assert found["b"].exclude == ()


@pytest.mark.parametrize(
    ("tool", "file", "contents"),
    [
        ("codex", ".codex/config.toml", '[mcp_servers.a]\ncommand = "x"\nenabled_tools = []\n'),
        ("gemini", ".gemini/settings.json", {"mcpServers": {"a": {"command": "x", "includeTools": []}}}),
        ("copilot", ".mcp.json", {"mcpServers": {"a": {"command": "x", "tools": []}}}),
    ],
)
def test_an_empty_list_of_tools_means_none_where_the_tool_takes_it_so(
    tool: str, file: str, contents: Any, machine: Machine
) -> None:
    put(machine.cwd / file, contents)
    servers, _ = loaded(tool, machine)
    assert servers["a"].features_off == ("tools",)


def test_a_star_among_copilots_tools_means_all_whatever_stands_beside_it(machine: Machine) -> None:
    put(machine.cwd / ".mcp.json", {"mcpServers": {"a": {"command": "x", "tools": ["*", "b"]}}})
    servers, _ = loaded("copilot", machine)
    assert (servers["a"].include, servers["a"].features_off) == ((), ())


def test_claude_codes_list_of_rejected_servers_is_about_the_projects_shared_file_only(
    machine: Machine,
) -> None:
    shared = {
        "a": {"command": "x"},
        "my server": {"command": "x"},
        "hidden": {"command": "shared"},
        "denied": {"command": "x"},
    }
    put(machine.cwd / ".mcp.json", {"mcpServers": shared})
    own = {"mcpServers": {"local": {"command": "x"}, "hidden": {"command": "local"}}}
    put(machine.home / ".claude.json", {"projects": {str(machine.cwd): own}})
    rejected = ["a", "my_server", "local", "hidden"]
    put(machine.cwd / ".claude/settings.local.json", {"disabledMcpjsonServers": rejected})
    put(machine.home / ".claude/settings.json", {"deniedMcpServers": [{"serverName": "denied"}]})
    servers, _ = loaded("claude", machine)
    assert {name for name, server in servers.items() if server.enabled} == {"local", "hidden"}
