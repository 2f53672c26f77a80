"""Whatever a server does with its pipes, its own calls fail or wait, memory stays bounded and nobody else notices."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from harness import RawClient, RpcError, write_config
from harness.configs import TESTS, Entry, python_server
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
UNRULY = TESTS / "servers" / "unruly_pipes.py"
REPORT = TESTS / "servers" / "process_report.py"
MIB = 1024 * 1024


def memory(client: RawClient) -> int:
    return int(psutil.Process(client.pid).memory_info().rss)


class Stage:
    """A watched dmcp before an unruly server and a good one, both ready."""

    def __init__(self, tmp_path: Path, mode: str, **more: Any) -> None:
        servers: dict[str, Entry] = {
            "bad": python_server(UNRULY, mode, **more),
            "good": python_server(REPORT),
        }
        config = write_config(tmp_path / "c.json", servers)
        self.watch = LoopWatch(tmp_path)
        self.calls: list[int | str] = []
        self.client = RawClient(self.watch.command(config), env=self.watch.env, strict=False)

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        await self.client.initialize()
        for group in ("bad", "good"):
            await self.client.tools(group)
        await self.client.call("good", "report")
        self.watch.start_watching()
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *given: object) -> None:
        for call in self.calls:  # or dmcp would wait for those that have got no answer
            self.client.notify("notifications/cancelled", {"requestId": call})
        await self.client.__aexit__(*given)

    def go(self, **arguments: Any) -> int | str:
        params = {"name": "call_dynamic_tool", "arguments": {"group": "bad", "name": "go", "args": arguments}}
        self.calls.append(self.client.ask("tools/call", params))
        return self.calls[-1]

    def nobody_was_held(self) -> None:
        held = self.watch.held()
        assert held.cpu < 50, held
        assert held.wall < 2000, held


async def answered(stage: Stage, identifier: int | str) -> str:
    answer = await stage.client.answer(identifier)
    if "error" in answer:
        return str(answer["error"]["message"])
    return str(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("bytes", "a byte at a time"),
        ("nul", "after the zeros"),
        ("blank", "after the blank lines"),
        ("noise", "after the noise"),
        ("stderr", "after the diagnostics"),
    ],
)
async def test_what_is_no_message_is_passed_over_and_the_answer_behind_it_arrives(
    tmp_path: Path, mode: str, text: str
) -> None:
    async with Stage(tmp_path, mode) as stage:
        before = memory(stage.client)
        identifier = stage.go()
        for _ in range(20):
            await stage.client.call("good", "report")
        assert await answered(stage, identifier) == text
        stage.nobody_was_held()
        assert memory(stage.client) - before < 40 * MIB


async def test_a_line_that_never_ends_fails_the_call_and_says_which_limit_it_was(tmp_path: Path) -> None:
    async with Stage(tmp_path, "endless", limits={"frame": "1MiB"}) as stage:
        before = memory(stage.client)
        told = await answered(stage, stage.go())
        assert "more than 1 MiB" in told
        assert "limits.frame" in told
        await stage.client.call("good", "report")
        stage.nobody_was_held()
        assert memory(stage.client) - before < 40 * MIB


async def test_a_server_that_writes_flat_out_is_read_no_faster_than_it_is_served(tmp_path: Path) -> None:
    async with Stage(tmp_path, "flat-out") as stage:
        stage.go()
        await stage.client.heard("notifications/message")
        before = memory(stage.client)
        for _ in range(15):
            await stage.client.call("good", "report")
            stage.client.inbox.clear()
            stage.client.lines.clear()
            stage.client.ledger.heard.clear()
        assert memory(stage.client) - before < 40 * MIB
        stage.nobody_was_held()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("close-stdout", "closed its output while still running"),
        ("grandchild", "exited with status 3"),
    ],
)
async def test_a_server_that_can_say_nothing_more_is_started_again_and_the_call_fails_at_once(
    tmp_path: Path, mode: str, reason: str
) -> None:
    async with Stage(tmp_path, mode) as stage:
        assert reason in await answered(stage, stage.go())
        assert await stage.client.tools("bad"), "it is there again"


@pytest.mark.parametrize("mode", ["deaf", "close-stdin"])
async def test_a_server_that_takes_nothing_more_is_found_out(tmp_path: Path, mode: str) -> None:
    async with Stage(tmp_path, mode, timeout={"tools": "3s"}) as stage:
        first = stage.go()
        second = stage.go(text="x" * 200_000)
        told = {await answered(stage, first), await answered(stage, second)}
        assert told
        assert all("bad" in text for text in told)
        await stage.client.call("good", "report")


async def test_what_is_kept_for_a_server_that_does_not_read_is_limited_and_calls_beyond_fail_at_once(
    tmp_path: Path,
) -> None:
    async with Stage(tmp_path, "deaf", timeout={"tools": "60s"}) as stage:
        stage.go()
        text = "x" * (8 * MIB)
        asked = [stage.go(text=text) for _ in range(10)]
        told = await answered(stage, asked[-1])
        assert "does not read what it is sent" in told
        assert "has not run" in told
        await stage.client.call("good", "report")
        assert memory(stage.client) < 400 * MIB


async def test_the_last_words_of_a_server_that_floods_its_stderr_are_few(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for n in range(300): sys.stderr.write('e' * 70000 + '\\n')\n"
        "sys.stderr.write('the reason\\n'); sys.stderr.flush(); sys.exit(7)\n"
    )
    config = write_config(
        tmp_path / "c.json",
        {"bad": {"command": sys.executable, "args": ["-c", program], "restart": {"intensity": 1}}},
    )
    watch = LoopWatch(tmp_path)
    async with RawClient(watch.command(config), env=watch.env, strict=False) as client:
        await client.initialize()
        with pytest.raises(RpcError) as caught:
            await client.call("bad", "go")
        assert "the reason" in caught.value.message
        assert len(caught.value.message) < 3000
        assert memory(client) < 150 * MIB
