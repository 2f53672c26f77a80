"""Real files, as people have them: known by what is inside, translated by their tool's meaning, nothing lost unsaid."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.coding_tools.detect import servers_at_top, serves_dmcp, tool_of
from dmcp.cli.coding_tools.formats import parse_document
from dmcp.errors import ConfigError
from harness.cli import run_dmcp

if TYPE_CHECKING:
    from pathlib import Path

SERVER = {"command": "uvx", "args": ["mcp-server-git"]}
CODEX = '[mcp_servers.a]\ncommand = "x"\n'
AT_TERMINAL = [
    sys.executable,
    "-c",
    "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, '-m', 'dmcp', *sys.argv[1:]])",
]


class Desk:
    """A home and a project, and what an import of them writes and says."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "project"
        self.home.mkdir()
        self.project.mkdir()

    def put(self, place: str, contents: Any) -> Path:
        """Write a file below the project, or below the home directory after ``~/``."""
        path = self.home / place[2:] if place.startswith("~/") else self.project / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
        return path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {"HOME": str(self.home), "XDG_CONFIG_HOME": "", "PATH": "/nonexistent"}
        return run_dmcp("import", *words, env=env, cwd=self.project)

    def imported(self, *words: str) -> tuple[dict[str, Any], str]:
        done = self.run(*words, "--yes", "--force")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self.project / "dynamic-mcp.json").read_text())["mcpServers"], done.stdout

    def at_terminal(self, *words: str, keys: list[tuple[str, bytes]]) -> tuple[int, str]:
        """Press keys, each when its text is there for the next time. Returns the exit status and what was shown."""
        pty = pytest.importorskip("pty", reason="terminals of POSIX")
        ours, its = pty.openpty()
        env = {**os.environ, "HOME": str(self.home)}
        shown, at, end, pressed = "", 0, time.monotonic() + 60, b""
        with subprocess.Popen(
            [*AT_TERMINAL, "import", *words], cwd=self.project, stdin=its, env=env
        ) as process:
            os.close(its)
            while time.monotonic() < end:
                try:
                    if select.select([ours], [], [], 5)[0]:
                        shown += os.read(ours, 65536).decode()
                    elif pressed == b"\x03":
                        # It came between the prompt and the reading, where Python's input() loses it.
                        os.write(ours, pressed)
                except OSError:
                    break
                while keys and keys[0][0] in shown[at:]:
                    at += shown[at:].index(keys[0][0]) + len(keys[0][0])
                    pressed = keys.pop(0)[1]
                    os.write(ours, pressed)
            os.close(ours)
            return process.wait(60), shown


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("settings.json", {"editor.fontSize": 12, "mcp": {"servers": {"git": SERVER}, "inputs": []}}),
        ("settings.json", {"mcp.servers": {"git": SERVER}}),
        ("mcp.json", {"servers": {"git": SERVER}}),
        ("mcp.json", {"mcpServers": {"git": SERVER}}),
        ("my.code-workspace", {"folders": [], "settings": {"mcp": {"servers": {"git": SERVER}}}}),
        (
            "my.code-workspace",
            '// mine\n{"settings": {"mcp": {"servers": {"git": ' + json.dumps(SERVER) + "}}},}",
        ),
        (
            "devcontainer.json",
            {"image": "x", "customizations": {"vscode": {"mcp": {"servers": {"git": SERVER}}}}},
        ),
        ("plugin.json", {"git": SERVER}),
        ("other.json", {"settings": {"assistant": {"servers": {"git": SERVER}}}}),
        ("other.json", {"mcp": {"mcpServers": {"git": SERVER}}}),
        ("plugin.json", {"$schema": "x", "git": SERVER}),
        ("git.json", SERVER),
        ("one.json", {"name": "git", **SERVER}),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_a_format_is_recognised_by_what_is_inside(name: str, contents: Any, desk: Desk) -> None:
    desk.put(name, contents)
    servers, _ = desk.imported(name)
    assert servers["git"]["command"] == "uvx"
    assert servers["git"]["args"] == ["mcp-server-git"]
    assert list(servers) == ["git"]


