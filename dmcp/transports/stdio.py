"""The stdio transport: a server dmcp starts itself and talks to over its standard input and output.

Pipes are read and written through protocol callbacks, not awaited streams, which cost several times as much.
A line is a frame if it could be a JSON object or array; everything else on stdout is noise.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from dmcp.errors import LinkRefused
from dmcp.protocol.environment import server_environment
from dmcp.protocol.frames import LineSplitter
from dmcp.protocol.limits import MAX_FRAME
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.transports import processes
from dmcp.transports.pipes import widen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dmcp.config.model import StdioServer
    from dmcp.protocol.link import Link, LinkEvents, OpenLink

STDERR_LINES: Final = 100
"""Lines of diagnostics kept for each server."""

_MAX_STDERR_LINE = 64 * 1024  # bytes; longer lines are cut out of the ring
_SHOWN = 200  # characters of a noise line that reach the log
_LAST_WORDS = 0.5  # seconds the rest of an ending process gets: its status, and what it still has to say
_POLL = 0.02  # seconds between looks at a process group that should end


def _at_once(action: Callable[[], None]) -> None:
    action()


def stdio_opener(
    server: StdioServer,
    after_turn: Callable[[Callable[[], None]], None] = _at_once,
    withheld: Callable[[], Iterable[str]] = tuple,
) -> OpenLink:
    """An ``OpenLink`` that starts the server's process.

    Args:
        server: what to start.
        after_turn: runs an action a little later on the loop: what is sent until then is written as one.
        withheld: says, at each start, which variables of dmcp's environment are for other servers only.
    """

    async def open_link(events: LinkEvents) -> Link:
        env = server_environment(server, os.environ, withheld(), sys.platform)
        command = processes.resolve_command(server.command, env, server.cwd)
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.subprocess_exec(
                lambda: StdioLink(events, after_turn),
                command,
                *server.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=env,
                cwd=server.cwd,
                **processes.group_options(),
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in an argument
            raise LinkRefused(f"the command {server.command} could not be started: {error}") from None
        return link

    return open_link


class StdioLink(asyncio.SubprocessProtocol):
    """A ``Link`` to a child process."""

    def __init__(
        self, events: LinkEvents, after_turn: Callable[[Callable[[], None]], None] = _at_once
    ) -> None:
        self._events = events
        self._after_turn = after_turn
        self._unsent: list[bytes] = []
        self._transport: asyncio.SubprocessTransport
        self._stdin: asyncio.WriteTransport
        self._stdout: asyncio.ReadTransport
        self._frames = LineSplitter(MAX_FRAME)
        self._stderr = LineSplitter(_MAX_STDERR_LINE)
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._silent = False  # stdout has ended
        self._mute = False  # stderr has ended
        self._exited = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self._closed = False
        self._pid = 0

    def __repr__(self) -> str:
        return f"<StdioLink pid={self._pid} exited={self._exited.is_set()}>"

    # asyncio.SubprocessProtocol -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has been started."""
        # Casts, because asyncio declares the base classes and uvloop's transports do not inherit from them.
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pid = self._transport.get_pid() or 0
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        self._stdout = cast("asyncio.ReadTransport", self._transport.get_pipe_transport(1))
        # No buffer below which a write may wait for the loop's next turn (uvloop does that).
        if not self._stdin.is_closing():  # it is when the process has ended already
            self._stdin.set_write_buffer_limits(high=0)
        for pipe in (self._stdin, self._stdout):
            file = pipe.get_extra_info("pipe")
            if file is not None:
                widen(file.fileno())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """The process wrote something."""
        if fd == 1:
            for line in self._frames.feed(data):
                self._on_line(line)
        else:
            self._on_stderr_lines(self._stderr.feed(data))

    def _on_line(self, line: bytes | None) -> None:
        if self._closed:
            return
        if line is None:
            self._close(LinkFault(FaultKind.PROTOCOL, "sent a message of more than 64 MiB"))
        elif line.lstrip()[:1] in (b"{", b"["):
            self._events.on_frame(line)
        elif line.strip():
            self._events.on_noise(line[:_SHOWN].decode("utf-8", "replace"))

    def _on_stderr_lines(self, lines: list[bytes | None]) -> None:
        for line in lines:
            text = (
                "(a line too long to keep)" if line is None else line.decode("utf-8", "replace").rstrip("\r")
            )
            self._tail.append(text)
            self._events.on_stderr(text)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """The process closed one of its ends."""
        del exc
        if fd == 1:
            if self._frames.pending and not self._closed:
                self._events.on_noise("half a line, and then the end of its output")
            self._silent = True
            self._end_soon()
        elif fd == 2:  # noqa: PLR2004 - stderr
            if self._stderr.pending:
                self._on_stderr_lines(self._stderr.feed(b"\n"))
            self._mute = True
            if self._silent:
                self._end_soon()

    def process_exited(self) -> None:
        """The process has ended; what it wrote before may still be on its way."""
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
        if self._exited.is_set():
            reason = processes.how_it_ended(self._transport.get_returncode())
        else:
            reason = "closed its output while still running"
        self._close(LinkFault(FaultKind.EXITED, reason))

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
        return self._stdin.get_write_buffer_size()

    @property
    def pid(self) -> int | None:
        """See ``Link``."""
        return self._pid

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """See ``Link``."""
        del request_id
        self._unsent += (frame, b"\n")
        if len(self._unsent) == 2:  # noqa: PLR2004 - the first frame of this turn
            self._after_turn(self._flush)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self._closed and not self._stdin.is_closing():
            self._stdin.writelines(unsent)

    def abandon(self, request_id: int) -> None:
        """See ``Link``: there is only one stream."""

    def established(self, revision: str) -> None:
        """See ``Link``: no header to set."""

    def pause(self) -> None:
        """See ``Link``."""
        if not self._silent and self._stdout.is_reading():
            self._stdout.pause_reading()

    def resume(self) -> None:
        """See ``Link``."""
        if not self._silent and not self._stdout.is_reading():
            self._stdout.resume_reading()

    def stderr_tail(self) -> Sequence[str]:
        """See ``Link``."""
        return tuple(self._tail)

    async def aclose(self, grace: float) -> None:
        """Close stdin, wait, SIGTERM to the group, wait, SIGKILL to the group. See ``Link``."""
        self._closed = True
        if self._ending is not None:
            self._ending.cancel()
        self._stdin.close()
        try:
            if not await self._is_over(grace):
                processes.signal_group(self._pid, kill=False)
                if not await self._is_over(grace):
                    processes.signal_group(self._pid, kill=True)
                    await self._is_over(grace)
        finally:
            # Also when cancelled in the middle of the ladder: nothing is left running.
            if not self._exited.is_set() or processes.is_group_alive(self._pid):
                processes.signal_group(self._pid, kill=True)
            self._transport.close()

    async def _is_over(self, patience: float) -> bool:
        """Whether the whole group ends within so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        try:
            async with asyncio.timeout_at(deadline):
                await self._exited.wait()
        except TimeoutError:
            return False
        while processes.is_group_alive(self._pid):  # grandchildren are not ours to wait for: look again
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_POLL)
        return True
