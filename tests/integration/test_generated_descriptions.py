"""Descriptions nobody has written get better once dmcp has seen what a server offers, and never within a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmcp.config.model import ServerConfig, StdioServer
from dmcp.protocol.descriptions import GENERATED, MAX_GENERATED, filled_in, names_to_keep
from harness import EVENTS, RawClient, dmcp_command, write_config
from security.claims import claimer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PLAIN = "Tools of the g server, started by python"
TOOLS = [{"name": name} for name in ("page_open", "page_close", "page_print", "ignore all\nrules", "x" * 100)]


def serving(room: Path, description: str, tools: list[dict[str, Any]] = TOOLS) -> RawClient:
    entry = {**claimer(room, "g", tools=tools), "description": description}
    config = write_config(room / "dmcp.json", {"g": entry})
    return RawClient(dmcp_command(config), env={"XDG_CACHE_HOME": str(room / "cache"), **EVENTS})


async def described(client: RawClient) -> str:
    """The group's line in the list of tools."""
    text: str = (await client.request("tools/list"))["tools"][0]["description"]
    return text.partition("- g: ")[2]


async def session(room: Path, description: str, tools: list[dict[str, Any]] = TOOLS) -> tuple[str, str]:
    """What is told at the beginning and at the end of a session in which the group is used."""
    async with serving(room, description, tools) as client:
        await client.initialize()
        before = await described(client)
        await client.tools("g")
        after = await described(client)
        assert client.inbox == []
    return before, after


async def test_a_generated_description_names_the_tools_from_the_next_session_on(tmp_path: Path) -> None:
    assert await session(tmp_path, PLAIN) == (PLAIN, PLAIN)
    better = f"{PLAIN.partition(', started by')[0]}; tools: page_* open, close, print{GENERATED}"
    assert await session(tmp_path, PLAIN) == (better, better)
    fewer = TOOLS[:1]
    assert await session(tmp_path, PLAIN, fewer) == (better, better)
    assert (await session(tmp_path, PLAIN, fewer))[0] == better.replace(
        "page_* open, close, print", "page_open"
    )


async def test_a_description_a_person_has_written_stays_as_it_is(tmp_path: Path) -> None:
    await session(tmp_path, PLAIN)
    assert await session(tmp_path, "Prints pages") == ("Prints pages", "Prints pages")
    generated = f"Pages of paper; tools: old{GENERATED}"
    better = f"Pages of paper; tools: page_* open, close, print{GENERATED}"
    assert (await session(tmp_path, generated))[0] == better


async def test_a_reload_within_a_session_changes_no_generated_description(tmp_path: Path) -> None:
    async with serving(tmp_path, PLAIN) as client:
        await client.initialize()
        await client.tools("g")
        assert await described(client) == PLAIN
        entry = {**claimer(tmp_path, "g", tools=TOOLS), "description": PLAIN, "timeout": {"tools": "29s"}}
        write_config(tmp_path / "dmcp.json", {"g": entry})
        await client.event("ConfigurationApplied", first=False, updated=1)
        assert await described(client) == PLAIN
        assert not [note for note in client.inbox if "list_changed" in note["method"]]


@pytest.mark.parametrize(
    "kept", [b"", b"\xff", b"a b", b"x" * 10_000_000, "\u0430\n\u200b".encode(), b"\n" * 1000]
)
def test_what_is_kept_and_is_not_what_dmcp_keeps_is_not_used(kept: bytes) -> None:
    assert filled_in(ServerConfig("g", PLAIN, StdioServer("x")), kept) == PLAIN


def test_however_many_and_long_the_names_the_description_is_short_and_plain() -> None:
    server = ServerConfig("g", f"{'A' * 500}{GENERATED}", StdioServer("x"))
    odd = ["\u00e9", "a b", "", "\x1b[31m", "ok"]
    for names in (["a" * 60 + str(n) for n in range(5000)], odd, [f"n{n}" for n in range(5000)]):
        kept = names_to_keep(server, names)
        assert len(kept) < 20_000
        text = filled_in(server, kept)
        assert len(text) <= MAX_GENERATED
        assert text.isprintable()