@pytest.mark.parametrize(
    ("place", "contents", "scope"),
    [
        (".vscode/settings.json", {"mcp": {"servers": {"git": SERVER}}}, []),
        (
            ".devcontainer/devcontainer.json",
            {"customizations": {"vscode": {"mcp": {"servers": {"git": SERVER}}}}},
            [],
        ),
        ("~/.config/Code/User/settings.json", {"mcp": {"servers": {"git": SERVER}}}, ["--global"]),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_visual_studio_codes_other_places_are_found(
    place: str, contents: Any, scope: list[str], desk: Desk
) -> None:
    desk.put(place, contents)
    assert list(desk.imported("vscode", *scope)[0]) == ["git"]


@pytest.mark.parametrize(
    ("spelled", "kind"),
    [
        ("sse", "sse"),
        ("http", "http"),
        ("streamable-http", "http"),
        ("streamableHttp", "http"),
        ("streamable_http", "http"),
    ],
)
@pytest.mark.parametrize("key", ["transport", "transportType", "type"])
def test_the_transport_is_taken_as_other_tools_spell_it(
    key: str, spelled: str, kind: str, desk: Desk
) -> None:
    desk.put("some.json", {"mcpServers": {"a": {"url": "https://x.example/mcp", key: spelled}}})
    servers, said = desk.imported("some.json")
    assert servers["a"]["type"] == kind
    assert "Not carried" not in said


@pytest.mark.parametrize(
    ("tool", "place", "text", "timeout"),
    [
        ("codex", ".codex/config.toml", CODEX + "startup_timeout_ms = 20000\n", {"connect": "20s"}),
        ("codex", ".codex/config.toml", CODEX + "startup_timeout_sec = 7\nstartup_timeout_ms = 1\n",
         {"connect": "7s"}),
        ("codex", ".codex/config.toml", CODEX + "tool_timeout_sec = 1.5\n", {"tools": "1500ms"}),
        ("claude", ".mcp.json", '{"mcpServers": {"a": {"command": "x", "timeout": 60000}}}', {"tools": "60s"}),
        ("kiro", ".kiro/settings/mcp.json", '{"mcpServers": {"a": {"command": "x", "timeout": "30s"}}}',
         {"tools": "30s"}),
        ("gemini", ".gemini/settings.json", '{"mcpServers": {"a": {"command": "x", "discoveryTimeoutMs": 5000}}}',
         {"connect": "5s"}),
    ],
)  # fmt: skip
def test_every_duration_is_carried_in_its_own_unit(
    tool: str, place: str, text: str, timeout: dict[str, str], desk: Desk
) -> None:
    desk.put(place, text)
    servers, said = desk.imported(tool)
    assert servers["a"]["timeout"] == timeout
    assert "Not carried" not in said


def test_seconds_where_the_tool_counts_milliseconds_are_named_and_leave_calls_their_time(desk: Desk) -> None:
    of_another_tool = {
        "a": {**SERVER, "timeout": 60, "autoApprove": ["x"]},
        "b": {**SERVER, "timeout": 60_000},
    }
    path = desk.put("docs-page.json", {"mcpServers": of_another_tool})
    written, said = desk.imported(str(path))
    assert "timeout" not in written["a"]
    assert written["b"]["timeout"] == {"tools": "60s"}
    assert 'a: "timeout" would be 60 ms' in said
    assert "write 60s into timeout" in said


def test_visual_studio_codes_own_words_mean_here_what_they_mean_there(desk: Desk) -> None:
    entry = {
        "command": "~/bin/server",
        "args": ["${userHome}/x", "${workspaceFolder}/y", "~/z", "a~/b", "--file=${file}"],
        "cwd": "~/work",
        "env": {"PATH": "/opt/bin:${env:PATH}", "KEY": "${input:api-key}", "GONE": None},
    }
    inputs = [{"id": "api-key", "type": "promptString", "password": True}]
    desk.put(".vscode/mcp.json", {"servers": {"a": entry}, "inputs": inputs})
    servers, said = desk.imported("vscode")
    home = str(desk.home)
    a = servers["a"]
    assert a["command"] == f"{home}/bin/server"
    assert a["args"] == [f"{home}/x", f"{desk.project}/y", f"{home}/z", "a~/b", "--file=${FILE}"]
    assert a["cwd"] == f"{home}/work"
    assert a["env"] == {"PATH": "/opt/bin:${PATH}", "KEY": "${API_KEY}"}
    assert "${input:api-key} is asked for by the editor" in said
    assert "${file} is known to that editor only" in said
    assert "env.GONE" in said


def test_what_nobody_knows_is_named_and_no_value_with_it(desk: Desk) -> None:
    entry = {**SERVER, "sandboxing": {"deep": "secret-value-1"}, "retries": 3, "timeoutPolicy": "x"}
    desk.put(".mcp.json", {"mcpServers": {"a": entry}})
    _, said = desk.imported("claude")
    for key in ("sandboxing", "retries", "timeoutPolicy"):
        assert f'a: "{key}" has no equivalent' in said
    assert "secret-value-1" not in said


def test_servers_elsewhere_in_a_file_are_named(desk: Desk) -> None:
    projects = {"/work/a": {"mcpServers": {"x": SERVER, "y": SERVER}}}
    desk.put(
        "named.json",
        {"mcpServers": {"git": SERVER}, "projects": projects, "lsp": {"py": {"command": "pyls"}}},
    )
    servers, said = desk.imported("named.json")
    assert list(servers) == ["git"]
    assert "2 servers under projects./work/a.mcpServers" in said
    assert "lsp" not in said


def test_servers_elsewhere_in_a_tools_own_file_are_named_too(desk: Desk) -> None:
    profiles = '[profiles.fast.mcp_servers.b]\ncommand = "x"\n[profiles.slow.mcp_servers.c]\ncommand = "x"\n'
    desk.put(".codex/config.toml", CODEX + profiles)
    servers, said = desk.imported("codex")
    assert list(servers) == ["a"]
    assert "2 servers under profiles (2 tables): add them by hand" in said
    projects = {f"/work/{name}": {"mcpServers": {"x": SERVER}} for name in "abc"}
    desk.put("~/.claude.json", {"mcpServers": {"git": SERVER}, "projects": projects})
    assert (
        "3 servers under projects (3 tables): import them in that project"
        in desk.imported("claude", "--global")[1]
    )
    desk.put(
        "~/.kiro/settings/mcp.json", {"mcpServers": {"a": SERVER}, "powers": {"mcpServers": {"b": SERVER}}}
    )
    assert list(desk.imported("kiro", "--global")[0]) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("settings.json", {"agent_servers": {"gemini": {"command": "gemini", "args": ["--acp"]}}}),
        ("settings.json", {"statusLine": {"type": "command", "command": "x.sh"}}),
        ("settings.json", {"extraKnownMarketplaces": {"a": {"source": {"source": "git", "url": "https://x.example"}}}}),
        ("compose.yaml", "services:\n  a:\n    image: x\n    command: [serve]\n"),
        ("package.json", {"scripts": {"a": "b"}, "bin": {"x": "y"}}),
    ],
)  # fmt: skip
def test_commands_and_addresses_that_are_no_servers_are_none(name: str, contents: Any, desk: Desk) -> None:
    path = desk.put(name, contents)
    with pytest.raises(ConfigError, match="no servers found"):
        tool_of(path, servers_at_top(parse_document(path.read_text(), str(path), path.suffix), path), "")


