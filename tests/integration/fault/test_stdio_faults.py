"""Faults over stdio, as a client sees them: one real process each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest

from dmcp.fault.journal import read_journal
from dmcp.fault.script import Script, build
from harness.processes import gone
from harness.raw import RawClient, RpcError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
_SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to die of")
_COMMAND = [sys.executable, "-m", "dmcp.fault"]
_ECHO = {"name": "echo", "arguments": {"text": "x"}}
_COUNT = {"name": "counter", "arguments": {}}


def _server(room: Path, *faults: Any, **options: Any) -> RawClient:
    script = Script(faults=faults, journal=str(room / "journal"), seed=1, **options)
    return RawClient([*_COMMAND, "--script", str(script.write(room / "script.json"))], strict=False)


def _acted(room: Path) -> list[str]:
    return [event["fault"] for event in read_journal(room / "journal") if event["event"] == "acted"]


def _ran(room: Path) -> int:
    return sum(event["event"] == "ran" for event in read_journal(room / "journal"))


async def test_a_server_that_refuses_to_start_says_why_and_exits(tmp_path: Path) -> None:
    async with _server(tmp_path, build("refuse", "connect", reason="no database", status=4)) as client:
        assert await client.exited() == 4
        assert "no database" in client.stderr
        assert not client.lines


@_SIGNALS
@pytest.mark.parametrize(("when", "ran"), [("before", 0), ("unanswered", 1), ("during", 1), ("after", 1)])
async def test_a_crash_leaves_exactly_as_much_as_it_says(tmp_path: Path, when: str, ran: int) -> None:
    async with _server(tmp_path, build("crash", "call", when=when)) as client:
        await client.initialize()
        call = client.ask("tools/call", _COUNT)
        assert await client.exited() == -9
        assert _ran(tmp_path) == ran
        assert bool(client.loose_end) == (when == "during")
        if when == "after":
            assert "result" in await client.answer(call)


async def test_a_fault_that_acts_once_is_over_in_the_next_process(tmp_path: Path) -> None:
    fault = build("exit", "call", status=5, times=1)
    async with _server(tmp_path, fault) as client:
        await client.initialize()
        client.ask("tools/call", _COUNT)
        assert await client.exited() == 5
    async with _server(tmp_path, fault) as client:
        await client.initialize()
        assert (await client.request("tools/call", _COUNT))["content"][0]["text"] == "1"
    assert _acted(tmp_path) == ["exit"]


async def test_a_server_that_is_down_comes_up_once_the_file_is_there(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    fault = build("exit", "connect", until_exists=str(mended))
    async with _server(tmp_path, fault) as client:
        assert await client.exited() == 3
    mended.touch()
    async with _server(tmp_path, fault) as client:
        await client.initialize()


@_SIGNALS
async def test_a_hanging_server_answers_not_even_a_ping_and_dies_of_sigterm(tmp_path: Path) -> None:
    async with _server(tmp_path, build("hang", "call")) as client:
        await client.initialize()
        call = client.ask("tools/call", _ECHO)
        ping = client.ask("ping")
        await _until_acted(client, tmp_path)
        client.process.terminate()
        assert await client.exited() == 128 + 15
        assert not any(f'"id":{number}'.encode() in line for line in client.lines for number in (call, ping))


async def _until_acted(client: RawClient, room: Path) -> None:
    """A hanging server says nothing; its journal tells that it hangs."""
    with anyio.fail_after(20):
        while not _acted(room):  # noqa: ASYNC110 - no event reaches us from a file; the poll is bounded
            await anyio.sleep(0.01)


async def test_a_hanging_call_leaves_the_server_alive(tmp_path: Path) -> None:
    async with _server(tmp_path, build("hang", "call", scope="request", times=1)) as client:
        await client.initialize()
        hanging = client.ask("tools/call", _ECHO)
        await client.request("ping")
        await client.request("tools/call", _ECHO)
        client.notify("notifications/cancelled", {"requestId": hanging})


async def test_a_hang_ends_after_its_time(tmp_path: Path) -> None:
    async with _server(tmp_path, build("hang", "call", seconds=0.1, times=1)) as client:
        await client.initialize()
        await client.request("tools/call", _ECHO)


@_SIGNALS
async def test_a_stubborn_server_ends_by_sigkill_only(tmp_path: Path) -> None:
    async with _server(tmp_path, build("hang", "shutdown", ignore_sigterm=True)) as client:
        await client.initialize()
        client.process.stdin.close()  # type: ignore[union-attr] - the harness always gives it a pipe
        await _until_acted(client, tmp_path)
        client.process.terminate()
        await client.until(lambda: "ignoring the signal" in client.stderr, "sign of life")
        client.process.kill()
        assert await client.exited() == -9


async def test_garbage_stands_on_lines_of_its_own_before_the_answer(tmp_path: Path) -> None:
    async with _server(tmp_path, build("garbage", "call", kind="text", lines=3)) as client:
        await client.initialize()
        before = len(client.lines)
        assert (await client.request("tools/call", _ECHO))["content"]
        assert len(client.lines) == before + 4


async def test_half_a_line_swallows_the_next_one(tmp_path: Path) -> None:
    async with _server(tmp_path, build("half", "call", times=1)) as client:
        await client.initialize()
        client.ask("tools/call", _ECHO)
        await _until_acted(client, tmp_path)
        ping = client.ask("ping")
        await client.until(lambda: len(client.lines) == 2, "second line")
        assert client.lines[1].endswith(f'"id":{ping},"result":{{}}}}'.encode())
        assert client.lines[1].count(b'{"jsonrpc"') == 2


async def test_a_split_answer_arrives_whole_in_the_end(tmp_path: Path) -> None:
    async with _server(tmp_path, build("split", "call"), build("drip", "list", pause=0)) as client:
        await client.initialize()
        assert (await client.request("tools/call", _ECHO))["content"] == [{"type": "text", "text": "x"}]
        assert (await client.request("tools/list"))["tools"]


async def test_a_reordered_answer_comes_after_the_next(tmp_path: Path) -> None:
    async with _server(tmp_path, build("reorder", "call", times=1, at_most=60)) as client:
        await client.initialize()
        first, second = client.ask("tools/call", _ECHO), client.ask("tools/call", _ECHO)
        await client.answer(first)
        await client.answer(second)
        order = [line for line in client.lines if b'"content"' in line]
        assert f'"id":{second},'.encode() in order[0]
        assert f'"id":{first},'.encode() in order[1]


async def test_a_late_answer_comes_although_the_request_was_cancelled(tmp_path: Path) -> None:
    async with _server(tmp_path, build("late", "call", delay={"fixed": 0.05})) as client:
        await client.initialize()
        call = client.ask("tools/call", _ECHO)
        client.notify("notifications/cancelled", {"requestId": call})
        assert "result" in await client.answer(call)


async def test_a_dropped_answer_was_carried_out_nevertheless(tmp_path: Path) -> None:
    async with _server(tmp_path, build("drop", "call", times=1)) as client:
        await client.initialize()
        dropped = client.ask("tools/call", _COUNT)
        assert (await client.request("tools/call", _COUNT))["content"][0]["text"] == "2"
        assert not any(f'"id":{dropped},'.encode() in line for line in client.lines)


async def test_initialize_can_be_refused(tmp_path: Path) -> None:
    async with _server(tmp_path, build("error", "initialise", code=-32603, message="not today")) as client:
        with pytest.raises(RpcError, match="not today"):
            await client.initialize()


async def test_paging_can_go_on_for_ever(tmp_path: Path) -> None:
    async with _server(tmp_path, build("loop", "list")) as client:
        await client.initialize()
        assert (await client.request("tools/list"))["nextCursor"] == "again"


async def test_a_flood_comes_before_the_answer(tmp_path: Path) -> None:
    floods = (build("flood", "call", count=2000), build("flood", "call", of="stderr", count=2000))
    async with _server(tmp_path, *floods) as client:
        await client.initialize()
        await client.request("tools/call", _ECHO)
        assert sum(b"notifications/message" in line for line in client.lines) == 2000
        assert client.stderr.count("flood") >= 2000


async def test_stdout_can_end_while_the_process_lives(tmp_path: Path) -> None:
    async with _server(tmp_path, build("close_output", "call")) as client:
        await client.initialize()
        client.ask("tools/call", _ECHO)
        with pytest.raises(AssertionError, match="the process ended"):
            await client.until(lambda: False, "line")  # the harness calls the end of stdout the process's
        assert client.process.returncode is None
        assert psutil.Process(client.pid).is_running()


async def test_a_deaf_server_still_answers_what_it_has_read(tmp_path: Path) -> None:
    async with _server(tmp_path, build("deaf", "call", seconds=0.2, times=1)) as client:
        await client.initialize()
        await client.request("tools/call", _ECHO)
        await client.request("ping")


async def test_a_notification_can_be_lost(tmp_path: Path) -> None:
    async with _server(tmp_path, build("drop", "notify", method="notifications/progress", times=1)) as client:
        await client.initialize()
        params = {"name": "progress", "arguments": {"n": 3}, "_meta": {"progressToken": 1}}
        await client.request("tools/call", params)
        assert [message["params"]["progress"] for message in client.inbox] == [2, 3]


async def test_an_orphan_outlives_its_server(tmp_path: Path) -> None:
    async with _server(tmp_path, build("orphan", "call", seconds=60)) as client:
        await client.initialize()
        await client.request("tools/call", _ECHO)
        (orphan,) = psutil.Process(client.pid).children()
        await client.close()
        assert orphan.is_running()
        orphan.kill()
        await gone(orphan.pid)


async def test_the_seed_on_stderr_reproduces_the_run(tmp_path: Path) -> None:
    command = [*_COMMAND, "--fault", "error on=call probability=0.5"]

    async def outcomes(*options: str) -> tuple[str, list[bool]]:
        async with RawClient([*command, *options], strict=False) as client:
            await client.initialize()
            calls = [client.ask("tools/call", _ECHO) for _ in range(40)]
            answers = [await client.answer(call) for call in calls]
            seed = client.stderr.partition("seed ")[2].split()[0]
            return seed, ["error" in answer for answer in answers]

    seed, first = await outcomes()
    assert await outcomes("--seed", seed) == (seed, first)
    assert 0 < sum(first) < 40
