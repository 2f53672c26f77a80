"""Misbehaving HTTP servers: processes of the test, not of dmcp. A server that has died is started again on its port."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from dmcp.fault.script import Script
from faults.faulty import journal
from harness import WAIT

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from harness.configs import Entry

_ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


class RemoteServers:
    """The servers of one test. An asynchronous context manager; leaving it kills them all."""

    def __init__(self, room: Path, faults: dict[str, tuple[Any, ...]]) -> None:
        self._room = room
        self._faults = faults
        self._ports = dict.fromkeys(faults, 0)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._drains: list[asyncio.Task[bytes]] = []

    def __repr__(self) -> str:
        return f"<RemoteServers {self._ports}>"

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(self._start(name) for name in self._faults))
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.gather(*self._drains, return_exceptions=True)

    def entry(self, name: str, **more: Any) -> Entry:
        """The configuration entry of a server."""
        return {
            "url": f"http://127.0.0.1:{self._ports[name]}/mcp",
            "type": "http",
            **more,
        }

    async def mend(self) -> None:
        """Start those again that have died, or that do nothing any more."""
        dead = [name for name, process in self._processes.items() if process.returncode is not None]
        if "hang" in self._processes and "hang" not in dead:
            self._processes["hang"].kill()
            await self._processes["hang"].wait()
            dead.append("hang")
        await asyncio.gather(*(self._start(name) for name in dead))

    async def _start(self, name: str) -> None:
        script = Script(faults=self._faults[name], seed=1, journal=str(journal(self._room, name)))
        path = script.write(self._room / f"{name}.script.json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dmcp.fault", "--script", str(path), "--http", str(self._ports[name])),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        self._processes[name] = process
        async with asyncio.timeout(WAIT):
            while (found := _ADDRESS.search(line := await process.stderr.readline())) is None:
                assert line, f"{name} did not start"
        self._ports[name] = int(found[1])
        self._drains.append(asyncio.create_task(process.stderr.read()))