def test_files_of_extensions_and_plugins_begin_where_they_lie(desk: Desk) -> None:
    desk.put(
        "ext/gemini-extension.json",
        {"name": "e", "mcpServers": {"a": {"command": "node", "args": ["${extensionPath}${/}x.js"]}}},
    )
    servers, said = desk.imported("ext/gemini-extension.json")
    assert "read as a file of Gemini CLI" in said
    assert servers["a"]["args"] == [f"{desk.project}/ext/x.js"]
    flat = {"db": {"command": "${CLAUDE_PLUGIN_ROOT}/db", "env": {"D": "${CLAUDE_PLUGIN_DATA}"}}}
    desk.put("plug/.claude-plugin/plugin.json", {"name": "p", "mcpServers": flat})
    servers, said = desk.imported("plug/.claude-plugin/plugin.json")
    assert servers["db"]["command"] == f"{desk.project}/plug/db"
    assert "${CLAUDE_PLUGIN_DATA} is known to that tool only" in said
    desk.put("plug/.claude-plugin/plugin.json", {"name": "p", "mcpServers": "./.mcp.json"})
    done = desk.run("plug/.claude-plugin/plugin.json", "--yes", "--force")
    assert done.returncode == 2
    assert "its servers are in another file, ./.mcp.json" in done.stderr


def test_older_and_other_files_of_a_tool_are_read(desk: Desk) -> None:
    old = {"experimental": {"modelContextProtocolServers": [{"transport": {"type": "stdio", **SERVER}}]}}
    desk.put("~/.continue/config.json", old)
    assert [entry["command"] for entry in desk.imported("continue", "--global")[0].values()] == ["uvx"]
    assert len(desk.imported(str(desk.home / ".continue/config.json"))[0]) == 1
    settings = {"amp.mcpServers": {"git": SERVER}, "amp.tools.disable": ["mcp__git__push", "Bash"]}
    desk.put(".vscode/settings.json", settings)
    assert desk.imported("amp")[0]["git"]["tools"] == {"exclude": ["push"]}


