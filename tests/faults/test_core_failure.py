"""A bug in dmcp's own core ends the process with status 1: servers stopped, calls answered, nothing half alive."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pykka
import pytest

from dmcp import log
from faults.faulty import echoes, faulty, pid_of
from faults.inner import InnerApp, server
from harness import RawClient, gone, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CORE = ("auth", "catalog", "frontend", "supervisor")


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """These tests provoke errors; what is logged of them is not looked at."""
    before = log._threshold
    log._threshold = log.LEVELS["error"] + 1
    yield
    log._threshold = before


@pytest.mark.parametrize("name", CORE)
async def test_a_core_actor_that_fails_ends_everything_with_status_1(
    anyio_backend: str, quiet_log: None, name: str
) -> None:
    house = InnerApp()
    house.configure(server("a"), server("b"))
    await house.initialize()
    await house.call("a")
    await house.call("b")
    house.core[name].tell(object())  # a message no actor knows: what a bug would do
    assert await house.ended() == 1
    assert {group: link._closed for group, link in house.links.items()} == {"a": True, "b": True}
    assert not pykka.ActorRegistry.get_all()


@pytest.mark.parametrize("name", ["auth", "catalog", "supervisor"])
async def test_calls_in_flight_are_answered_when_another_core_actor_fails(
    anyio_backend: str, quiet_log: None, name: str
) -> None:
    house = InnerApp()
    house.configure(server("a"))
    await house.initialize()
    await house.call("a")
    house.links["a"]._server = lambda frame: house.core[name].tell(object()) or ()
    answer = await house.call("a", "wait")
    assert answer["error"]["message"].startswith("a: ")
    assert answer["error"]["message"].endswith("its outcome is unknown")
    assert await house.ended() == 1


PROGRAM = """
import sys
from dmcp import app
from dmcp.actors.runtime import post

VICTIM, CONFIG = sys.argv[1:]
make = app.App.upstream
mailboxes = []

class Mailbox(app.ClientMailbox):
    def __init__(self):
        mailboxes.append(self)

def upstream(self, config, peers, *more):
    if config.name == "poison":
        post({**peers._asdict(), "frontend": mailboxes[0].frontend}[VICTIM], object())
    return make(self, config, peers, *more)

app.ClientMailbox = Mailbox

app.App.upstream = upstream
sys.exit(app.run(CONFIG))
"""
"""dmcp with a bug: whoever configures a server named "poison" has a core actor fail."""


@pytest.mark.parametrize("name", CORE)
async def test_the_process_ends_with_status_1_and_takes_its_servers_with_it(
    tmp_path: Path, name: str
) -> None:
    program = tmp_path / "dmcp_with_a_bug.py"
    program.write_text(PROGRAM)
    servers = {"g": faulty(tmp_path, "g"), "h": faulty(tmp_path, "h")}
    config = write_config(tmp_path / "dmcp.json", servers)
    async with RawClient([sys.executable, str(program), name, str(config)], strict=False) as client:
        await client.initialize()
        pids = [await pid_of(client, group) for group in servers]
        await echoes(client, "g")
        write_config(config, {**servers, "poison": faulty(tmp_path, "poison")})
        assert await client.exited() == 1
        await gone(*pids)
    assert "failed" in client.stderr
    assert "Traceback" not in client.stderr
