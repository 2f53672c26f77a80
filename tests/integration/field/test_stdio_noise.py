"""What servers write to stdout and stderr besides messages: read past, or said when they do not become ready."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS, Entry, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
ODD = TESTS / "servers" / "odd_start.py"


def serving(tmp_path: Path, entry: Entry) -> RawClient:
    return RawClient(dmcp_command(write_config(tmp_path / "c.json", {"odd": entry})))


async def refusal(tmp_path: Path, entry: Entry) -> str:
    """What a call hears of a server that does not become ready."""
    async with serving(
        tmp_path, {"restart": {"intensity": 1, "backoff_min": "30s", "backoff_max": "30s"}, **entry}
    ) as client:
        await client.initialize()
        with pytest.raises(RpcError) as caught:
            await client.call("odd", "echo")
        return caught.value.message


@pytest.mark.parametrize("mode", ["bom", "title", "colour", "progress", "zero", "json-log"])
async def test_messages_with_noise_around_them_are_understood(tmp_path: Path, mode: str) -> None:
    async with serving(tmp_path, python_server(ODD, mode)) as client:
        await client.initialize()
        for _ in range(3):
            result = await client.call("odd", "echo")
            assert result["content"][0]["text"] == mode


async def test_a_server_that_declares_nothing_is_asked_for_its_tools(tmp_path: Path) -> None:
    modes = ("declares-true", "declares-nothing", "declares-null", "has-nothing")
    config = write_config(tmp_path / "c.json", {mode: python_server(ODD, mode) for mode in modes})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        for mode in modes[:-1]:
            assert (await client.call(mode, "echo"))["content"][0]["text"] == mode
        shown = await client.request(
            "tools/call", {"name": "get_dynamic_tools", "arguments": {"group": "has-nothing"}}
        )
        assert shown["content"][0]["text"] == "[]"


async def test_a_server_that_stays_unready_says_what_it_wrote_instead_of_messages(tmp_path: Path) -> None:
    told = await refusal(tmp_path, python_server(ODD, "banner", timeout={"connect": "1500ms"}))
    assert "did not answer initialize" in told
    assert "wrote to stdout what is no MCP message: 'Starting server on" in told
    assert "\x1b" not in told


async def test_of_a_failed_start_the_line_that_matters_is_said(tmp_path: Path) -> None:
    lines = [
        "npm error code E404",
        "npm error 404 Not Found - GET https://packages.example.com/@a%2fb - Not found",
        "npm error 404",
        "npm error 404  '@a/b@*' is not in this registry.",
        *["npm notice", "npm notice New minor version of npm available!", "npm notice"] * 3,
        "npm error A complete log of this run can be found in: /home/me/.npm/_logs/x.log",
    ]
    program = f"import sys; sys.stderr.write({chr(10).join(lines)!r}); sys.exit(1)"
    told = await refusal(tmp_path, {"command": sys.executable, "args": ["-c", program]})
    assert "exited with status 1" in told
    assert "npm error code E404" in told
    assert "npm notice" not in told
    assert "complete log" not in told
