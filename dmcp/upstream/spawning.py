"""Starts a server's process with pipes of its own, off the loop, and tells what comes out of it.

The work of a start (looking for the program, forking) is done in a thread of its own, because a directory in PATH may
be on a mount that hangs. Forks are made one at a time. No Python code runs between fork and exec, so the interpreter
uses ``vfork`` and no thread is copied half-way. Pipes are plain ones: the loop's own for subprocesses cost a turn more
for each chunk. On Windows the loop cannot read plain pipes; there its own are used.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, cast

from dmcp.errors import LinkRefused
from dmcp.pipes import enlarge_pipe
from dmcp.upstream import processes
from dmcp.upstream.processes import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
_FORKING = threading.Lock()
_AT_ONCE: Final = 8  # processes that are started without a pause
_PAUSE: Final = 0.008  # seconds between the others; a small server takes about as long to start on two cores
_forks: deque[float] = deque(maxlen=_AT_ONCE)  # when the last ones were; guarded by the lock


class ProcessEvents(Protocol):
    """What a process tells the link that owns it. Called on the loop."""

    def on_stdout(self, data: bytes) -> None:
        """It wrote this."""

    def on_stdout_end(self) -> None:
        """It, and whoever else had it, has closed its output."""

    def on_stderr(self, data: bytes) -> None:
        """It wrote this."""

    def on_stderr_end(self) -> None:
        """As for stdout."""

    def on_stdin_end(self) -> None:
        """It has closed its input, or has been found to have when something was written."""

    def on_exit(self) -> None:
        """It has ended; what it wrote before may still be on its way."""


class Process(Protocol):
    """A started process. Used on the loop only."""

    pid: int
    stdin: asyncio.WriteTransport
    stdout: asyncio.ReadTransport

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal, once it has ended."""

    def close(self) -> None:
        """Close all pipes. Nothing is told any more, except ``on_exit``."""


class Start(NamedTuple):
    """What to start: the command as the configuration has it, its arguments, environment and directory."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None


async def spawn(start: Start, events: ProcessEvents) -> Process:
    """Start a process. Cancelling it leaves nothing behind.

    Raises:
        LinkRefused: it cannot be started, with the reason in words.
    """
    if sys.platform == "win32":
        return await _spawn_by_loop(start, events)
    return await _spawn_with_pipes(start, events)


async def off_loop(work: Callable[[], T], discard: Callable[[T], object] = lambda _: None) -> T:
    """Run blocking work in a thread of its own, which may be left hanging when the process ends.

    ``discard`` is called with the result, in any thread, when nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: list[T], error: BaseException | None) -> None:
        if future.done():
            _throw_away(result, discard)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result[0])

    threading.Thread(target=_work, args=(work, loop, settle, discard), name="dmcp-start", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled() and future.exception() is None:
            _throw_away([future.result()], discard)  # it came in the same turn as the cancellation
        raise


def _work(
    work: Callable[[], T],
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[list[T], BaseException | None], None],
    discard: Callable[[T], object],
) -> None:
    result: list[T] = []
    error: BaseException | None = None
    try:
        result.append(work())
    except Exception as raised:  # noqa: BLE001 - it is raised where the result is awaited
        error = raised
    try:
        loop.call_soon_threadsafe(settle, result, error)
    except RuntimeError:  # the loop is closed
        for one in result:
            discard(one)


def _throw_away(result: list[T], discard: Callable[[T], object]) -> None:
    for one in result:
        threading.Thread(target=discard, args=(one,), daemon=True).start()


class _Forked(NamedTuple):
    popen: subprocess.Popen[bytes]
    stdin: int
    stdout: int
    stderr: int


def _fork(start: Start) -> _Forked:
    """Start the process. Blocks; in a thread."""
    path = processes.resolve_command(start.command, start.env, start.cwd, len(start.args))
    theirs: list[int] = []
    ours: list[int] = []
    popen: subprocess.Popen[bytes] | None = None
    try:
        for reads in (True, False, False):
            reading, writing = os.pipe()
            theirs.append(reading if reads else writing)
            ours.append(writing if reads else reading)
        for pipe in ours[:2]:
            enlarge_pipe(pipe)
        inode = GUARD.expect(theirs[0])
        try:
            with _FORKING:
                popen = subprocess.Popen(  # noqa: S603 - the user's own command, no shell
                    (path, *start.args),
                    stdin=theirs[0],
                    stdout=theirs[1],
                    stderr=theirs[2],
                    env=start.env,
                    cwd=start.cwd,
                    start_new_session=True,
                )
                _pace()
        finally:
            GUARD.started(inode, popen.pid if popen is not None else None)
    except (
        OSError,
        ValueError,
        subprocess.SubprocessError,
    ) as error:  # ValueError: a NUL byte in an argument
        raise LinkRefused(f"the command {start.command} could not be started: {error}") from None
    finally:
        for pipe in theirs if popen is not None else (*theirs, *ours):
            os.close(pipe)
    return _Forked(popen, *ours)


def _pace() -> None:
    """Wait a moment where many are started: a hundred at once leave the loop no processor for as long as they take."""
    _forks.append(time.monotonic())
    if len(_forks) == _AT_ONCE and _forks[-1] - _forks[0] < _AT_ONCE * _PAUSE:
        time.sleep(_PAUSE)


def _discard(forked: _Forked) -> None:
    """End a process nobody wants any more. Blocks; in a thread."""
    for pipe in forked[1:]:
        with suppress(OSError):
            os.close(pipe)
    processes.signal_group(forked.popen.pid, kill=True)
    forked.popen.wait()
    GUARD.ended(forked.popen.pid)


