"""The stdio transport: a server dmcp starts itself and talks to over its standard input and output.

Pipes are read and written through protocol callbacks, not awaited streams, which cost several times as much. A line is
a frame if it could be a JSON object or array, with nothing but terminal control around it; everything else on stdout
is noise. What one chunk brings is handed on in portions, with a turn for everybody else between two: a server that
writes flat out is read no faster than it is served. Starting the process is in ``spawning``, ending it in
``processes``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from dmcp.protocol.environment import server_environment
from dmcp.protocol.frames import LineSplitter
from dmcp.protocol.limits import MAX_FRAME, MAX_STDERR, MAX_STDERR_LINE, MAX_STDERR_LINES, MIB
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.noise import message_in
from dmcp.protocol.timing import Activity
from dmcp.upstream import processes
from dmcp.upstream.processes import GUARD
from dmcp.upstream.spawning import Start, off_loop, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dmcp.config.model import StdioServer
    from dmcp.protocol.link import Link, LinkEvents, OpenLink
    from dmcp.upstream.spawning import Process

_PORTION: Final = 256  # lines handed on before everybody else has a turn
_LARGE = 4096  # bytes of a chunk that may hold more
_SHOWN = 200  # characters of a noise line that reach the log
_EXIT_GRACE = 0.5  # seconds the rest of an ending process gets: its status, and what it still has to say
_POLL = 0.02  # seconds between looks at a process group that should end


def _at_once(action: Callable[[], None]) -> None:
    action()


def _as_it_is(callback: Callable[[bytes], None]) -> Callable[[bytes], None]:
    return callback


def stdio_opener(
    server: StdioServer,
    call_after_drain: Callable[[Callable[[], None]], None] = _at_once,
    drain_after: Callable[[Callable[[bytes], None]], Callable[[bytes], None]] = _as_it_is,
    withheld: Callable[[], Iterable[str]] = tuple,
    limit: int = MAX_FRAME,
) -> OpenLink:
    """An ``OpenLink`` that starts the server's process.

    Args:
        server: what to start.
        call_after_drain: runs an action a little later on the loop: what is sent until then is written as one.
        drain_after: makes a callback of the loop at whose end what it has told is handled.
        withheld: says, at each start, which variables of dmcp's environment are for other servers only.
        limit: bytes of one message of the server.
    """

    async def open_link(events: LinkEvents) -> Link:
        env = server_environment(server, os.environ, withheld(), sys.platform)
        link = StdioLink(events, call_after_drain, drain_after, limit)
        link.attach(await spawn(Start(server.command, server.args, env, server.cwd), link))
        return link

    return open_link


class StdioLink:
    """A ``Link`` to a child process. The process tells it what happens (``ProcessEvents``)."""

    def __init__(
        self,
        events: LinkEvents,
        call_after_drain: Callable[[Callable[[], None]], None] = _at_once,
        drain_after: Callable[[Callable[[bytes], None]], Callable[[bytes], None]] = _as_it_is,
        limit: int = MAX_FRAME,
    ) -> None:
        self._events = events
        self.on_stdout = drain_after(self._on_stdout)
        self._after_turn = call_after_drain
        self._limit = limit
        self._process: Process | None = None
        self._unsent: list[bytes] = []
        self._frames = LineSplitter(limit)
        self._lines: deque[bytes | None] = deque()  # arrived and not handed on yet
        self._held = False  # the owner has asked to wait
        self._noise = 0  # lines of this portion that are no messages
        self._noise_text = ""  # the first of them
        self._stderr = StderrTail(events.on_stderr)
        self._stdout_eof = False  # stdout has ended
        self._stderr_eof = False  # stderr has ended
        self._exited = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<StdioLink pid={self.pid} exited={self._exited.is_set()}>"

    def attach(self, process: Process) -> None:
        """Take the process that has been started; it may have said something already."""
        self._process = process
        # No buffer below which a write may wait for the loop's next turn (uvloop does that).
        if not process.stdin.is_closing():  # it is when the process has ended already
            process.stdin.set_write_buffer_limits(high=0)
        self._update_reading()

    # ProcessEvents ------------------------------------------------------------------------------------------------

    def _on_stdout(self, data: bytes) -> None:
        if self._closed:
            return
        # Counting is slow, and the end of a large message needs none: its line feed is the last byte.
        if (
            len(data) > _LARGE
            and _LARGE < len(data) - data.find(b"\n") <= len(data)
            and data.count(b"\n") > _PORTION
        ):
            # Blank lines mean nothing, and a chunk may hold a million: long runs of them first, which is much faster.
            for run in (b"\n" * 64, b"\n" * 8, b"\n\n"):
                while run in data:
                    data = data.replace(run, b"\n")
        lines = self._frames.feed(data)
        if self._lines or self._held or len(lines) > _PORTION:
            self._lines += lines
            self._deliver_lines()
            return
        for line in lines:
            self._on_line(line)
        if self._noise:
            self._report_noise()

    def _deliver_lines(self) -> None:
        """Hand on a portion of what waits, and see to the rest when everybody else has had a turn."""
        lines = self._lines
        for _ in range(min(_PORTION, len(lines))):
            if self._held or self._closed:
                break
            self._on_line(lines.popleft())
        if self._noise:
            self._report_noise()
        self._update_reading()
        if self._closed:
            lines.clear()
        elif lines and not self._held:
            asyncio.get_running_loop().call_soon(self._deliver_lines)
        elif self._stdout_eof:
            self._end_soon()

    def _update_reading(self) -> None:
        """Read from the process if nothing that it wrote waits and the owner wants more."""
        if self._process is None or self._stdout_eof or self._process.stdout.is_closing():
            return
        wanted = not (self._held or self._lines)
        if wanted != self._process.stdout.is_reading():
            (self._process.stdout.resume_reading if wanted else self._process.stdout.pause_reading)()

    def _on_line(self, line: bytes | None) -> None:
        if self._closed:
            return
        if line is None:
            size = f"{self._limit / MIB:g} MiB" if self._limit >= MIB else f"{self._limit} bytes"
            reason = f"sent a message of more than {size} (limits.frame in its configuration raises that)"
            self._close(LinkFault(FaultKind.PROTOCOL, reason))
        elif (message := line if line[:1] == b"{" and line[-1:] == b"}" else message_in(line)) is not None:
            if self._noise:
                self._report_noise()
            self._events.on_frame(message)
        elif line.strip():
            self._noise += 1
            self._noise_text = self._noise_text or line[:_SHOWN].decode("utf-8", "replace")

    def _report_noise(self) -> None:
        """Tell of the lines of this portion that are no messages: all in one remark, for there may be many."""
        more = f" (and {self._noise - 1} more lines)" if self._noise > 1 else ""
        text, self._noise, self._noise_text = self._noise_text + more, 0, ""
        if not self._closed:
            self._events.on_noise(text)

    def on_stdout_end(self) -> None:
        if self._frames.pending and not self._closed:
            self._events.on_noise("half a line, and then the end of its output")
        self._stdout_eof = True
        self._end_soon()

    def on_stderr(self, data: bytes) -> None:
        self._stderr.feed(data)

    def on_stderr_end(self) -> None:
        self._stderr.end()
        self._stderr_eof = True
        if self._stdout_eof:
            self._end_soon()

    def on_stdin_end(self) -> None:
        self._end_soon()

    def on_exit(self) -> None:
        self._exited.set()
        self._end_soon()

    def _end_soon(self) -> None:
        if self._closed:
            return
        if self._stdout_eof and self._stderr_eof and self._exited.is_set():
            self._report_end()
        elif self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(_EXIT_GRACE, self._report_end)

    def _report_end(self) -> None:
        self._ending = None
        if self._lines:
            return  # what it said before comes first; _hand_on comes back to this
        if self._exited.is_set():
            reason = category = processes.describe_exit(
                self._process.status if self._process is not None else None
            )
        else:
            end = "output" if self._stdout_eof else "input"
            reason, category = f"closed its {end} while still running", ""
        self._close(LinkFault(FaultKind.EXITED, reason, category=category))

    def _close(self, fault: LinkFault) -> None:
        if self._ending is not None:
            self._ending.cancel()
        if not self._closed:
            self._closed = True
            self._events.on_closed(fault)

    # Link ---------------------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        return self._process.stdin.get_write_buffer_size() if self._process is not None else 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """See ``Link``. What is kept for a server that does not read its owner limits, by ``backlog``."""
        del request_id
        self._unsent += (frame, b"\n")
        if len(self._unsent) == 2:  # noqa: PLR2004 - the first frame of this turn
            self._after_turn(self._flush)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        process = self._process
        if process is None or self._closed or process.stdin.is_closing():
            return
        process.stdin.writelines(unsent)

    def abandon(self, request_id: int) -> None:
        """See ``Link``: there is only one stream."""

    def established(self, revision: str) -> None:
        """See ``Link``: no header to set."""

    def pause(self) -> None:
        self._held = True
        self._update_reading()

    def resume(self) -> None:
        self._held = False
        if self._lines:
            asyncio.get_running_loop().call_soon(self._deliver_lines)
        self._update_reading()

    def stderr_tail(self) -> Sequence[str]:
        return self._stderr.tail()

    async def activity(self) -> Activity:
        pid = self.pid
        cpu, io = await off_loop(lambda: session_activity(pid)) if pid is not None else (0.0, 0)
        return Activity(cpu, io, self._stderr.total)

    async def aclose(self, grace: float) -> None:
        """Close stdin, wait, SIGTERM to the group, wait, SIGKILL to the group. See ``Link``."""
        self._closed = True
        self._lines.clear()
        process = self._process
        if self._ending is not None:
            self._ending.cancel()
        if process is None:
            return
        process.stdin.close()
        try:
            if not await self._is_over(process, grace):
                await _signal(process.pid, kill=False)
                if not await self._is_over(process, grace):
                    await _signal(process.pid, kill=True)
                    await self._is_over(process, grace)
        finally:
            # Also when cancelled in the middle of the ladder: nothing is left running.
            if not self._exited.is_set() or processes.is_group_alive(process.pid):
                processes.signal_group(process.pid, kill=True)
            GUARD.ended(process.pid)
            process.close()

    async def _is_over(self, process: Process, timeout: float) -> bool:  # noqa: ASYNC109 - returned, not raised
        """Return whether the whole group ends within so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._exited.wait()
        except TimeoutError:
            return False
        while processes.is_group_alive(process.pid):  # grandchildren are not ours to wait for: look again
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_POLL)
        return True


