"""First starts that take longer than ``timeout.connect``: who works gets more time, who waits does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
ODD = TESTS / "servers" / "odd_start.py"


@pytest.mark.parametrize("mode", ["slow-stderr", "slow-cpu", "slow-child"])
async def test_a_server_that_works_is_not_begun_again(tmp_path: Path, mode: str) -> None:
    started = tmp_path / "started"
    entry = python_server(ODD, mode, str(started), timeout={"connect": "2s"})
    config = write_config(tmp_path / "c.json", {"odd": entry})
    async with RawClient(dmcp_command(config), env={"DMCP_LOG": "info"}) as client:
        await client.initialize()
        told = ""
        while True:
            try:
                result = await client.call("odd", "echo")
                break
            except RpcError as error:
                told = error.message
                assert "still starting after" in told
                assert "has not run" in told
        assert result["content"][0]["text"] == mode
        assert "gets up to 5 minutes" in client.stderr
    assert started.read_text() == "started\n", "one start was enough"


async def test_a_server_that_only_waits_is_given_up_in_time(tmp_path: Path) -> None:
    entry = python_server(
        ODD, "idle", timeout={"connect": "2s"}, restart={"backoff_min": "30s", "backoff_max": "30s"}
    )
    config = write_config(tmp_path / "c.json", {"odd": entry})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize()
        with pytest.raises(RpcError, match="did not answer initialize within 2 s"):
            await client.call("odd", "echo")
