from __future__ import annotations

from pathlib import Path

import pytest

from dmcp.cli.coding_tools.detect import project_of, tool_of
from dmcp.cli.coding_tools.formats import parse_document
from dmcp.errors import ConfigError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "importers"
NOT_CONFIGURATIONS = {"mcp-server-enablement.json"}
EXTENSIONS = "Claude Extensions"  # read as manifests: see ``test_import_harvest``
SAME_FORMAT = {"copilot": "claude"}  # .mcp.json belongs to both, and reads the same
FILES = [
    path
    for part in ("home", "project")
    for path in sorted(FIXTURES.glob(f"*/{part}/**/*"))
    if path.is_file()
    and path.name not in NOT_CONFIGURATIONS
    and EXTENSIONS not in str(path)
    and b'"disabledMcpServers": [\n' not in path.read_bytes()
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_every_tools_file_is_known_by_its_place(path: Path) -> None:
    owner = path.relative_to(FIXTURES).parts[0].partition("--")[0]
    text = path.read_text()
    tool, key = tool_of(path, parse_document(text, "f", path.suffix), text)
    expected = {owner, SAME_FORMAT.get(owner, owner)}
    assert tool.name in expected
    assert key in tool_keys(tool)


def tool_keys(tool: object) -> set[str]:
    return {place.servers[0] for place in (*tool.project, *tool.user)} | {"mcpServers"}  # type: ignore[attr-defined]  # a CodingTool


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"servers": {"a": {"command": "x"}}}', "vscode"),
        ('{"context_servers": {}}', "zed"),
        ('{"mcp": {"a": {"type": "local"}}}', "opencode"),
        ('{"amp.mcpServers": {}}', "amp"),
        ('{"mcp_servers": {}}', "codex"),
        ('{"extensions": {}}', "goose"),
        ('{"mcpServers": [{"name": "a"}]}', "continue"),
        ('{"mcpServers": {"a": {"httpUrl": "https://x"}}}', "gemini"),
        ('{"mcpServers": {"a": {"transport": {}}}}', "cline"),
        ('{"mcpServers": {"a": {"env": {"A": "${env:A}"}}}}', "cursor"),
        ('{"mcpServers": {"a": {"serverUrl": "https://x/${env:A}"}}}', "windsurf"),
        ('{"mcpServers": {"a": {"serverUrl": "https://x"}}}', "antigravity"),
        ('{"mcpServers": {"a": {"command": "${A}"}}}', "claude"),
    ],
)
def test_a_file_elsewhere_is_known_by_its_keys_and_its_spelling(text: str, name: str) -> None:
    tool, _ = tool_of(Path("/downloads/some.json"), parse_document(text, "f", ".json"), text)
    assert tool.name == name


def test_a_file_without_servers_is_refused() -> None:
    with pytest.raises(ConfigError, match="no servers found"):
        tool_of(Path("/x.json"), {"theme": "dark"}, "")


def test_the_project_of_a_file_is_above_the_tools_folder() -> None:
    assert project_of(Path("/work/.cursor/mcp.json")) == Path("/work").absolute()
    assert project_of(Path("/work/mcp.json")) == Path("/work").absolute()