class _Pipe:
    """dmcp's end of a pipe, as the loop takes it.

    uvloop has the file closed and then closes its number once more. By then the number may be that of a file which
    another thread has just opened; so there the first closing does nothing.
    """

    def __init__(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self._fd = fd
        self._closes = not type(loop).__module__.startswith("uvloop")

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._closes:
            self._closes = False
            os.close(self._fd)


class _End(asyncio.Protocol):
    """One of the three pipes. ``data_received`` is the link's own function: nothing stands between."""

    def __init__(self, on_end: Callable[[], None], on_data: Callable[[bytes], None] | None = None) -> None:
        self._on_end: Callable[[], None] | None = on_end
        if on_data is not None:
            self.data_received = on_data  # type: ignore[method-assign,assignment]  # see above

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def mute(self) -> None:
        """Tell nothing any more."""
        self._on_end = None


async def _spawn_with_pipes(start: Start, events: ProcessEvents) -> Process:
    forked = await off_loop(lambda: _fork(start), _discard)
    process = _PipedProcess(forked.popen, events)
    try:
        await process.connect(forked)
    except BaseException:
        process.close()
        processes.signal_group(process.pid, kill=True)
        GUARD.ended(process.pid)
        raise
    return process


class _PipedProcess:
    def __init__(self, popen: subprocess.Popen[bytes], events: ProcessEvents) -> None:
        self.pid = popen.pid
        self.stdin: asyncio.WriteTransport
        self.stdout: asyncio.ReadTransport
        self._popen = popen
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._ends = (
            _End(events.on_stdin_end),
            _End(events.on_stdout_end, events.on_stdout),
            _End(events.on_stderr_end, events.on_stderr),
        )
        self._transports: list[asyncio.BaseTransport] = []

    def __repr__(self) -> str:
        return f"<process {self.pid} status={self.status}>"

    @property
    def status(self) -> int | None:
        return self._popen.returncode

    async def connect(self, forked: _Forked) -> None:
        """Have the loop serve the pipes; output last, when everything else is there to take it."""
        loop, (stdin, stdout, stderr) = self._loop, self._ends
        self._watch()
        pipes = [_Pipe(fd, loop) for fd in forked[1:]]
        try:
            # What asyncio wants to know of a file is in ``_Pipe``.
            self.stdin, _ = await loop.connect_write_pipe(lambda: stdin, cast("IO[bytes]", pipes[0]))
            self._transports.append(self.stdin)
            self.stdout, _ = await loop.connect_read_pipe(lambda: stdout, cast("IO[bytes]", pipes[1]))
            self._transports.append(self.stdout)
            last, _ = await loop.connect_read_pipe(lambda: stderr, cast("IO[bytes]", pipes[2]))
            self._transports.append(last)
        except BaseException:
            for fd in forked[1:][len(self._transports) + 1 :]:  # the loop has closed the one it failed with
                os.close(fd)
            raise

    def _watch(self) -> None:
        """Wait for the end of the process: by a descriptor of it on Linux, else in a thread."""
        pidfd = -1
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # an old kernel, or one that refuses it
                pidfd = os.pidfd_open(self.pid)
        if pidfd >= 0:
            self._loop.add_reader(pidfd, self._on_pidfd, pidfd)
        else:
            threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    def _on_pidfd(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._popen.wait()  # it has ended: this does not wait, it fetches the status
        self._events.on_exit()

    def _wait(self) -> None:
        self._popen.wait()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._events.on_exit)

    def close(self) -> None:
        for end in self._ends:
            end.mute()
        for transport in self._transports:
            transport.close()


class _LoopProcess(asyncio.SubprocessProtocol):
    """A process with the loop's own pipes."""

    def __init__(self, events: ProcessEvents) -> None:
        self.pid = 0
        self.stdin: asyncio.WriteTransport
        self.stdout: asyncio.ReadTransport
        self._transport: asyncio.SubprocessTransport
        self._events = events
        self._closed = False

    def __repr__(self) -> str:
        return f"<process {self.pid} status={self.status}>"

    @property
    def status(self) -> int | None:
        return self._transport.get_returncode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Casts, because asyncio declares the base classes only.
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self.pid = self._transport.get_pid() or 0
        self.stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        self.stdout = cast("asyncio.ReadTransport", self._transport.get_pipe_transport(1))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if not self._closed:
            (self._events.on_stdout if fd == 1 else self._events.on_stderr)(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if not self._closed:
            told = (self._events.on_stdin_end, self._events.on_stdout_end, self._events.on_stderr_end)
            told[fd]()

    def process_exited(self) -> None:
        self._events.on_exit()

    def close(self) -> None:
        self._closed = True
        self._transport.close()


async def _spawn_by_loop(start: Start, events: ProcessEvents) -> Process:
    def resolve() -> str:
        return processes.resolve_command(start.command, start.env, start.cwd, len(start.args))

    path = await off_loop(resolve)
    options: dict[str, Any] = processes.group_options()
    pipe = asyncio.subprocess.PIPE
    try:
        _, process = await asyncio.get_running_loop().subprocess_exec(
            lambda: _LoopProcess(events),
            path,
            *start.args,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=start.env,
            cwd=start.cwd,
            **options,
        )
    except (OSError, ValueError) as error:
        raise LinkRefused(f"the command {start.command} could not be started: {error}") from None
    return process
