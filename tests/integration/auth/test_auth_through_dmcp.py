"""A whole dmcp in front of a guarded server: the sign-in happens by itself and disturbs nobody else."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

from harness.configs import sdk_server, write_config
from harness.raw import RawClient, RpcError, dmcp_command
from servers.oauth_process import running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
_BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).close()"


def _environment(folder: Path, monkeypatch: pytest.MonkeyPatch, *, browser: bool = True) -> None:
    script = folder / "browser.py"
    script.write_text(_BROWSER)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    if browser:
        monkeypatch.setenv("BROWSER", f"{sys.executable} {script}")


async def test_a_guarded_server_is_signed_in_to_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _environment(tmp_path, monkeypatch)
    with running(lifetime=2) as server:
        config = write_config(tmp_path / "dmcp.json", {"far": {"description": "guarded", "url": server.url}})
        async with RawClient(dmcp_command(config)) as client:
            await client.initialize()
            async with asyncio.timeout(30):
                while (
                    server.count("token:refresh_token") < 2
                ):  # calls, all of them good, until tokens were renewed
                    result = await client.call("far", "whoami", {})
                    assert result["content"][0]["text"] == "somebody who signed in"
        counts = server.report()["counts"]
        assert (counts["authorizations"], counts.get("reuses", 0)) == (1, 0)
        tokens = json.loads((tmp_path / ".dynamic-mcp/oauth-servers/far.json").read_text())["entries"][0][
            "tokens"
        ]
        assert tokens["access_token"] not in client.stderr


async def test_without_a_browser_the_person_is_told_the_command_and_other_servers_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _environment(tmp_path, monkeypatch, browser=False)
    with running() as server:
        servers = {"far": {"description": "guarded", "url": server.url}, "near": sdk_server()}
        config = write_config(tmp_path / "dmcp.json", servers)
        async with RawClient(dmcp_command(config)) as client:
            await client.initialize()
            assert await client.tools("near")
            try:
                text = json.dumps(await client.call("far", "whoami", {}))
            except RpcError as error:
                text = str(error)
            assert f"dmcp auth login {config} far" in text
        assert server.count("authorizations") == 0
