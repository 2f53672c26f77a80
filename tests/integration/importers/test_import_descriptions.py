"""Descriptions that import writes for servers whose tool has none: from packages on this disk, fit to choose by.

``tests/fixtures/descriptions/wishes.json`` has, of fourteen public servers, how they are started, the summary their
package gives and the names of their tools, as recorded; and twenty wishes a person may have. What chooses here is no
model but the plainest there is: words in common, rare ones counting more. A plain sentence is measured in the same way.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.coding_tools.descriptions import _tools, about, suggestion
from dmcp.cli.coding_tools.model import Command, ImportedServer
from dmcp.cli.coding_tools.places import Machine
from dmcp.protocol.descriptions import GENERATED
from harness.cli import run_dmcp
from harness.configs import TESTS

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED: dict[str, Any] = json.loads((TESTS / "fixtures" / "descriptions" / "wishes.json").read_text())
SERVERS: dict[str, dict[str, Any]] = RECORDED["servers"]
# fmt: off
COMMON = frozenset({
    "a", "an", "and", "are", "at", "for", "from", "give", "have", "in", "is", "it", "its", "me",
    "my", "of", "on", "one", "our", "server", "started", "that", "the", "this", "to", "what",
})
# fmt: on


def installed(home: Path) -> Path:
    """The caches of npm and uv with the recorded packages in them. Returns the home directory."""
    for number, (name, server) in enumerate(SERVERS.items()):
        items = "".join(f"- `{tool}`\n  - Inputs: `path` (string)\n" for tool in server["tools"])
        page = f"# {name}\n\n[![badge](x)](y)\n\n## Tools\n\n{items}\n## Usage\n\n- `not_a_tool`\n"
        if server["kind"] == "npm":
            folder = home / ".npm/_npx" / f"{number:016x}" / "node_modules" / server["package"]
            folder.mkdir(parents=True)
            manifest = {"name": server["package"], "version": "1.0.0", "description": server["summary"]}
            (folder / "package.json").write_text(json.dumps(manifest))
            (folder / "README.md").write_text(page)
        else:
            file = server["package"].replace("-", "_")
            info = home / ".cache/uv/archive-v0" / f"x{number}" / f"{file}-1.0.dist-info"
            info.mkdir(parents=True)
            head = f"Metadata-Version: 2.3\nName: {server['package']}\nSummary: {server['summary']}\n"
            (info / "METADATA").write_text(f"{head}Description-Content-Type: text/markdown\n\n{page}")
    return home


def words(text: str) -> set[str]:
    found = re.findall(r"[a-z0-9]+", text.lower().replace("_", " ").replace("-", " "))
    return {word[:6].removesuffix("s") for word in found if word not in COMMON}


def chosen(wish: str, descriptions: Mapping[str, str]) -> str:
    """The group that has most words in common with the wish."""
    known = {group: words(f"{group} {text}") for group, text in descriptions.items()}
    frequent = Counter(word for each in known.values() for word in each)
    scores = {
        group: sum(math.log(1 + len(known) / frequent[word]) for word in each & words(wish))
        / math.sqrt(len(each))
        for group, each in known.items()
    }
    return max(scores, key=lambda group: scores[group])


def right(descriptions: Mapping[str, str]) -> list[str]:
    """The wishes for which the right group was chosen."""
    return [one["wish"] for one in RECORDED["wishes"] if chosen(one["wish"], descriptions) == one["group"]]


def test_of_twenty_wishes_nineteen_find_their_group_by_the_descriptions_import_writes(tmp_path: Path) -> None:
    home = installed(tmp_path / "home")
    project = tmp_path / "project"
    project.mkdir()
    entries = {name: {"command": s["command"], "args": s["args"]} for name, s in SERVERS.items()}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": entries}))
    env = {
        "HOME": str(home),
        "XDG_CACHE_HOME": "",
        "XDG_DATA_HOME": "",
        "npm_config_cache": "",
        "UV_CACHE_DIR": "",
    }
    done = run_dmcp("import", "claude", "--yes", cwd=project, env=env)
    assert done.returncode == 0, done.stderr
    written = json.loads((project / "dynamic-mcp.json").read_text())["mcpServers"]
    told = {name: entry["description"] for name, entry in written.items()}
    assert all(text.endswith(GENERATED) and len(text) <= 300 for text in told.values())
    assert "not_a_tool" not in str(told)
    missed = {one["wish"] for one in RECORDED["wishes"]} - set(right(told))
    assert len(missed) <= 1, missed
    plain = {
        name: suggestion(ImportedServer(name, Command(s["command"], tuple(s["args"]))))
        for name, s in SERVERS.items()
    }
    assert len(right(plain)) < len(right(told))


def found(room: Path, command: str, *args: str, **environ: str) -> Any:
    machine = Machine(room / "home", room / "project", {"PATH": "", **environ}, "linux")
    return about(Command(command, args), machine)


@pytest.mark.parametrize(
    "args",
    [
        ("mcp-server-git",),
        ("mcp-server-git==1.0", "--repository", "x"),
        ("mcp_server.git@latest",),
        ("--from", "mcp-server-git[extra]>=1", "other-command"),
        ("--from=mcp-server-git", "other-command"),
        ("--python", "3.12", "mcp-server-git"),
    ],
)
def test_a_package_uv_has_run_is_found_however_it_is_named(tmp_path: Path, args: tuple[str, ...]) -> None:
    installed(tmp_path / "home")
    known = found(tmp_path, "/usr/bin/uvx", *args)
    assert known is not None
    assert known.summary == SERVERS["git"]["summary"]
    assert list(known.tools) == SERVERS["git"]["tools"]


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("npx", ("-y", "@modelcontextprotocol/server-memory")),
        ("npx", ("--yes", "@modelcontextprotocol/server-memory@1.2.3", "--port", "1")),
        ("npx", ("-y", "--package=@modelcontextprotocol/server-memory", "x")),
        ("pnpm", ("dlx", "@modelcontextprotocol/server-memory@latest")),
        ("C:\\node\\npx.cmd", ("-y", "@modelcontextprotocol/server-memory")),
    ],
)
def test_a_package_npm_has_run_is_found_however_it_is_named(
    tmp_path: Path, command: str, args: tuple[str, ...]
) -> None:
    installed(tmp_path / "home")
    known = found(tmp_path, command, *args)
    assert known is not None
    assert known.summary == SERVERS["memory"]["summary"]


@pytest.mark.npm
def test_the_packages_of_real_servers_say_what_they_are() -> None:
    room = TESTS / "npm"
    if not (room / "node_modules/@modelcontextprotocol").is_dir():
        pytest.skip("the npm servers are missing: run: npm ci --prefix tests/npm")
    machine = Machine(Path("/nowhere"), room, {}, "linux")
    for name in ("filesystem", "memory", "everything"):
        known = about(Command("npx", ("-y", f"@modelcontextprotocol/server-{name}")), machine)
        assert known is not None
        recorded = SERVERS[name]
        assert (known.summary, list(known.tools)) == (recorded["summary"], recorded["tools"])


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("npx", ("-y", "../../evil")),
        ("npx", ("-y", "@scope/../../evil")),
        ("npx", ("-y", "/etc")),
        ("npx", ()),
        ("uvx", ("git+ssh://somewhere/x",)),
        ("uvx", ("..",)),
        ("docker", ("run", "-i", "image")),
        ("node", ("$HOME/x.js",)),
        ("x" * 100_000, ("y" * 100_000,)),
        ("\x00", ("\x00",)),
    ],
)
def test_what_names_no_package_says_nothing(tmp_path: Path, command: str, args: tuple[str, ...]) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil/package.json").write_text('{"description": "evil"}')
    assert found(tmp_path, command, *args) is None


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{",
        '{"description": 7}',
        '{"description": ["x"]}',
        "[" * 100_000,
        '{"description": "' + "x" * 300_000 + '"}',
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_a_package_that_is_no_good_says_nothing(tmp_path: Path, manifest: str) -> None:
    folder = tmp_path / "home/.npm/_npx/1/node_modules/bad"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(manifest)
    (tmp_path / "project").mkdir()
    assert found(tmp_path, "npx", "bad") is None


def test_a_packages_words_are_cut_and_nothing_in_them_is_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "home/.npm/_npx/1/node_modules/odd"
    folder.mkdir(parents=True)
    summary = "Reads\n- other: \x1b[31m things \u202e" + "x" * 1000
    (folder / "package.json").write_text(json.dumps({"description": summary}))
    (folder / "README.md").write_text("## Tools\n" + "".join(f"- `{'t' * 30}_{n}`\n" for n in range(5000)))
    (tmp_path / "project").mkdir()
    known = found(tmp_path, "npx", "odd")
    text = suggestion(ImportedServer("odd", Command("npx", ("odd",))), known)
    assert len(text) <= 300
    assert text.isprintable()
    assert text.endswith(GENERATED)


def test_parameters_and_options_on_a_page_are_no_tools() -> None:
    page = """## Tools

### sequential_thinking

**Inputs:**
- `thought` (string): one
- `next_thought` (boolean): two

### other_tool

Region Code Examples:
- `us-en`: here

#### Parameters

- `max_results`: how many

### 3. Third

- `third_tool`: Does it
  - Input: `path`
"""
    assert _tools(page) == ("sequential_thinking", "other_tool", "third_tool")
