"""A configuration that others can read or change is said, once, with the command that mends it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.config.exposure import exposed, has_secrets
from harness import EVENTS, RawClient, dmcp_command, plain_server, write_config
from harness.cli import run_dmcp

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")

SECRET = {"env": {"API_TOKEN": "hunter2hunter2"}}


@pytest.mark.parametrize(
    ("mode", "secret", "said"),
    [
        (0o600, True, None),
        (0o644, False, None),
        (0o640, True, "chmod 600"),
        (0o604, True, "chmod 600"),
        (0o666, False, "chmod go-w"),
        (0o620, False, "chmod go-w"),
        (0o602, False, "chmod go-w"),
        (0o666, True, "chmod 600"),
    ],
)
def test_check_says_who_else_could_read_or_change_the_file_and_the_command(
    mode: int, secret: bool, said: str | None, tmp_path: Path
) -> None:
    path = write_config(tmp_path / "my dmcp.json", {"sdk": plain_server(**(SECRET if secret else {}))})
    path.chmod(mode)
    done = run_dmcp("check", path)
    assert done.returncode == 0
    assert ("Take care" in done.stdout) == (said is not None)
    if said is not None:
        assert f"{said} '{path}'" in done.stdout
        assert "hunter2" not in done.stdout
    remarks = json.loads(run_dmcp("check", "--json", path).stdout)["remarks"]
    assert len(remarks) == (said is not None)


@pytest.mark.parametrize(("mode", "said"), [(0o700, False), (0o755, False), (0o777, True), (0o1777, False)])
def test_so_is_a_directory_in_which_others_could_exchange_it(mode: int, said: bool, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    path = write_config(folder / "dmcp.json", {})
    path.chmod(0o600)
    (folder / "link").symlink_to(path)
    folder.chmod(mode)
    for name in (path, folder / "link"):
        sentences = exposed(name, {})
        assert [f"chmod go-w {folder}" in sentence for sentence in sentences] == [True] * said


@pytest.mark.anyio
async def test_a_dmcp_that_serves_says_it_once_however_often_the_file_is_read(tmp_path: Path) -> None:
    path = write_config(tmp_path / "dmcp.json", {"sdk": plain_server(**SECRET)})
    path.chmod(0o644)
    async with RawClient(dmcp_command(path), env=EVENTS) as client:
        await client.initialize()
        await client.tools("sdk")
        write_config(path, {"sdk": plain_server(**SECRET, description="Another")})
        await client.event("ConfigurationApplied", first=False, updated=1)
        assert client.stderr.count(f"chmod 600 {path}") == 1
        assert "hunter2" not in client.stderr


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"command": "x", "args": ["--port", "80"], "env": {"LOG_LEVEL": "debug"}}, False),
        ({"command": "x", "env": {"API_KEY": "${API_KEY}"}}, False),
        ({"command": "x", "env": {"API_KEY": "abcdefgh"}}, True),
        ({"command": "x", "env": {"ANY": "ghp_0123456789abcdef"}}, True),
        ({"command": "x", "args": ["--token", "abcdefgh"]}, True),
        ({"command": "x", "args": ["--api-key=abcdefgh"]}, True),
        ({"url": "https://a.example/mcp", "headers": {"Authorization": "Bearer abcdefgh"}}, True),
        ({"url": "https://a.example/mcp", "headers": {"Authorization": "Bearer ${T}"}}, False),
        ({"url": "https://me:abcdefgh@a.example/mcp"}, True),
        ({"url": "https://a.example/mcp?api_key=abcdefgh"}, True),
        ({"url": "https://a.example/mcp?page=1"}, False),
        ({"url": "https://a.example/mcp", "oauth": {"client_secret": "abcdefgh"}}, True),
        ("no table", False),
    ],
)
def test_what_counts_as_a_secret_in_a_file(entry: Any, expected: bool) -> None:
    assert has_secrets({"mcpServers": {"a": entry}}) == expected
