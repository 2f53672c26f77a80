"""One stage of the matrix: a phase, a transport, one dmcp, two servers that are well and one for each fault.

For each fault: every request is answered, once and in time; an error names the server and why; the others are not
disturbed; the server is back when the fault has ended; and in the end dmcp has nothing more open than before.
The tests are in two files, one for each transport, so that they can run side by side.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import psutil

from dmcp.fault.faults import Phase, Transport
from faults.faulty import acted, echoes, faulty, lives, pid_of, watches
from faults.matrix.cases import case, faults_of, must_be_answered
from faults.matrix.remote import RemoteServers
from harness import WAIT, RawClient, RpcError, dmcp_command, write_config

if TYPE_CHECKING:
    from harness.configs import Entry

SIBLINGS = ("first", "last")
HASTE: Entry = {
    "timeout": {"tools": "2s", "resources": "2s", "prompts": "2s", "connect": "8s"},
    "restart": {"backoff_min": "300ms", "backoff_max": "1s", "intensity": 1000},  # processes cost the machine
}
LEISURE: Entry = {
    **HASTE,
    "timeout": {"tools": "20s", "resources": "20s", "prompts": "20s", "connect": "20s"},
}
"""For servers whose fault must not be noticed: on a busy machine a deadline would be."""
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
        self.well = {name: faulty(room, name, **LEISURE) for name in SIBLINGS}
        self.remote = RemoteServers(room, {f: (self.case(f),) for f in self.faults if transport == "http"})
        self.client: RawClient
        self.pids: dict[str, int] = {}

    def case(self, fault: str) -> Any:
        return case(fault, self.phase, self.trouble)

    def ill(self) -> dict[str, Entry]:
        return {fault: self.entry(fault) for fault in self.faults}

    def entry(self, fault: str) -> Entry:
        pace = LEISURE if must_be_answered(fault, self.transport) else HASTE
        if self.transport == "http":
            return self.remote.entry(fault, **pace)
        return faulty(self.room, fault, self.case(fault), **pace)

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
            assert re.match(rf"{group}(:| is unavailable:| is connected, but) \w.{{4,}}", message), (
                f"{group}: {message}"
            )
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

    def open_files(self) -> Counter[str]:
        """Count what dmcp has open, by kind."""
        process = psutil.Process(self.client.pid)
        if not sys.platform.startswith("linux"):
            return Counter(any=process.num_fds() if hasattr(process, "num_fds") else process.num_handles())
        kinds: Counter[str] = Counter()
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                kinds[re.sub(r"\d+", "", str(fd.readlink()))] += 1
        return kinds


PHASES: tuple[Phase, ...] = tuple(phase for phase in get_args(Phase) if phase != "shutdown")
"""The phases in which a fault can pass again."""


async def a_fault_stays_with_its_server_is_explained_and_passes(
    room: Path, phase: Phase, transport: Transport
) -> None:
    stage = Stage(room, phase, transport)
    async with AsyncExitStack() as stack:
        await stage.open(stack)
        await watches(stage.client)
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
        assert [fault for fault in stage.faults if not acted(room, fault)] == []
        stage.trouble.unlink()
        await stage.remote.mend()
        await asyncio.gather(*(stage.recovers(fault) for fault in stage.faults))
        await stage.siblings_are_well()
        await stage.dismiss()
        more = before
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_TIME):
                while (more := stage.open_files()).total() > before.total():  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.05)
        assert more.total() <= before.total(), more - before
        await stage.siblings_are_well()


async def no_fault_keeps_dmcp_from_ending_in_time_with_every_call_answered(
    room: Path, transport: Transport
) -> None:
    stage = Stage(room, "shutdown", transport)
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
