"""``dmcp fault`` as it is typed: what it refuses, what it prints, and a real server behind it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dmcp.cli.fault import fault_command
from harness.raw import RawClient

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND = [sys.executable, "-m", "dmcp.fault"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--fault", "crsh"], 'unknown fault "crsh"; did you mean "crash"?'),
        (["--fault", "crash whn=during"], 'unknown key "whn"; did you mean "when"?'),
        (["--fault", "crash", "-a", "when"], "'when' must be KEY=VALUE"),
        (["--fault", "crash", "--fault", "drop", "-a", "times=1"], "--arg needs exactly one --fault"),
        (["--fault", "status"], "does not act in phase call over stdio; it acts in"),
        (["--script", "no-such.json"], "name a fault script that exists"),
        (["--script", "a.json", "--fault", "crash"], "exclude each other"),
        (["--wrap"], "--wrap and a COMMAND go together"),
        (["cat"], "--wrap and a COMMAND go together"),
        (["--wrap", "--", "no-such-command-here"], "there is no command no-such-command-here"),
    ],
)
def test_a_wrong_command_line_is_refused_with_status_2(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(fault_command, arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not result.stdout


def test_the_catalogue_and_the_schema_are_printed() -> None:
    assert "\ncrash: " in CliRunner().invoke(fault_command, ["--list"]).stdout
    assert json.loads(CliRunner().invoke(fault_command, ["--schema"]).stdout)["title"] == "Script"


@pytest.mark.anyio
async def test_a_real_server_behind_the_faults_is_passed_through_but_for_them(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    faults = ["--fault", "error on=call tool=add message=blocked", "--journal", journal]
    async with RawClient([*_COMMAND, *faults, "--wrap", "--", *_COMMAND], strict=False) as client:
        result = await client.initialize("2025-03-26")
        assert result["protocolVersion"] == "2025-03-26"
        params = {"name": "progress", "arguments": {"n": 2}, "_meta": {"progressToken": "t"}}
        await client.request("tools/call", params)
        assert [message["params"]["progress"] for message in client.inbox] == [1, 2]
        blocked = await client.answer(
            client.ask("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
        )
        assert blocked["error"]["message"] == "blocked"
        await client.request("tools/call", {"name": "announce", "arguments": {"what": "tools"}})
        await client.heard("notifications/tools/list_changed")


@pytest.mark.anyio
async def test_when_the_wrapped_server_ends_so_does_the_run_with_its_status() -> None:
    inner = [*_COMMAND, "--fault", "exit on=call status=9"]
    async with RawClient([*_COMMAND, "--wrap", "--", *inner], strict=False) as client:
        await client.initialize()
        client.ask("tools/call", {"name": "pid", "arguments": {}})
        assert await client.exited() == 9
        assert "the wrapped server ended with status 9" in client.stderr
