"""What a misbehaving server does to its own process: dying, freezing, going deaf, leaving children, talking on stderr.

One ``Process`` for each run; everything but ``wake_reader`` runs on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.fault.steps import Deaf, Die, Hang, Orphan

_ORPHAN = (
    "import signal, sys, time\n"
    "if sys.argv[2] == 'True': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "sys.stderr.write('r'); sys.stderr.flush(); sys.stderr.close()\n"
    "time.sleep(float(sys.argv[1]))\n"
)


class Process:
    """The process as the faults see it."""

    def __init__(self) -> None:
        self._awake = asyncio.Event()
        self._awake.set()
        self.may_read = threading.Event()
        """Cleared while nothing is to be read from the client; the reading thread waits for it."""
        self.may_read.set()
        self._stubborn = False
        self._orphans: list[subprocess.Popen[bytes]] = []

    def __repr__(self) -> str:
        return f"<Process awake={self._awake.is_set()} reading={self.may_read.is_set()}>"

    async def awake(self) -> None:
        """Wait until the server is not frozen."""
        await self._awake.wait()

    async def freeze(self, hang: Hang) -> None:
        """Stand still: the whole server, or only the caller."""
        if not hang.whole_server:
            await asyncio.sleep(hang.seconds)
            return
        self._awake.clear()
        self.may_read.clear()
        self._stubborn = hang.ignore_sigterm
        try:
            await asyncio.sleep(hang.seconds)
        finally:
            self._stubborn = False
            self.may_read.set()
            self._awake.set()

    def go_deaf(self, deaf: Deaf) -> None:
        """Stop reading for a while."""
        self.may_read.clear()
        asyncio.get_running_loop().call_later(deaf.seconds, self.may_read.set)

    def on_signals(self, end: Callable[[], None]) -> None:
        """Call ``end`` at SIGTERM or SIGINT, as a good server does; a frozen one dies of it, or does not care."""

        def told() -> None:
            if self._awake.is_set():
                end()
            elif self._stubborn:
                self.diagnose("dmcp fault: ignoring the signal")
            else:
                os._exit(128 + signal.SIGTERM)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, told)
            except NotImplementedError:  # Windows: there is only the end of the input
                return

    @staticmethod
    def die(step: Die) -> NoReturn:
        """End at once, without any clean-up: that is the point."""
        number = getattr(signal, f"SIG{step.signal}", None) if step.signal else None
        if number is not None and sys.platform != "win32":
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
                _no_core_dump()
            os.kill(os.getpid(), number)
        os._exit(step.status)

    def orphan(self, step: Orphan) -> int:
        """Start a child of the same process group and return its id once it ignores what it shall ignore."""
        command = [sys.executable, "-c", _ORPHAN, str(step.seconds), str(step.ignore_sigterm)]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if step.holds_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._orphans.append(child)  # kept, so that it is not waited for when it is collected
        if child.stderr is not None:
            child.stderr.read(1)
            child.stderr.close()
        return child.pid

    @staticmethod
    def diagnose(text: str, count: int = 1) -> None:
        """Write lines to stderr."""
        block = (text + "\n").encode()
        for _ in range(count):
            sys.stderr.buffer.write(block)
        sys.stderr.buffer.flush()


def _no_core_dump() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - POSIX only

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
