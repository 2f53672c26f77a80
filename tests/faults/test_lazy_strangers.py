"""Lazy servers that have never run: started once, behind the first list that would have them, to be learnt of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.fault.script import build
from faults.faulty import acted, echoes, faulty, lives, pid_of
from faults.test_lazy_servers import cache, in_front_of, kept_in, lazy, prompts, uris
from harness import RpcError, gone

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

__all__ = ["cache"]  # a fixture

pytestmark = pytest.mark.anyio


async def learnt(client: RawClient) -> None:
    """Wait until the list of prompts has those of a server that was unknown."""
    while "plain" not in await prompts(client):
        await client.heard("notifications/prompts/list_changed")


async def test_a_stranger_is_started_behind_the_first_list_and_the_client_told_what_it_offers(
    tmp_path: Path, cache: Path
) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path)) as client:
        await client.initialize()
        assert await prompts(client) == []  # does not wait
        await learnt(client)
        assert "fault://text" in await uris(client)
        assert len(lives(tmp_path, "g")) == 1
    assert kept_in(cache)
    async with in_front_of(tmp_path, g=lazy(tmp_path)) as client:
        await client.initialize()
        assert "plain" in await prompts(client)
        await client.request("tools/list")
        assert len(lives(tmp_path, "g")) == 1  # never again


async def test_a_stranger_goes_to_sleep_again_when_it_is_known(tmp_path: Path, cache: Path) -> None:
    async with in_front_of(tmp_path, g=lazy(tmp_path, idle_stop="200ms")) as client:
        await client.initialize()
        await learnt(client)
        await gone(*lives(tmp_path, "g"))
        assert "plain" in await prompts(client)
        assert await pid_of(client, "g") == lives(tmp_path, "g")[1]


async def test_a_stranger_that_fails_is_left_for_its_first_use_and_the_log_says_why(
    tmp_path: Path, cache: Path
) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    refuse = build("refuse", "connect", reason="no licence", while_exists=str(trouble))
    async with in_front_of(
        tmp_path, bad=faulty(tmp_path, "bad", refuse, startup="lazy"), g=lazy(tmp_path)
    ) as client:
        await client.initialize()
        before = await client.request("tools/list")
        await learnt(client)  # the next one is not kept from its turn
        await client.logged("no licence")
        await client.logged("nobody uses it: started again at its next use")
        assert await client.request("tools/list") == before
        assert not [note for note in client.inbox if "tools/list_changed" in note["method"]]
        assert acted(tmp_path, "bad") == 1
        with pytest.raises(RpcError, match=r"bad is unavailable: .*no licence"):
            await client.call("bad", "echo", {"text": "?"})
        trouble.unlink()
        await echoes(client, "bad")


async def test_a_list_of_one_group_starts_it_and_waits_for_it(tmp_path: Path, cache: Path) -> None:
    entry = lazy(tmp_path)
    async with in_front_of(tmp_path, g=entry) as client:
        await client.initialize()
        listed = await client.request("resources/list", {"group": "g"})
        assert "fault://text" in [resource["uri"] for resource in listed["resources"]]
        assert (await client.request("prompts/list", {"group": "g"}))["prompts"]
        assert len(lives(tmp_path, "g")) == 1


async def test_a_list_of_one_group_that_cannot_start_is_an_error_that_says_why(
    tmp_path: Path, cache: Path
) -> None:
    async with in_front_of(tmp_path, g={"command": "/nowhere/at-all", "startup": "lazy"}) as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"g is unavailable: .*/nowhere/at-all"):
            await client.request("resources/list", {"group": "g"})
