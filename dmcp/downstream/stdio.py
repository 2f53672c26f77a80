"""dmcp's own standard input and output: where the client is.

Pipes and sockets are handled by the loop. Anything else (a file, a terminal, Windows) is read and written by a
thread each, because an event loop cannot wait for it. Only this module touches stdin and stdout.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from dmcp.downstream.first_answer import is_pipe
from dmcp.pipes import enlarge_pipe
from dmcp.protocol.frames import LineSplitter
from dmcp.protocol.limits import MAX_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HIGH_WATER: Final = 4 * 1024 * 1024
"""Bytes the client may leave unread before dmcp stops reading, from it and from the servers."""

_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere POLLHUP says this too
_HANGUP_POLL = 1.0  # seconds between two looks whether a client that does not read has closed stdin meanwhile
_CHUNK = 256 * 1024
_PORTION = 64  # lines handed on before everybody else has a turn


class Downstream:
    """Reads the client's lines and writes dmcp's.

    Args:
        on_frames: called on the loop with the lines that have arrived; ``None`` stands for one over 64 MiB.
        on_gone: called on the loop: with True when the client has closed stdin, with False when it no longer reads
            stdout; once each at most, and nothing follows the latter.
        on_writable: called on the loop with False when the client does not keep up, with True when it does again.
        call_after_drain: runs an action a little later on the loop: what is written until then goes out as one.
        drain_after: makes a callback of the loop at whose end what it has told is handled.
        received: what has been read already.
    """

    def __init__(
        self,
        on_frames: Callable[[tuple[bytes | None, ...]], None],
        on_gone: Callable[[bool], None],
        on_writable: Callable[[bool], None],
        call_after_drain: Callable[[Callable[[], None]], None],
        *,
        drain_after: Callable[[Callable[[bytes], None]], Callable[[bytes], None]],
        received: bytes = b"",
    ) -> None:
        self._on_frames = on_frames
        self._on_gone = on_gone
        self._on_writable = on_writable
        self._after_turn = call_after_drain
        self.received = drain_after(self._on_received)
        self._received = received
        self._unsent: list[bytes | memoryview] = []
        self._full = False
        self._splitter = LineSplitter(MAX_FRAME)
        self._lines: deque[bytes | None] = deque()  # arrived and not handed on yet
        self._congested = False  # the client does not take its answers
        self._held = False  # one of its messages is being worked on
        self._paused = False  # one of the two: no more of its lines are handed on
        self._ended = False  # nothing will arrive any more
        self._delivering = False  # the next portion is on its way
        self._hung_up = (
            False  # the client has left: what is left to read is little, and its end has to be seen
        )
        self._reader: asyncio.ReadTransport | None = None
        self._may_read = threading.Event()  # for the reading thread, where there is no transport to pause
        self._may_read.set()
        self._writer: asyncio.WriteTransport | _ThreadWriter
        self._hangup_timer: asyncio.TimerHandle | None = None
        self._gone = False  # has closed stdin
        self._stdout_closed = False  # no longer reads stdout
        self._flushed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Downstream gone={self._gone} stdout_closed={self._stdout_closed}>"

    async def open(self) -> None:
        """Start reading and writing."""
        loop = asyncio.get_running_loop()
        stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
        if is_pipe(stdout.fileno()):
            enlarge_pipe(stdout.fileno())
            self._writer, _ = await loop.connect_write_pipe(lambda: _WriteSide(self), stdout)
            # No buffer below which a write may wait for the loop's next turn (uvloop does that).
            self._writer.set_write_buffer_limits(high=0)
        else:
            self._writer = _ThreadWriter(stdout.fileno(), self)
        if self._received:
            self._on_received(self._received)
            self._received = b""
        if is_pipe(stdin.fileno()):
            enlarge_pipe(stdin.fileno())
            self._reader, _ = await loop.connect_read_pipe(lambda: _ReadSide(self), stdin)
        else:
            threading.Thread(target=self._read_in_thread, args=(stdin.fileno(), loop), daemon=True).start()

    def write(self, frame: bytes) -> None:
        """Send one frame. On the loop; never blocks."""
        self._unsent += (frame, b"\n")
        if len(self._unsent) == 2:  # noqa: PLR2004 - the first frame of this turn
            self._after_turn(self._flush)

    def write_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send one frame that is given in parts. Large ones are not copied."""
        if not self._unsent:
            self._after_turn(self._flush)
        self._unsent += (*parts, b"\n")

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not unsent or self._writer.is_closing():
            return
        self._writer.writelines(unsent)
        if not self._full and self._writer.get_write_buffer_size() > HIGH_WATER:
            self._full = True
            self._writable(False)

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109 - what is left then is thrown away, not raised
        """Write out what is buffered, for so many seconds at most, and stop reading."""
        self._flush()
        self._stop_hangup_timer()
        if self._reader is not None:
            self._reader.close()
        self._writer.close()
        try:
            async with asyncio.timeout(timeout):
                await self._flushed.wait()
        except TimeoutError:
            if not isinstance(self._writer, _ThreadWriter):
                self._writer.abort()

    # Called by the two sides --------------------------------------------------------------------------------------

    def _on_received(self, data: bytes) -> None:
        """Bytes of the client."""
        lines = self._splitter.feed(data)
        if self._lines or self._paused or len(lines) > _PORTION:
            self._lines += lines
            self._update_reading()
            self._deliver_lines_soon()
        elif lines:
            self._on_frames(tuple(lines))

    def ended(self) -> None:
        """Take note that the client has closed stdin. A last line without a line feed counts."""
        if self._ended:
            return
        self._ended = True
        self._lines += self._splitter.feed(b"\n") if self._splitter.pending else []
        self._deliver_lines()

    def _deliver_lines_soon(self) -> None:
        if not self._delivering and (self._lines or self._ended) and (self._ended or not self._paused):
            self._delivering = True
            asyncio.get_running_loop().call_soon(self._deliver_lines)

    def _deliver_lines(self) -> None:
        """Hand on a portion of what waits, and see to the rest when everybody else has had a turn."""
        self._delivering = False
        lines = self._lines
        if lines and (self._ended or not self._paused):
            self._on_frames(tuple(lines.popleft() for _ in range(min(_PORTION, len(lines)))))
        if lines:
            self._deliver_lines_soon()
        elif self._ended and not self._gone:
            self._gone = True
            self._on_gone(True)
        else:
            self._update_reading()

    def _update_reading(self) -> None:
        """Read on if nothing waits that has been read and the client takes its answers."""
        wanted = self._hung_up or not (self._paused or self._lines)
        reader = self._reader
        if (
            reader is not None
            and not self._ended
            and not reader.is_closing()
            and wanted != reader.is_reading()
        ):
            (reader.resume_reading if wanted else reader.pause_reading)()
        (self._may_read.set if wanted else self._may_read.clear)()

    def drained(self) -> None:
        """Take note that the client has read all there was."""
        if self._full:
            self._full = False
            self._writable(True)

    def hold(self, hold: bool) -> None:
        """Hand on nothing more of the client, or go on: a large message of its is being read. On the loop."""
        self._held = hold
        self._set_paused()

    def _writable(self, writable: bool) -> None:
        self._congested = not writable
        self._set_paused()
        self._on_writable(writable)

    def _set_paused(self) -> None:
        self._stop_hangup_timer()
        self._paused = self._congested or self._held
        self._update_reading()
        if not self._paused:
            self._deliver_lines_soon()
        elif self._reader is not None and not self._reader.is_closing():
            self._poll_hangup(self._reader)

    def _poll_hangup(self, reader: asyncio.ReadTransport) -> None:
        """Who does not read does not notice the end. A client that has left writes no more: the rest fits the pipe."""
        if _has_hung_up(sys.stdin.fileno()):
            self._hung_up = True
            self._update_reading()
        else:
            again = asyncio.get_running_loop().call_later
            self._hangup_timer = again(_HANGUP_POLL, self._poll_hangup, reader)

    def _stop_hangup_timer(self) -> None:
        if self._hangup_timer is not None:
            self._hangup_timer.cancel()
            self._hangup_timer = None

    def write_side_closed(self) -> None:
        """Everything is written, or cannot be."""
        self._flushed.set()
        if not self._stdout_closed:
            self._gone = self._stdout_closed = True
            self._on_gone(False)

    def _received_from_thread(self, chunk: bytes) -> None:
        self.received(chunk)
        self._update_reading()

    def _read_in_thread(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own, which may be left waiting for input when the process ends."""
        try:
            while self._may_read.wait() and (chunk := os.read(fd, _CHUNK)):
                self._may_read.clear()  # else it would read a large file faster than the loop takes it
                loop.call_soon_threadsafe(self._received_from_thread, chunk)
            loop.call_soon_threadsafe(self.ended)
        except OSError:
            loop.call_soon_threadsafe(self.ended)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more


def _has_hung_up(fd: int) -> bool:
    """Return whether the other end of a pipe or socket is closed, or closed for writing."""
    if sys.platform == "win32":
        return False  # nobody asks: the loop reads no pipes there
    poll = select.poll()
    poll.register(fd, select.POLLHUP | _HALF_CLOSED)
    return bool(poll.poll(0))


class _ReadSide(asyncio.Protocol):
    def __init__(self, owner: Downstream) -> None:
        self._owner = owner
        self.data_received = owner.received  # type: ignore[method-assign,assignment]  # nothing stands between

    def eof_received(self) -> None:
        self._owner.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._owner.ended()


class _WriteSide(asyncio.Protocol):
    def __init__(self, owner: Downstream) -> None:
        self._owner = owner

    def resume_writing(self) -> None:
        self._owner.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._owner.write_side_closed()


class _ThreadWriter:
    """Writes to a file descriptor the loop cannot wait for."""

    def __init__(self, fd: int, owner: Downstream) -> None:
        self._fd = fd
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._frames: deque[bytes | None] = deque()
        self._size = 0
        self._closing = False
        self._wake = threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, frame: bytes) -> None:
        self._size += len(frame)
        self._frames.append(frame)
        self._wake.release()

    def writelines(self, frames: list[bytes | memoryview]) -> None:
        self.write(b"".join(frames))

    def get_write_buffer_size(self) -> int:
        return self._size

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._frames.append(None)
        self._wake.release()

    def _run(self) -> None:
        try:
            while True:
                self._wake.acquire()
                frame = self._frames.popleft()
                if frame is None:
                    break
                view = memoryview(frame)
                while view:
                    view = view[os.write(self._fd, view) :]
                self._loop.call_soon_threadsafe(self._written, len(frame))
            self._loop.call_soon_threadsafe(self._owner.write_side_closed)
        except OSError:
            self._loop.call_soon_threadsafe(self._owner.write_side_closed)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _written(self, size: int) -> None:
        self._size -= size
        if self._size == 0:
            self._owner.drained()
