"""The stdio transport: a server dmcp starts itself and talks to over its standard input and output.

Pipes are read and written through protocol callbacks, not awaited streams, which cost several times as much.
A line is a frame if it could be a JSON object or array, with nothing but terminal control around it; everything else on
stdout is noise. What one chunk brings is
handed on in portions, with a turn for everybody else between two: a server that writes flat out is read no faster than
it is served.
Starting the process is in ``spawning``, ending it in ``processes``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from dmcp.protocol.environment import server_environment
from dmcp.protocol.frames import LineSplitter
from dmcp.protocol.limits import MAX_FRAME, MIB
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.protocol.noise import message_in
from dmcp.protocol.timing import Activity
from dmcp.upstream import processes
from dmcp.upstream.activity import of_session
from dmcp.upstream.diagnostics import Diagnostics
from dmcp.upstream.guard import GUARD
from dmcp.upstream.spawning import Start, off_loop, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dmcp.config.model import StdioServer
    from dmcp.protocol.link import Link, LinkEvents, OpenLink
    from dmcp.upstream.spawning import Process

_PORTION: Final = 256  # lines handed on before everybody else has a turn
_LARGE = 4096  # bytes of a chunk that may hold more
_SHOWN = 200  # characters of a noise line that reach the log
_LAST_WORDS = 0.5  # seconds the rest of an ending process gets: its status, and what it still has to say
_POLL = 0.02  # seconds between looks at a process group that should end


def _at_once(action: Callable[[], None]) -> None:
    action()


def stdio_opener(
    server: StdioServer,
    after_turn: Callable[[Callable[[], None]], None] = _at_once,
    withheld: Callable[[], Iterable[str]] = tuple,
    limit: int = MAX_FRAME,
) -> OpenLink:
    """An ``OpenLink`` that starts the server's process.

    Args:
        server: what to start.
        after_turn: runs an action a little later on the loop: what is sent until then is written as one.
        withheld: says, at each start, which variables of dmcp's environment are for other servers only.
        limit: bytes of one message of the server.
    """

    async def open_link(events: LinkEvents) -> Link:
        env = server_environment(server, os.environ, withheld(), sys.platform)
        link = StdioLink(events, after_turn, limit)
        link.attach(await spawn(Start(server.command, server.args, env, server.cwd), link))
        return link

    return open_link


class StdioLink:
    """A ``Link`` to a child process. The process tells it what happens (``ProcessEvents``)."""

    def __init__(
        self,
        events: LinkEvents,
        after_turn: Callable[[Callable[[], None]], None] = _at_once,
        limit: int = MAX_FRAME,
    ) -> None:
        self._events = events
        self._after_turn = after_turn
        self._limit = limit
        self._process: Process | None = None
        self._unsent: list[bytes] = []
        self._frames = LineSplitter(limit)
        self._lines: deque[bytes | None] = deque()  # arrived and not handed on yet
        self._held = False  # the owner has asked to wait
        self._noise = 0  # lines of this portion that are no messages
        self._noise_text = ""  # the first of them
        self._diagnostics = Diagnostics(events.on_stderr)
        self._silent = False  # stdout has ended
        self._mute = False  # stderr has ended
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
        self._regulate()

    # ProcessEvents ------------------------------------------------------------------------------------------------

    def on_stdout(self, data: bytes) -> None:
        """See ``ProcessEvents``."""
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
            self._hand_on()
            return
        for line in lines:
            self._on_line(line)
        if self._noise:
            self._tell_noise()

    def _hand_on(self) -> None:
        """Hand on a portion of what waits, and see to the rest when everybody else has had a turn."""
        lines = self._lines
        for _ in range(min(_PORTION, len(lines))):
            if self._held or self._closed:
                break
            self._on_line(lines.popleft())
        if self._noise:
            self._tell_noise()
        self._regulate()
        if self._closed:
            lines.clear()
        elif lines and not self._held:
            asyncio.get_running_loop().call_soon(self._hand_on)
        elif self._silent:
            self._end_soon()

    def _regulate(self) -> None:
        """Read from the process if nothing that it wrote waits and the owner wants more."""
        if self._process is None or self._silent or self._process.stdout.is_closing():
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
        elif line[:1] == b"{" and line[-1:] == b"}":  # as nearly every line is
            self._on_message(line)
        elif (message := message_in(line)) is not None:
            self._on_message(message)
        elif line.strip():
            self._noise += 1
            self._noise_text = self._noise_text or line[:_SHOWN].decode("utf-8", "replace")

    def _on_message(self, frame: bytes) -> None:
        if self._noise:
            self._tell_noise()
        self._events.on_frame(frame)

    def _tell_noise(self) -> None:
        """Tell of the lines of this portion that are no messages: all in one remark, for there may be many."""
        more = f" (and {self._noise - 1} more lines)" if self._noise > 1 else ""
        text, self._noise, self._noise_text = self._noise_text + more, 0, ""
        if not self._closed:
            self._events.on_noise(text)

    def on_stdout_end(self) -> None:
        """See ``ProcessEvents``."""
        if self._frames.pending and not self._closed:
            self._events.on_noise("half a line, and then the end of its output")
        self._silent = True
        self._end_soon()

    def on_stderr(self, data: bytes) -> None:
        """See ``ProcessEvents``."""
        self._diagnostics.feed(data)

    def on_stderr_end(self) -> None:
        """See ``ProcessEvents``."""
        self._diagnostics.end()
        self._mute = True
        if self._silent:
            self._end_soon()

    def on_stdin_end(self) -> None:
        """See ``ProcessEvents``."""
        self._end_soon()

    def on_exit(self) -> None:
        """See ``ProcessEvents``."""
        self._exited.set()
        self._end_soon()

    def _end_soon(self) -> None:
        if self._closed:
            return
        if self._silent and self._mute and self._exited.is_set():
            self._report_end()
        elif self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(_LAST_WORDS, self._report_end)

    def _report_end(self) -> None:
        self._ending = None
        if self._lines:
            return  # what it said before comes first; _hand_on comes back to this
        if self._exited.is_set():
            reason = category = processes.how_it_ended(
                self._process.status if self._process is not None else None
            )
        else:
            end = "output" if self._silent else "input"
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
        """See ``Link``."""
        return self._process.stdin.get_write_buffer_size() if self._process is not None else 0

    @property
    def pid(self) -> int | None:
        """See ``Link``."""
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
        """See ``Link``."""
        self._held = True
        self._regulate()

    def resume(self) -> None:
        """See ``Link``."""
        self._held = False
        if self._lines:
            asyncio.get_running_loop().call_soon(self._hand_on)
        self._regulate()

    def stderr_tail(self) -> Sequence[str]:
        """See ``Link``."""
        return self._diagnostics.tail()

    async def activity(self) -> Activity:
        """See ``ShowsActivity``."""
        pid = self.pid
        cpu, io = await off_loop(lambda: of_session(pid)) if pid is not None else (0.0, 0)
        return Activity(cpu, io, self._diagnostics.total)

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

    async def _is_over(self, process: Process, patience: float) -> bool:
        """Whether the whole group ends within so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
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
