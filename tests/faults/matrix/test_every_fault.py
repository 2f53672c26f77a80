"""The matrix: every fault in every phase, all faults of a phase behind one dmcp, beside servers that are well.

For each: every request is answered, once and in time; an error names the server and why; the others are not disturbed;
the server is back when the fault has ended; and when all is over dmcp has nothing more open than before.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, get_args

import psutil
import pytest

from dmcp.fault.limits import Phase, Transport
from faults.faulty import acted, echoes, faulty, lives, pid_of
from faults.matrix.cases import case, faults_of, must_be_answered
from faults.matrix.remote import RemoteServers
from harness import WAIT, RawClient, RpcError, dmcp_command, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness.configs import Entry

pytestmark = pytest.mark.anyio

SIBLINGS = ("first", "last")
HASTE: Entry = {
    "timeout": {"tools": "2s", "resources": "2s", "prompts": "2s", "connect": "6s"},
    "restart": {"backoff_min": "300ms", "backoff_max": "1s", "intensity": 1000},  # processes cost the machine
}
IN_TIME = 3 * WAIT  # seconds: no answer may take longer than its server has time to start and to answer
AT_START: tuple[Phase, ...] = ("connect", "initialise", "list")


class Stage:
    """One dmcp, two servers that are well, and one that is not for each fault of a phase."""

    def __init__(self, room: Path, phase: Phase, transport: Transport) -> None:
        self.room = room
        self.phase = phase
        self.transport = transport
        self.faults = faults_of(phase, transport)
        self.trouble = room / "trouble"
        self.config = room / "dmcp.json"
        self.well = {name: faulty(room, name, **HASTE) for name in SIBLINGS}
        self.remote = RemoteServers(room, {f: (self.case(f),) for f in self.faults if transport == "http"})
        self.client: RawClient
        self.pids: dict[str, int] = {}

    def case(self, fault: str) -> Any:
        return case(fault, self.phase, self.trouble)

    def ill(self) -> dict[str, Entry]:
        if self.transport == "http":
            return {fault: self.remote.entry(fault, **HASTE) for fault in self.faults}
        return {fault: faulty(self.room, fault, self.case(fault), **HASTE) for fault in self.faults}

    async def open(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.remote)
        write_config(self.config, self.well)
        environment = {"BROWSER": "true", "HOME": str(self.room), "XDG_CACHE_HOME": str(self.room)}
        client = RawClient(dmcp_command(self.config), env=environment)
        self.client = await stack.enter_async_context(client)
        await self.client.initialize(capabilities={"roots": {"listChanged": True}})
        self.pids = {name: await pid_of(self.client, name) for name in SIBLINGS}

    async def admit(self) -> None:
        """Put the servers that are not well into the configuration."""
        first, last = SIBLINGS
        servers = {first: self.well[first], **self.ill(), last: self.well[last]}
        await self.reload(servers, lambda text: all(f"- {name}:" in text for name in servers))

    async def dismiss(self) -> None:
        """Take them out again."""
        await self.reload(self.well, lambda text: not any(f"- {name}:" in text for name in self.faults))

    async def reload(self, servers: dict[str, Entry], done: Any) -> None:
        await self.description()
        write_config(self.config, servers)
        while not done(await self.description()):
            await self.client.heard("notifications/tools/list_changed")

    async def description(self) -> str:
        return str((await self.client.request("tools/list"))["tools"][0]["description"])

    def ask(self, group: str) -> list[int | str]:
        """One request of each kind that a server is asked."""
        counter = {"group": group, "name": "counter", "args": {"key": "once"}}
        announce = {"group": group, "name": "announce", "args": {"what": "tools"}}
        asked = [
            self.client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
            for arguments in (counter, *([announce] if self.phase == "notify" else []))
        ]
        asked.append(
            self.client.ask("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": group}})
        )
        uri = f"dmcp://{group}/fault://text"
        return [*asked, self.client.ask("resources/read", {"uri": uri})]

    async def judge(self, group: str, answer: dict[str, Any]) -> None:
        if "error" in answer:
            assert not must_be_answered(group, self.transport), f"{group}: {answer['error']}"
            message = answer["error"]["message"]
            assert re.match(rf"{group}(:| is unavailable:) \w.{{4,}}", message), f"{group}: {message}"
        else:
            assert answer["result"]

    async def siblings_are_well(self) -> None:
        for name in SIBLINGS:
            await echoes(self.client, name)
        assert {name: await pid_of(self.client, name) for name in SIBLINGS} == self.pids
        assert {name: lives(self.room, name) for name in SIBLINGS} == {n: [p] for n, p in self.pids.items()}

    async def recovers(self, group: str) -> None:
        """Ask until there is an answer. What is asked is answered at the latest when its deadline passes."""
        async with asyncio.timeout(IN_TIME):
            while True:
                try:
                    await echoes(self.client, group)
                except RpcError:
                    await asyncio.sleep(0.1)  # a refusal is immediate; do not flood the log of a failing test
                else:
                    return

    def open_files(self) -> int:
        process = psutil.Process(self.client.pid)
        return process.num_fds() if hasattr(process, "num_fds") else process.num_handles()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("transport", get_args(Transport))
@pytest.mark.parametrize("phase", [phase for phase in get_args(Phase) if phase != "shutdown"])
async def test_a_fault_stays_with_its_server_is_explained_and_passes(
    tmp_path: Path, phase: Phase, transport: Transport
) -> None:
    stage = Stage(tmp_path, phase, transport)
    async with AsyncExitStack() as stack:
        await stage.open(stack)
        before = stage.open_files()
        if phase in AT_START:
            stage.trouble.touch()
        await stage.admit()
        if phase not in AT_START:
            await asyncio.gather(*(stage.recovers(fault) for fault in stage.faults))
            stage.trouble.touch()
            stage.client.notify("notifications/roots/list_changed")
        asked = [(fault, number) for fault in stage.faults for number in stage.ask(fault)]
        await stage.siblings_are_well()
        for fault, number in asked:
            await stage.judge(fault, await stage.client.answer(number, IN_TIME))
        assert [fault for fault in stage.faults if not acted(tmp_path, fault)] == []
        stage.trouble.unlink()
        await stage.remote.mend()
        await asyncio.gather(*(stage.recovers(fault) for fault in stage.faults))
        await stage.siblings_are_well()
        await stage.dismiss()
        async with asyncio.timeout(IN_TIME):
            while stage.open_files() > before:  # noqa: ASYNC110 - no event tells of a file closed in another process
                await asyncio.sleep(0.05)
        await stage.siblings_are_well()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("transport", get_args(Transport))
async def test_no_fault_keeps_dmcp_from_ending_in_time_with_every_call_answered(
    tmp_path: Path, transport: Transport
) -> None:
    stage = Stage(tmp_path, "shutdown", transport)
    async with AsyncExitStack() as stack:
        await stage.open(stack)
        await stage.admit()
        await asyncio.gather(*(stage.recovers(fault) for fault in stage.faults))
        stage.trouble.touch()
        for fault in stage.faults:
            stage.ask(fault)
        assert await stage.client.close() == 0
        assert not stage.client.ledger.unanswered("client")
    # That no process is left is what the fixture for all tests looks at.
