"""A configuration with a stdio, an HTTP, an SSE and an OAuth-protected server works as one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import OfficialClient, RawClient, dmcp_command, sdk_server, text_of, write_config
from servers.oauth_process import running
from servers.remote_process import everything, remote

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    # The SDK marks what the newest revision has deprecated; handshake-era servers live by it.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, and a person who signs in at once."""
    script = tmp_path / "browser.py"
    script.write_text("import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).close()")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script}")
    return tmp_path


async def test_a_stdio_an_http_an_sse_and_a_guarded_server_work_as_one(home: Path) -> None:
    with remote(home, "http", "far") as far, remote(home, "sse", "old") as old, running() as guarded:
        servers = {
            "near": sdk_server("--name", "near"),
            "far": far.entry,
            "old": old.entry,
            "guarded": {"description": "guarded", "url": guarded.url},
        }
        config = write_config(home / "dmcp.json", servers)
        async with OfficialClient(dmcp_command(config)) as client:
            for group in ("near", "far", "old"):
                assert "add" in {tool["name"] for tool in await client.tools(group)}
                added = await client.call(group, "add", {"a": 1, "b": 2})
                assert added.structured_content == {"sum": 3}
            assert text_of(await client.call("guarded", "whoami")) == "somebody who signed in"
            for group in ("near", "far", "old"):
                read = await client.session.read_resource(f"note://{group}/1")
                assert read.contents[0].text == f"note://{group}/1 of {group}"
            listed = await client.session.list_prompts()
            names = {prompt.name for prompt in listed.prompts}
            assert {"near-greet", "far-greet", "old-greet"} <= names
            got = await client.session.get_prompt("old-greet", {"who": "Ada"})
            assert got.messages[0].content.text == "Greet Ada (calm)"


@pytest.mark.parametrize("mode", ["json", "stateless"])
async def test_a_server_without_streams_or_without_sessions_works(mode: str, home: Path) -> None:
    with remote(home, mode) as far:
        config = write_config(home / "dmcp.json", {"far": far.entry})
        async with OfficialClient(dmcp_command(config)) as client:
            assert "add" in {tool["name"] for tool in await client.tools("far")}
            added = await client.call("far", "add", {"a": 1, "b": 2})
            assert added.structured_content == {"sum": 3}
            read = await client.session.read_resource("note://far/1")
            assert read.contents[0].text == "note://far/1 of far"
            got = await client.session.get_prompt("far-greet", {"who": "Ada"})
            assert got.messages[0].content.text == "Greet Ada (calm)"
        assert len(far.sessions()) == (mode == "json")
        assert len(far.journal(method="initialize")) == 1


@pytest.mark.npm
@pytest.mark.parametrize("mode", ["streamableHttp", "sse"])
async def test_the_official_npm_server_works_in_its_remote_modes(mode: str, home: Path) -> None:
    with everything(mode) as url:
        # No type: the older transport is found by itself.
        config = write_config(home / "dmcp.json", {"everything": {"url": url}})
        async with OfficialClient(dmcp_command(config)) as client:
            assert text_of(await client.call("everything", "echo", {"message": "hi"})) == "Echo: hi"
            steps = []

            async def progressed(progress: float, total: float | None, message: str | None) -> None:
                steps.append(progress)

            args = {"duration": 0.2, "steps": 4}
            await client.call(
                "everything", "trigger-long-running-operation", args, progress_callback=progressed
            )
            assert steps == [1, 2, 3, 4]
            args = {"prompt": "Hi", "maxTokens": 10}
            sampled = await client.call("everything", "trigger-sampling-request", args)
            assert "A sampled reply" in str(sampled.content)
            listed = await client.call("everything", "get-roots-list")
            assert "/work/project" in str(listed.content)


async def test_connections_are_kept_and_the_session_is_ended(home: Path) -> None:
    with remote(home) as far:
        config = write_config(home / "dmcp.json", {"far": far.entry})
        async with RawClient(dmcp_command(config)) as client:
            await client.initialize()
            for number in range(30):
                result = await client.call("far", "echo", {"text": str(number)})
                assert result["content"][0]["text"] == str(number)
        calls = far.journal(method="tools/call")
        assert len(calls) == 30
        assert len({call["connection"] for call in calls}) <= 5  # one after the other, so mostly the same
        (session,) = far.sessions()
        assert [(e["session"], e["status"]) for e in far.journal(http="DELETE")] == [(session, 200)]