def test_a_server_that_stands_twice_is_named(desk: Desk) -> None:
    desk.put(
        ".mcp.json",
        '{"mcpServers": {"a": {"command": "one"}, "b": {"command": "b"}, "a": {"command": "two"}}}',
    )
    servers, said = desk.imported("claude")
    assert servers["a"]["command"] == "two"
    assert "the first of two at mcpServers.a" in said
    desk.put("named.json", (desk.project / ".mcp.json").read_text())
    assert "the first of two at mcpServers.a" in desk.imported("named.json")[1]


@pytest.mark.parametrize(
    ("words", "is_dmcp"),
    [
        (["uvx", "mcp-server-git", "--repository", "/home/me/src/dmcp"], False),
        (["npx", "-y", "server-filesystem", "/home/me/dmcp"], False),
        (["uv", "--directory", "/home/me/dmcp", "run", "server.py"], False),
        (["uv", "run", "--with", "dmcp", "other"], False),
        (["uvx", "--from", "dmcp", "other"], False),
        (["pipx", "run", "dmcp-tools"], False),
        (["python", "-m", "other", "-m", "dmcp.x"], False),
        (["docker", "run", "-v", "/x/dmcp:/dmcp", "image", "dmcp"], False),
        (["node", "/home/me/dmcp"], False),
        (["uvx", "dmcp", "c.json"], True),
        (["uvx", "dmcp==2.0", "c.json"], True),
        (["uvx", "dmcp[keyring]@latest", "c.json"], True),
        (["uvx", "--python", "3.12", "--from", "dmcp", "dmcp", "c.json"], True),
        (["uv", "tool", "run", "dmcp", "c.json"], True),
        (["uv", "run", "-m", "dmcp", "c.json"], True),
        (["uv", "run", "python", "-m", "dmcp", "c.json"], True),
        (["pipx", "run", "--spec", "dmcp==2", "dmcp", "c.json"], True),
        (["env", "DMCP_LOG=info", "dmcp", "c.json"], True),
        (["cmd", "/c", "dmcp", "c.json"], True),
        (["/home/me/.local/bin/dmcp", "c.json"], True),
        (["dmcp", "fault", "x.json"], False),
    ],
)
def test_a_path_with_the_name_is_not_taken_for_dmcp(words: list[str], is_dmcp: bool) -> None:
    assert serves_dmcp(words) == is_dmcp


def test_a_server_about_dmcps_own_sources_is_imported(desk: Desk) -> None:
    desk.put(
        ".mcp.json", {"mcpServers": {"git": {"command": "uvx", "args": ["mcp-server-git", "/src/dmcp"]}}}
    )
    assert list(desk.imported("claude")[0]) == ["git"]


def test_the_directory_a_tool_ran_a_server_in_is_carried_where_it_is_another_one(desk: Desk) -> None:
    servers = {
        "script": {"command": "./serve.sh"},
        "python": {"command": "python3", "args": ["server.py"]},
        "here": {"command": "mcp-fs", "args": ["."]},
        "option": {"command": "mcp-fs", "args": ["--root=../data"]},
        "plain": {"command": "npx", "args": ["-y", "pkg"]},
        "set": {"command": "x", "cwd": "sub"},
        "fixed": {"command": "./x", "cwd": "/srv"},
    }
    desk.put(".mcp.json", {"mcpServers": servers})
    desk.put("server.py", "")
    output = desk.home / "all.json"
    done = desk.run("claude", "--yes", "--output", str(output))
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())["mcpServers"]
    there = str(desk.project)
    assert {name: entry.get("cwd") for name, entry in written.items()} == {
        **dict.fromkeys(("script", "python", "here", "option"), there),
        "plain": None,
        "set": f"{there}/sub",
        "fixed": "/srv",
    }
    beside, _ = desk.imported("claude")
    assert beside["script"]["cwd"] == "."
    assert "cwd" not in beside["plain"]
    assert beside["set"]["cwd"] == "sub"


def test_a_relative_directory_for_all_projects_is_named_since_nobody_knows_where_it_began(desk: Desk) -> None:
    servers = {"far": {"command": "x", "cwd": "sub"}, "fixed": {"command": "x", "cwd": "/srv"}}
    desk.put("~/.cursor/mcp.json", {"mcpServers": servers})
    written, said = desk.imported("cursor", "--global")
    assert written["far"]["cwd"] == "sub"
    noted = [line.strip() for line in said.splitlines() if '"cwd"' in line]
    assert len(noted) == 1
    assert noted[0].startswith('far: "cwd" is relative')
    assert noted[0].endswith("write the whole path")


