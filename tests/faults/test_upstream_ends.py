"""A server that ends while calls are in flight: they fail at once and say what is known, and the server comes back."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from faults.front_door import call_of, dmcp, echoes, failure_of, journal_of, rogue, text_of
from harness import gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to die of")


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("die", "exited with status 3 (its last words: my last words)"),
        pytest.param("die_by_signal", "was killed by SIGKILL", marks=POSIX),
        ("die_in_the_middle", "exited with status 3"),
        ("close_stdout", "closed its output while still running"),
    ],
)
async def test_calls_in_flight_fail_at_once_naming_the_server_and_that_they_may_have_run(
    tmp_path: Path, deed: str, reason: str
) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "other": rogue()}) as client:
        await client.initialize()
        other = text_of(await client.call("other", "pid"))
        kept = client.ask("tools/call", call_of("wait", group="other"))
        waiting = client.ask("tools/call", call_of("wait"))
        await client.heard("notifications/message")
        await client.heard("notifications/message")
        for error in (await failure_of(client, "g", deed), (await client.answer(waiting))["error"]):
            message = error["message"] if isinstance(error, dict) else error.message
            assert message.startswith(f"g: {reason}")
            assert message.endswith("the call may have run, its outcome is unknown")
        await echoes(client, "g")
        await client.call("other", "release")
        assert "result" in await client.answer(kept)
        assert text_of(await client.call("other", "pid")) == other


async def test_exit_with_status_0_in_the_middle_of_a_call_is_a_failure_too(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        error = await failure_of(client, "g", "die", {"status": 0})
        assert "exited with status 0" in error.message


@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_an_answer_written_just_before_the_end_arrives(tmp_path: Path, size: int) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        assert len(text_of(await client.call("g", "answer_and_die", {"size": size}))) == size


async def test_a_call_marked_read_only_is_repeated_in_the_next_life(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(env={"ROGUE_JOURNAL": str(tmp_path / "journal")})}) as client:
        await client.initialize()
        result = await client.call("g", "look_and_die_once", {"lives": str(tmp_path / "lives")})
        assert text_of(result) == "second life"
        assert journal_of(tmp_path / "journal").count("call look_and_die_once") == 2


async def test_a_call_not_marked_read_only_is_never_sent_twice(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(env={"ROGUE_JOURNAL": str(tmp_path / "journal")})}) as client:
        await client.initialize()
        await failure_of(client, "g", "die")
        await echoes(client, "g")
        assert journal_of(tmp_path / "journal").count("call die") == 1


async def test_a_repeated_call_can_be_cancelled(tmp_path: Path) -> None:
    entry = rogue(env={"ROGUE_JOURNAL": str(tmp_path / "journal"), "ROGUE_READ_ONLY": "wait"})
    async with dmcp(tmp_path, {"g": entry}) as client:
        await client.initialize()
        identifier = client.ask("tools/call", call_of("wait"))
        await client.heard("notifications/message")
        await failure_of(client, "g", "die")
        await client.heard("notifications/message")  # the call has reached the second life
        client.notify("notifications/cancelled", {"requestId": identifier})
        heard = text_of(await client.call("g", "heard"))
        assert "notifications/cancelled" in heard


@POSIX
async def test_a_server_killed_while_idle_is_back_for_the_next_call(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        for round_ in (1, 2, 3):
            pid = int(text_of(await client.call("g", "pid")))
            os.kill(pid, signal.SIGKILL)
            await gone(pid)
            await client.until(
                lambda round_=round_: client.stderr.count("was killed by SIGKILL") == round_,  # type: ignore[misc]
                "word about its end",
            )
        await echoes(client, "g")


async def test_a_hundred_calls_around_a_crash_are_each_answered_once(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue(), "other": rogue()}) as client:
        await client.initialize()
        await echoes(client, "g")
        calls = []
        for number in range(100):
            name = "die" if number == 50 else "echo"
            calls.append(client.ask("tools/call", call_of(name, {"n": number})))
            calls.append(client.ask("tools/call", call_of("echo", {"n": number}, group="other")))
        answers = [await client.answer(call) for call in calls]
        assert all("result" in answer for answer in answers[1::2])
        failed = [answer["error"]["message"] for answer in answers[0::2] if "error" in answer]
        assert failed
        assert all(message.startswith("g") for message in failed)
        await echoes(client, "g")


async def test_what_the_server_started_ends_with_it(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": rogue()}) as client:
        await client.initialize()
        grandchild = int(text_of(await client.call("g", "have_child")))
        await failure_of(client, "g", "die")
        await gone(grandchild)
        await echoes(client, "g")
