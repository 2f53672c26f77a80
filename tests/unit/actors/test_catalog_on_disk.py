"""The catalog and the disk: what a lazy server offers is written, whenever the end comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from dmcp.actors.catalog import Catalog
from dmcp.actors.dispatch import Dispatcher
from dmcp.config.model import ServerConfig, StdioServer
from dmcp.messages.catalog import GroupState, Listed
from dmcp.messages.supervisor import Directory, Group
from dmcp.protocol.cached_listings import fingerprint, load
from unit.actors.fakes import Inbox

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.anyio

SERVER = ServerConfig("g", "a group", StdioServer("server"), startup="lazy")


class SlowDisk:
    """A store in which a write takes as long as a test wants."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.writes: list[bytes] = []

    async def load(self, fingerprint: str) -> bytes:
        return b""

    async def save(self, fingerprint: str, content: bytes) -> None:
        await self.goes_on.wait()
        self.writes.append(content)

    def kept(self) -> Iterable[list[str]]:
        """The names of the tools that were written, write by write."""
        for content in self.writes:
            kept = load(fingerprint(SERVER), content)
            assert kept is not None
            yield [tool["name"] for tool in kept.listings["tools"]]


class Stage:
    """A catalog that knows one lazy server, which is running."""

    def __init__(self, disk: SlowDisk) -> None:
        self.catalog = Catalog(disk)
        self.catalog.on_receive(Directory({"g": Group(SERVER, Inbox())}, Inbox(), Inbox()))
        self.catalog.on_receive(GroupState("g", 1, "ready"))

    def listed(self, *tools: str) -> None:
        self.catalog.on_receive(Listed("g", 1, "tools", tuple({"name": tool} for tool in tools)))

    async def end(self) -> None:
        """As the process ends: the catalog, then what it has left to the dispatcher."""
        self.catalog.end()
        async with asyncio.timeout(10):
            await Dispatcher.running().wait_background()


async def test_what_was_to_be_written_at_the_end_is_written() -> None:
    disk = SlowDisk()
    stage = Stage(disk)
    stage.listed("echo")
    disk.goes_on.set()
    await stage.end()
    assert list(disk.kept())[-1] == ["echo"]


async def test_what_changes_during_a_write_is_written_after_it_and_only_the_last_of_it() -> None:
    disk = SlowDisk()
    stage = Stage(disk)
    stage.listed("one")
    await asyncio.sleep(0)  # the write has begun
    stage.listed("two")
    stage.listed("three")
    disk.goes_on.set()
    await stage.end()
    assert list(disk.kept()) == [["one"], ["three"]]


async def test_what_is_written_already_is_not_written_again() -> None:
    disk = SlowDisk()
    disk.goes_on.set()
    stage = Stage(disk)
    stage.listed("echo")
    await asyncio.sleep(0)
    stage.listed("echo")
    await stage.end()
    assert list(disk.kept()) == [["echo"]]