def test_the_other_scope_is_named_with_its_count(desk: Desk) -> None:
    desk.put("~/.claude.json", {"mcpServers": {f"s{n}": SERVER for n in range(14)}})
    done = desk.run("claude", "--yes")
    assert done.returncode == 2
    assert "14 in user scope: add --global" in done.stderr
    desk.put(".mcp.json", {"mcpServers": {"one": SERVER}})
    assert "14 in user scope: add --global" in desk.imported("claude")[1]
    assert "1 in this project: leave out --global" in desk.imported("claude", "--global")[1]


def test_one_answer_can_be_for_all_that_follow(desk: Desk) -> None:
    desk.put(".mcp.json", {"mcpServers": {name: {"command": name} for name in "pqrs"}})
    keys = [("good for", b"The first\r"), ("Keep all", b"\r"), ("good for", b"a\r")]
    status, shown = desk.at_terminal("claude", keys=keys)
    assert status == 0, shown
    written = json.loads((desk.project / "dynamic-mcp.json").read_text())["mcpServers"]
    assert list(written) == list("pqrs")
    assert written["p"]["description"] == "The first"
    assert written["q"]["description"] != "a"
    assert shown.count("good for") == 2


def test_ctrl_c_keeps_what_was_answered(desk: Desk) -> None:
    desk.put(".mcp.json", {"mcpServers": {name: {"command": name} for name in "pqrs"}})
    keys = [("good for", b"The first\r"), ("Keep all", b"\r"), ("good for", b"\x03")]
    status, shown = desk.at_terminal("claude", keys=keys)
    assert status == 130, shown
    assert "what you had answered is written" in shown
    assert "q: not asked about" in shown
    written = json.loads((desk.project / "dynamic-mcp.json").read_text())["mcpServers"]
    assert {name: entry["description"] for name, entry in written.items()} == {"p": "The first"}


@pytest.mark.parametrize(
    ("ignored", "env", "warned"),
    [
        (None, {"API_TOKEN": "hunter2hunter2"}, True),
        (None, {"API_TOKEN": "${API_TOKEN}"}, False),
        ("dynamic-mcp.json\n", {"API_TOKEN": "hunter2hunter2"}, False),
        ("/project/*.json\n", {"API_TOKEN": "hunter2hunter2"}, False),
        ("*.json\n!dynamic-mcp.json\n", {"API_TOKEN": "hunter2hunter2"}, True),
        ("project/\n", {"API_TOKEN": "hunter2hunter2"}, False),
        ("other.json\n# dynamic-mcp.json\n", {"API_TOKEN": "hunter2hunter2"}, True),
    ],
)
def test_secrets_in_a_repository_are_warned_of_with_the_line_that_keeps_them_out(
    ignored: str | None, env: dict[str, str], warned: bool, desk: Desk
) -> None:
    root = desk.project.parent
    (root / ".git").mkdir()
    if ignored is not None:
        (root / ".gitignore").write_text(ignored)
    desk.put(".mcp.json", {"mcpServers": {"a": {"command": "x", "env": env}}})
    _, said = desk.imported("claude")
    assert ("git would take it in" in said) == warned
    assert ("\n  /project/dynamic-mcp.json\n" in said) == warned
    assert "hunter2" not in said


def test_it_ends_with_the_next_command(desk: Desk) -> None:
    desk.put(".mcp.json", {"mcpServers": {"a": SERVER}})
    assert desk.imported("claude")[1].splitlines()[-1] == "Next: dmcp check"
    done = desk.run("claude", "--yes", "--output", "my servers.json")
    assert done.stdout.splitlines()[-1] == "Next: dmcp check 'my servers.json'"


def test_the_address_an_app_is_registered_with_is_carried(desk: Desk) -> None:
    oauth = {
        "clientId": "c",
        "redirectUri": "http://localhost:7777/oauth/callback",
        "authorizationUrl": "https://x",
    }
    desk.put(
        ".gemini/settings.json", {"mcpServers": {"a": {"httpUrl": "https://x.example/mcp", "oauth": oauth}}}
    )
    servers, said = desk.imported("gemini")
    assert servers["a"]["oauth"] == {
        "client_id": "c",
        "redirect_port": 7777,
        "redirect_host": "localhost",
        "redirect_path": "/oauth/callback",
    }
    assert "finds out by itself" not in said
    oauth["redirectUri"] = "https://app.example/callback"
    desk.put(
        ".gemini/settings.json", {"mcpServers": {"a": {"httpUrl": "https://x.example/mcp", "oauth": oauth}}}
    )
    servers, said = desk.imported("gemini")
    assert servers["a"]["oauth_client_id"] == "c"
    assert "redirect_host" in said
