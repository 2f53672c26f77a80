"""What a server can get wrong on the way to being ready: the others work, and its own line says what the matter is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.front_door import dmcp, echoes, failure_of, journal_of, newcomer, rogue, text_of
from harness import EVENTS, RpcError

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio

SECRET = "hunter2-very-secret"


async def state_of(client: RawClient, group: str) -> RpcError:
    """What ``get_dynamic_tools`` says of a group that is down."""
    with pytest.raises(RpcError, match=f"{group} is unavailable: ") as caught:
        await client.tools(group)
    return caught.value


@pytest.mark.parametrize(
    ("misdeed", "reason", "category"),
    [
        ("refusing", "refused to initialize: not you", "refused to initialize"),
        ("of-another-time", "speaks protocol version '1999-12-31'", "does not speak MCP"),
        ("shapeless", "not an object", "does not speak MCP"),
        ("mute", "did not answer initialize within 2 s", "did not start in time"),
        ("deaf", "did not answer initialize within 2 s", "did not start in time"),
        ("quitter", "exited with status 0", "exited with status 0"),
        ("crasher", "exited with status 7 (its last words: cannot find the token", "exited with status 7"),
    ],
)
async def test_a_server_that_cannot_be_initialized_is_unavailable_with_the_reason_and_the_rest_works(
    tmp_path: Path, misdeed: str, reason: str, category: str
) -> None:
    # On a busy machine a server needs a second to start: those that do answer get far more.
    connect = "2s" if "2 s" in reason else "20s"
    servers = {"bad": newcomer(misdeed, timeout={"connect": connect}), "good": rogue()}
    async with dmcp(tmp_path, servers) as client:
        await client.initialize()
        error = await failure_of(client, "bad", "echo")
        assert error.code == -32000
        assert error.message.startswith("bad is unavailable: ")
        assert reason in error.message
        assert error.message.endswith("the call has not run")
        await echoes(client, "good")
        state = await state_of(client, "bad")
        assert state.message == f"bad is unavailable: {category}"
        assert reason in state.data["reason"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"command": "no-such-command-anywhere"}, "the command no-such-command-anywhere was not found"),
        ({"command": __file__}, "is not executable: make it so with chmod +x"),
        (
            {"command": "python3", "cwd": "/no/such/place"},
            "the working directory /no/such/place does not exist",
        ),
        ({"command": "${DMCP_TEST_UNSET_COMMAND}"}, "DMCP_TEST_UNSET_COMMAND"),
    ],
)
async def test_a_command_that_cannot_be_started_is_unavailable_with_the_reason_and_the_rest_works(
    tmp_path: Path, entry: dict[str, str], reason: str
) -> None:
    async with dmcp(tmp_path, {"bad": entry, "good": rogue()}) as client:
        await client.initialize()
        error = await failure_of(client, "bad", "echo")
        assert error.message.startswith("bad is unavailable: ")
        assert reason in error.message
        await echoes(client, "good")
        assert reason in (await state_of(client, "bad")).message


async def test_a_greeting_before_the_handshake_is_skipped(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": newcomer("chatty")}) as client:
        await client.initialize()
        assert text_of(await client.call("g", "echo")) == "echo"


async def test_paging_that_loops_ends_and_what_was_listed_counts(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": newcomer("looping")}) as client:
        await client.initialize()
        assert [tool["name"] for tool in await client.tools("g")] == ["echo"]
        assert text_of(await client.call("g", "echo")) == "echo"
        await client.logged("without an end")


async def test_paging_without_an_end_is_cut_and_what_was_listed_counts(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": newcomer("endless")}) as client:
        await client.initialize()
        names = [tool["name"] for tool in await client.tools("g")]
        assert names == [f"t{number}" for number in range(1001)]


async def test_all_pages_of_a_listing_are_collected(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": newcomer("paging")}) as client:
        await client.initialize()
        assert [tool["name"] for tool in await client.tools("g")] == ["t0", "t1", "t2", "t3", "t4"]


async def test_tools_without_a_usable_name_or_with_one_that_is_taken_are_left_out(tmp_path: Path) -> None:
    async with dmcp(tmp_path, {"g": newcomer("nameless")}) as client:
        await client.initialize()
        assert [tool["name"] for tool in await client.tools("g")] == ["echo", "last"]
        await client.logged("g: lists 'echo' twice among its tools")


@pytest.mark.parametrize("misdeed", ["listless", "unable-to-list", "never-listing"])
async def test_tools_that_are_not_listed_can_be_called_all_the_same(tmp_path: Path, misdeed: str) -> None:
    async with dmcp(tmp_path, {"g": newcomer(misdeed, timeout={"tools": "400ms"})}) as client:
        await client.initialize()
        with pytest.raises(RpcError, match="does not say what it offers"):
            await client.tools("g")
        assert text_of(await client.call("g", "echo")) == "echo"


async def test_a_server_that_keeps_failing_is_tried_again_and_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    servers = {"bad": newcomer("quitter", env={"ROGUE_JOURNAL": str(journal)}), "good": rogue()}
    async with dmcp(tmp_path, servers) as client:
        await client.initialize()
        while len(journal_of(journal)) < 5:
            await echoes(client, "good")


async def test_a_server_that_fails_too_often_is_parked_and_says_why(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    policy = {"backoff_min": "10ms", "backoff_max": "20ms", "intensity": 3}
    bad = newcomer("crasher", restart=policy, env={"ROGUE_JOURNAL": str(journal)})
    async with dmcp(tmp_path, {"bad": bad}, env=EVENTS) as client:
        await client.initialize()
        await client.event("ReconnectScheduled", when="parked")
        assert len(journal_of(journal)) == 4
        assert (await state_of(client, "bad")).message == "bad is unavailable: exited with status 7"


async def test_a_parked_server_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    policy = {"backoff_min": "10ms", "backoff_max": "20ms", "intensity": 1}
    bad = newcomer("crasher", restart=policy, env={"ROGUE_JOURNAL": str(journal)})
    async with dmcp(tmp_path, {"bad": bad}, env=EVENTS) as client:
        await client.initialize()
        await client.event("ReconnectScheduled", when="parked")
        await failure_of(client, "bad", "echo")
        assert len(journal_of(journal)) == 3


async def test_no_secret_is_in_a_log_or_a_message_whoever_says_it(tmp_path: Path) -> None:
    entry = newcomer("crasher", env={"TOKEN": SECRET})
    async with dmcp(tmp_path, {"bad": entry}, env={"DMCP_LOG": "debug"}) as client:
        await client.initialize()
        error = await failure_of(client, "bad", "echo")
        assert "cannot find the token ***" in error.message
        await client.until(lambda: "bad stderr: cannot find the token ***" in client.stderr, "its last words")
        await state_of(client, "bad")
    assert SECRET not in client.stderr
    assert not any(SECRET.encode() in line for line in client.lines)
