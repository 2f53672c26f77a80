"""What a misbehaving server can do, one step at a time: ``rewrite`` decides on steps, ``StepRunner`` performs them.

Steps about messages are performed on an ``Output``, the ones about the process on the ``Process``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable


class Send(NamedTuple):
    """One message, whole or in pieces.

    Attributes:
        frame: the whole message.
        cuts: ascending byte offsets in the frame where one write ends and the next begins.
        pause: seconds between two writes.
        whole: whether what follows the last cut is sent too.
    """

    frame: bytes
    cuts: tuple[int, ...] = ()
    pause: float = 0.0
    whole: bool = True

    def pieces(self, end: bytes = b"") -> list[bytes]:
        """Return what is written at a time; ``end`` ends a message that is sent whole."""
        edges = (0, *self.cuts)
        pieces = [self.frame[a:b] for a, b in pairwise(edges)]
        return [*pieces, self.frame[edges[-1] :] + end] if self.whole else pieces


async def paced(pieces: Iterable[bytes], pause: float) -> AsyncIterator[bytes]:
    """Yield one piece after the other, with ``pause`` seconds between two."""
    for number, piece in enumerate(pieces):
        if number and pause:
            await asyncio.sleep(pause)
        yield piece


class Noise(NamedTuple):
    """Something in the place of a message that is none; without its line ending."""

    line: bytes


class Wait(NamedTuple):
    """Nothing, in this exchange only."""

    seconds: float


class Hang(NamedTuple):
    """Nothing for a long time: of the whole server, reading included, or of this exchange."""

    seconds: float
    whole_server: bool
    ignore_sigterm: bool


class AwaitOthers(NamedTuple):
    """Wait until this many other messages have gone out, but not longer than ``at_most`` seconds."""

    others: int
    at_most: float


class Die(NamedTuple):
    """The process ends now: with a status, or by the signal of this name ("KILL")."""

    status: int = 1
    signal: str | None = None


class Diagnose(NamedTuple):
    """Lines on stderr."""

    text: str
    repeat: int = 1


class Cut(NamedTuple):
    """The way to the client ends: stdout is closed, or the connection is (``abort``: by a reset)."""

    abort: bool = False


class Respond(NamedTuple):
    """A whole HTTP response in the place of the right one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Forget(NamedTuple):
    """All HTTP sessions are unknown from now on."""


class Deaf(NamedTuple):
    """Stop reading from the client; everything else goes on."""

    seconds: float


class Orphan(NamedTuple):
    """Start a child that does not end by itself with its parent."""

    seconds: float
    ignore_sigterm: bool
    holds_output: bool


class Reject(NamedTuple):
    """Let this client not in: the process exits with this status, or the connection is reset."""

    reason: str
    status: int


class Stop(NamedTuple):
    """Nothing more of this exchange; the request is not carried out."""


Step: TypeAlias = (
    "Send | Noise | Wait | Hang | AwaitOthers | Die | Diagnose | Cut | Respond | Forget | Deaf | Orphan | Reject"
    " | Stop"
)


class Output(Protocol):
    """A way to the client: stdout, the answer to one POST, a standalone stream. A client that has gone is no error."""

    async def send(self, message: Send) -> None:
        """Write one message, framed as the transport does; nothing else gets in between its pieces."""

    async def noise(self, line: bytes) -> None:
        """Write something in the place of a message."""

    async def cut(self, *, abort: bool) -> None:
        """Close the way."""

    async def respond(self, step: Respond) -> None:
        """Answer with an HTTP response; nothing where there is no HTTP."""


class StepRunner:
    """Performs the steps of one server process; shared by its sessions. Decides nothing."""

    def __init__(self, process: Process, forget: Callable[[], None] | None = None) -> None:
        """Set to work; ``forget`` drops all HTTP sessions, and is there when HTTP is served."""
        self.process = process
        self._forget = forget
        self._sent = 0
        self._progress = asyncio.Event()

    def __repr__(self) -> str:
        return f"<StepRunner sent={self._sent}>"

    async def run(self, steps: Iterable[Step], output: Output) -> bool:
        """Perform one step after the other.

        Returns:
            Whether the exchange goes on: there was no ``Stop``.
        """
        for step in steps:
            await self.process.awake()
            if isinstance(step, Stop):
                return False
            await self._perform(step, output)
        return True

    async def _perform(self, step: Step, output: Output) -> None:  # noqa: C901, PLR0912 - one line for each step
        match step:
            case Send():
                await output.send(step)
                self._sent += 1
                self._progress.set()
            case Noise(line):
                await output.noise(line)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case AwaitOthers():
                await self._others(step)
            case Hang():
                await self.process.freeze(step)
            case Die():
                self.process.die(step)
            case Diagnose(text, repeat):
                await asyncio.to_thread(self.process.diagnose, text, repeat)
            case Cut(abort):
                await output.cut(abort=abort)
            case Respond():
                await output.respond(step)
            case Forget():
                if self._forget is not None:
                    self._forget()
            case Reject(reason, status):
                self.process.diagnose(reason)
                if self._forget is None:
                    self.process.die(Die(status))
                await output.cut(abort=True)
            case Deaf():
                self.process.stop_reading(step)
            case Orphan():
                self.process.orphan(step)

    async def _others(self, step: AwaitOthers) -> None:
        enough = self._sent + step.others
        with suppress(TimeoutError):
            async with asyncio.timeout(step.at_most):
                while self._sent < enough:
                    self._progress.clear()
                    await self._progress.wait()


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

    def stop_reading(self, deaf: Deaf) -> None:
        """Stop reading for some seconds."""
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
