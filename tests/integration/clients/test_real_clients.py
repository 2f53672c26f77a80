from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import Child

if TYPE_CHECKING:
    from tests.integration.clients.conftest import Desk

pytestmark = [pytest.mark.npm, pytest.mark.timeout(240)]

SLOW = 90.0  # seconds; codex looks for its network first


def lists_connected(desk: Desk, tool: str) -> bool:
    said = desk.run(tool, "mcp", "list")
    return any("dmcp" in line and "connected" in line.lower() for line in said.splitlines())


@pytest.mark.parametrize(
    ("tool", "scope"),
    [("claude", []), ("claude", ["--global"]), ("gemini", []), ("opencode", ["--global"])],
    ids=["claude-project", "claude-user", "gemini-project", "opencode-user"],
)
def test_the_tool_connects_to_dmcp_after_install_and_does_not_know_it_after_uninstall(
    desk: Desk, tool: str, scope: list[str]
) -> None:
    assert not lists_connected(desk, tool)
    desk.dmcp("install", tool, "--config", str(desk.config), *scope)
    assert lists_connected(desk, tool)
    assert "already" in desk.dmcp("install", tool, "--config", str(desk.config), *scope)
    desk.dmcp("uninstall", tool, *scope)
    assert "dmcp" not in desk.run(tool, "mcp", "list")


def test_claude_code_lists_dmcp_alone_after_replace_and_its_own_servers_again_after_uninstall(
    desk: Desk,
) -> None:
    entry = json.loads(desk.config.read_text())["mcpServers"]["everything"]
    desk.run("claude", "mcp", "add", "everything", "--", entry["command"], *entry["args"])
    (desk.project / ".mcp.json").write_text(json.dumps({"mcpServers": {"shared": entry}}))
    before = desk.run("claude", "mcp", "list")
    assert "everything:" in before
    assert "shared:" in before
    said = desk.dmcp("install", "claude", "--config", str(desk.config), "--replace")
    assert "Switched off there: everything, shared" in said
    listed = desk.run("claude", "mcp", "list")
    assert "everything:" not in listed
    assert "shared:" not in listed
    desk.dmcp("uninstall", "claude")
    assert sorted(desk.run("claude", "mcp", "list").splitlines()) == sorted(before.splitlines())


async def ask(codex: Child, identifier: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    codex.write(json.dumps({"id": identifier, "method": method, "params": params}).encode() + b"\n")

    def answers() -> list[dict[str, Any]]:
        messages = map(json.loads, codex.lines)
        return [m for m in messages if m.get("id") == identifier and "method" not in m]

    await codex.until(lambda: bool(answers()), f"answer to {method}", SLOW)
    answer = answers()[0]
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


@pytest.mark.anyio
async def test_codex_calls_a_tool_of_a_real_server_through_dmcp(desk: Desk) -> None:
    desk.dmcp("install", "codex", "--global", "--config", str(desk.config))
    async with Child([desk.program("codex"), "app-server"], env=desk.env, cwd=desk.project) as codex:
        await ask(codex, 1, "initialize", {"clientInfo": {"name": "dmcp-tests", "version": "1"}})
        codex.write(b'{"method": "initialized"}\n')
        begun = await ask(codex, 2, "thread/start", {"cwd": str(desk.project), "ephemeral": True})
        call = {"group": "everything", "name": "echo", "args": {"message": "through Codex"}}
        where = {"threadId": begun["thread"]["id"], "server": "dmcp", "tool": "call_dynamic_tool"}
        result = await ask(codex, 3, "mcpServer/tool/call", {**where, "arguments": call})
    assert result["content"] == [{"type": "text", "text": "Echo: through Codex"}]


def test_codex_gives_dmcp_the_variables_its_configuration_refers_to(desk: Desk) -> None:
    desk.config.write_text(
        '{"mcpServers": {"a": {"description": "a", "command": "a", "env": {"K": "${A_KEY}"}}}}'
    )
    desk.dmcp("install", "codex", "--global", "--config", str(desk.config))
    said = desk.run("codex", "mcp", "list", "--json")
    (listed,) = json.loads(said[said.index("[\n") : said.rindex("]") + 1])
    assert listed["transport"]["env_vars"] == ["A_KEY"]
    desk.dmcp("uninstall", "codex", "--global")
    assert "No MCP servers" in desk.run("codex", "mcp", "list")
