"""The log as JSON: every line an object, every event with its fields, no secret in any of them."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

import dmcp.messages.events
from dmcp.actors import audit
from harness import RawClient, dmcp_command, write_config
from harness.child import EVENTS, Child
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server

pytestmark = pytest.mark.anyio
ENDS = 'import sys; print("my token is sesame-4711", file=sys.stderr); sys.exit(3)'


async def test_what_happens_to_a_server_is_told_in_events(tmp_path: Path) -> None:
    good = python_server(TESTS / "servers" / "noisy.py")
    bad = {"command": sys.executable, "args": ["-c", ENDS, "--token=sesame-4711"]}
    config = write_config(tmp_path / "dmcp.json", {"good": good, "bad": bad})
    async with RawClient(dmcp_command(config), env=EVENTS) as client:
        await client.initialize()
        applied = await client.event("ConfigurationApplied")
        ready = await client.event("ConnectionReady", group="good")
        lost = await client.event("ConnectionLost", group="bad")
        again = await client.event("ReconnectScheduled", group="bad")
    assert (applied["started"], applied["first"]) == (2, True)
    assert ready["revision"]
    assert ready["level"] == "info"
    assert (lost["kind"], lost["category"]) == ("exited", "exited with status 3")
    assert lost["stderr"] == ["my token is ***"]
    assert (again["when"], again["level"]) == ("backoff", "warning")
    assert "sesame-4711" not in client.stderr
    lines = [json.loads(line) for line in client.stderr.splitlines()]
    assert all({"time", "level", "event"} <= line.keys() for line in lines)


async def test_the_option_chooses_the_format_and_the_level_still_counts(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"bad": {"command": "no-such-command-anywhere"}})
    async with RawClient(dmcp_command(config, "--log-format", "json")) as client:
        await client.initialize()
        again = await client.event("ReconnectScheduled", group="bad", when="present")
    assert "was not found" in again["message"]
    assert {event["level"] for event in client.events} <= {"info", "warning"}  # info: the line of the start
    assert not [event for event in client.events if event["event"] == "ConnectionLost"]


def test_an_error_of_the_start_is_an_object_too(tmp_path: Path) -> None:
    config = tmp_path / "dmcp.json"
    config.write_text("{")
    done = run_dmcp(config, env={"DMCP_LOG_FORMAT": "json"})
    assert done.returncode == 2
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["LogMessage"]


async def test_lines_that_did_not_fit_are_an_event_too() -> None:
    flood = (
        "import sys\nfrom dmcp import log\nlog.set_level('info')\nlog.set_format('json')\nlog.serve()\n"
        "for n in range(10_000):\n    log.info(f'line {n} ' + 'x' * 200)\n"
        "print('written', flush=True)\nsys.stdin.readline()\nlog.info('the last line')\nlog.close()\n"
    )
    async with Child([sys.executable, "-c", flood]) as program:
        program.leave_stderr_unread()
        await program.until(lambda: program.lines == [b"written"], "end of the flood")
        program.read_stderr()
        await program.event("LinesDropped")
        program.write(b"\n")
        assert await program.exited() == 0
    shown = sum(event.get("message", "").startswith("line ") for event in program.events)
    assert shown + sum(event.get("lines", 0) for event in program.events) == 10_000


def test_every_event_has_its_place_in_the_log() -> None:
    module = ast.parse(Path(dmcp.messages.events.__file__).read_text(encoding="utf-8"))
    names = {node.name for node in module.body if isinstance(node, ast.ClassDef)} - {
        "Subscribe",
        "ServerOutput",
    }
    assert names <= {kind.__name__ for kind in audit._SENTENCES}


async def test_a_call_is_told_of_while_somebody_listens_and_else_not(tmp_path: Path) -> None:
    config = write_config(tmp_path / "dmcp.json", {"good": python_server(TESTS / "servers" / "noisy.py")})
    async with RawClient(dmcp_command(config), env=EVENTS) as client:
        await client.initialize()
        await client.tools("good")
        await client.call("good", "echo")
        done = await client.event("CallFinished", group="good", tool="echo")
        listed = await client.event("CallFinished", tool="get_dynamic_tools")
    assert (done["operation"], done["outcome"], done["client"]) == ("CallTool", "result", 1)
    assert done["bytes"] > 10
    assert 0 < done["seconds"] < 60
    assert "group" not in listed or listed["group"] == ""
    async with RawClient(dmcp_command(config), env={**EVENTS, "DMCP_LOG": "info"}) as client:
        await client.initialize()
        await client.call("good", "echo")
        await client.event("ConnectionReady", group="good")
    assert "CallFinished" not in client.stderr