async def _signal(pid: int, *, kill: bool) -> None:
    if sys.platform == "win32":  # another program does it there
        await off_loop(lambda: processes.signal_group(pid, kill=kill))
    else:
        processes.signal_group(pid, kill=kill)


_CUT = " [...]"


class StderrTail:
    """The last lines of a byte stream. A line that is too long is cut at once: its rest is never held in memory.

    Args:
        on_line: called with each line as it is complete.

    Attributes:
        total: bytes there have been.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._kept: deque[str] = deque()
        self._size = 0
        self.total = 0
        self._part = bytearray()
        self._cut = False

    def __repr__(self) -> str:
        return f"<Diagnostics {len(self._kept)} lines, {self._size} characters>"

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._append(line)
            self._finish()
        self._append(rest)

    def end(self) -> None:
        """Take the end of the stream: a last line without its ending counts."""
        if self._part:
            self._finish()

    def tail(self) -> tuple[str, ...]:
        """Return the lines that are kept, oldest first."""
        return tuple(self._kept)

    def _append(self, part: bytes) -> None:
        room = MAX_STDERR_LINE - len(self._part)
        self._cut = self._cut or len(part) > room
        self._part += part[:room]

    def _finish(self) -> None:
        text = self._part.decode("utf-8", "replace").rstrip("\r") + (_CUT if self._cut else "")
        self._part.clear()
        self._cut = False
        self._kept.append(text)
        self._size += len(text)
        while len(self._kept) > MAX_STDERR_LINES or self._size > MAX_STDERR:
            self._size -= len(self._kept.popleft())
        self._on_line(text)


_SESSION: Final = 3  # fields of /proc/PID/stat behind the name (proc_pid_stat(5)), counted from the state
_TIMES: Final = slice(11, 15)  # its own user and system time, and that of children it has waited for
_COUNTED: Final = (b"wchar:", b"read_bytes:")


def session_activity(session: int) -> tuple[float, int]:
    """Return the seconds of processor time and the bytes read and written by all processes of a session."""
    if not sys.platform.startswith("linux"):
        return 0.0, 0
    ticks = io = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names
        if not name.isdecimal():
            continue
        fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
        if len(fields) < _TIMES.stop or int(fields[_SESSION]) != session:
            continue
        ticks += sum(map(int, fields[_TIMES]))
        for line in _read(f"/proc/{name}/io").splitlines():
            label, _, number = line.partition(b" ")
            io += int(number) if label in _COUNTED else 0
    return ticks / os.sysconf("SC_CLK_TCK"), io


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - likewise
            return file.read()
    except OSError:  # it has ended, or is somebody else's
        return b""
