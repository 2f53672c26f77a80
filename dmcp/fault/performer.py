"""Performs steps: the ones about messages on an outlet, the ones about the process on the process. Decides nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from dmcp.fault.steps import (
    AwaitOthers,
    Cut,
    Deaf,
    Diagnose,
    Die,
    Forget,
    Hang,
    Noise,
    Orphan,
    Part,
    Respond,
    Send,
    Stop,
    TurnAway,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dmcp.fault.process import Process
    from dmcp.fault.steps import Step


class Outlet(Protocol):
    """A way to the client: stdout, the answer to one POST, or a standing stream. A client that has gone is no error."""

    async def send(self, frame: bytes) -> None:
        """Write one message, framed as the transport does."""

    async def noise(self, line: bytes) -> None:
        """Write something in the place of a message."""

    async def part(self, step: Part) -> None:
        """Write a message in pieces; nothing else gets in between."""

    async def cut(self, *, abort: bool) -> None:
        """Close the way."""

    async def respond(self, step: Respond) -> None:
        """Answer with an HTTP response; nothing where there is no HTTP."""


class Performer:
    """The hands of one server process; shared by its sessions."""

    def __init__(self, process: Process, forget: Callable[[], None] | None = None) -> None:
        """Set to work; ``forget`` drops all HTTP sessions, and is there when HTTP is served."""
        self.process = process
        self._forget = forget
        self._sent = 0
        self._progress = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Performer sent={self._sent}>"

    async def perform(self, steps: Iterable[Step], outlet: Outlet) -> bool:
        """Do one step after the other.

        Returns:
            Whether the exchange goes on: there was no ``Stop``.
        """
        for step in steps:
            await self.process.awake()
            if isinstance(step, Stop):
                return False
            await self._perform(step, outlet)
        return True

    async def _perform(self, step: Step, outlet: Outlet) -> None:  # noqa: C901, PLR0912 - one line for each step
        match step:
            case Send(frame):
                await outlet.send(frame)
                self._count()
            case Noise(line):
                await outlet.noise(line)
            case Part():
                await outlet.part(step)
                self._count()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case AwaitOthers():
                await self._others(step)
            case Hang():
                await self.process.freeze(step)
            case Die():
                self.process.die(step)
            case Diagnose(text, count):
                await asyncio.to_thread(self.process.diagnose, text, count)
            case Cut(abort):
                await outlet.cut(abort=abort)
            case Respond():
                await outlet.respond(step)
            case Forget():
                if self._forget is not None:
                    self._forget()
            case TurnAway(reason, status):
                self.process.diagnose(reason)
                if self._forget is None:
                    self.process.die(Die(status))
                await outlet.cut(abort=True)
            case Deaf():
                self.process.go_deaf(step)
            case Orphan():
                self.process.orphan(step)

    def _count(self) -> None:
        self._sent += 1
        self._progress.set()

    async def _others(self, step: AwaitOthers) -> None:
        enough = self._sent + step.count
        with suppress(TimeoutError):
            async with asyncio.timeout(step.at_most):
                while self._sent < enough:
                    self._progress.clear()
                    await self._progress.wait()
