"""A process with its three pipes, started by a test and sure to be ended by it.

It cuts stdout into lines and collects stderr. What a line means is not known here.

In half of the tests, chosen by their names, nobody reads stderr until the test asks for it, as many a client never
does: a process that waits for its log to be read is found out. ``DMCP_TEST_STDERR`` ("read" or "unread") decides for
all.

In three of four tests, chosen likewise, a dmcp is forked (see ``forked``) and not started: that takes a quarter of the
time. ``DMCP_TEST_FORKED=no`` has all of them started.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import sys
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from harness.forked import ForkedProcess, is_possible
from harness.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

EVENTS: Final = {"DMCP_LOG": "debug", "DMCP_LOG_FORMAT": "json"}
"""Environment of a dmcp that logs everything as events."""

WAIT: Final = 20.0  # seconds; far beyond what anything here takes, so that only a hang gets there
_DMCP: Final = [sys.executable, "-m", "dmcp"]
_CHUNK = 1 << 18
_READS = 64  # chunks of stderr in one turn: who writes without end does not hold the test's loop


def leaves_stderr_unread() -> bool:
    """Return whether this test is of the half in which nobody reads stderr. It is the same one in every run."""
    if chosen := os.environ.get("DMCP_TEST_STDERR"):
        return chosen == "unread"
    return bool(_number_of_test() % 2)


def _number_of_test() -> int:
    test, _, _ = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")  # without "(setup)" or "(call)"
    return zlib.crc32(test.encode())


class Stderr:
    """The reading end of a process's stderr. Runs on the loop; nothing in it waits.

    Attributes:
        writer: the other end, for the process; close it once that is started.
        text: what was read so far.
        ended: set when the last writer has closed its end, if somebody reads by then.
    """

    def __init__(self, on_text: Callable[[], None]) -> None:
        self._reader, self.writer = os.pipe()
        if sys.platform != "win32":  # this class is not used there
            os.set_blocking(self._reader, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._on_text = on_text
        self._loop = asyncio.get_running_loop()
        self.is_read = False
        self.text = ""
        self.ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Stderr read={self.is_read} characters={len(self.text)}>"

    def read(self) -> None:
        """Read from now on."""
        if not self.is_read and self._reader >= 0:
            self.is_read = True
            self._loop.add_reader(self._reader, self.take)

    def pause(self) -> None:
        """Read nothing until ``read``."""
        if self.is_read and self._reader >= 0:
            self.is_read = False
            self._loop.remove_reader(self._reader)

    def take(self) -> None:
        """Take what has been written and not been read yet."""
        with suppress(BlockingIOError):
            for _ in range(_READS):
                if self._reader < 0:
                    return
                if not (chunk := os.read(self._reader, _CHUNK)):
                    self.close()
                    return
                self.text += self._decoder.decode(chunk)
                self._on_text()

    def close(self) -> None:
        """Stop reading; the text stays."""
        if self._reader >= 0:
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1
            self.ended.set()


class Child:
    """A child process. An asynchronous context manager, on asyncio.

    Leaving the context closes stdin and waits for the end; a process that does not end within ``WAIT`` seconds is
    killed, with all of its own children, and the test fails.

    Attributes:
        lines: the lines it wrote to stdout.
        ended: whether its stdout has ended.
        loose_end: what it wrote after its last line feed.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
    ) -> None:
        self._command = list(command)
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | ForkedProcess | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._stderr: Stderr | None = None
        self._collected = ""  # where asyncio reads the pipe
        self._events: list[dict[str, Any]] = []
        self._parsed = 0  # characters of stderr
        self.lines: list[bytes] = []
        self.ended = False
        self.loose_end = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pid={self._process and self._process.pid} lines={len(self.lines)}>"

    @property
    def process(self) -> asyncio.subprocess.Process | ForkedProcess:
        """Return the process, once it is started."""
        assert self._process is not None
        return self._process

    @property
    def output(self) -> asyncio.ReadTransport:
        """Return what its stdout is read with: to pause or to close it."""
        if isinstance(self.process, ForkedProcess):
            return self.process.output
        pipe: asyncio.ReadTransport = self.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]  # no public way to it
        return pipe

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid

    @property
    def stderr(self) -> str:
        """Return what the process wrote to stderr. From the first look on it is read as it arrives."""
        if self._stderr is None:
            return self._collected
        self._stderr.read()
        self._stderr.take()
        return self._stderr.text

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events a dmcp whose environment has ``EVENTS`` has written to stderr."""
        whole = self.stderr.rfind("\n") + 1
        for line in self.stderr[self._parsed : whole].splitlines():
            with suppress(ValueError):
                self._events.append(json.loads(line))
        self._parsed = max(self._parsed, whole)
        return self._events

    def leave_stderr_unread(self) -> None:
        """Read nothing of stderr until ``read_stderr`` or a look at ``stderr``. Not on Windows."""
        if self._stderr is not None:
            self._stderr.pause()

    def read_stderr(self) -> None:
        """Read stderr from now on."""
        if self._stderr is not None:
            self._stderr.read()

    def forget_stderr(self, keep: int) -> None:
        """Drop what was read from stderr, but for the last ``keep`` characters: for tests that run for long."""
        self._collected = self._collected[-keep:]
        if self._stderr is not None:
            self._stderr.text = self._stderr.text[-keep:]

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._stderr = self._open_stderr()
        try:
            if self._stderr is not None and self._can_be_forked():
                self._process = await ForkedProcess.start(
                    self._command[len(_DMCP) :], self._env, self._cwd, self._stderr.writer
                )
            else:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=pipe if self._stderr is None else self._stderr.writer,
                    env=self._env,
                    cwd=self._cwd,
                )
        except BaseException:
            if self._stderr is not None:
                self._stderr.close()
            raise
        finally:
            if self._stderr is not None:
                os.close(self._stderr.writer)
        self._pumps = [asyncio.create_task(self._read_stdout())]
        if self._stderr is None:
            self._pumps.append(asyncio.create_task(self._read_stderr()))
        elif not leaves_stderr_unread():
            self._stderr.read()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            if self._stderr is not None:
                self._stderr.take()
                self._stderr.close()

    def _can_be_forked(self) -> bool:
        is_dmcp = self._command[: len(_DMCP)] == _DMCP
        return is_dmcp and bool(_number_of_test() // 2 % 4) and is_possible(self._command, self._env)

    def _open_stderr(self) -> Stderr | None:
        # On Windows a pipe cannot be read without waiting: there asyncio reads it, always.
        return None if sys.platform == "win32" else Stderr(self._news.set)

    def write(self, raw: bytes) -> None:
        """Write these bytes to stdin and nothing else. Never blocks."""
        assert self.process.stdin is not None
        self.process.stdin.write(raw)

    async def drain(self, within: float = WAIT) -> None:
        """Wait until the process has taken most of what was written."""
        assert self.process.stdin is not None
        async with asyncio.timeout(within):
            await self.process.stdin.drain()

    async def close(self, within: float = WAIT) -> int:
        """Close stdin, as a client that leaves does, and wait for the end. Returns the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await self.exited(within)

    async def exited(self, within: float = WAIT) -> int:
        """Wait for the end of the process and of its output. Returns the exit status."""
        try:
            async with asyncio.timeout(within):
                status = await self.process.wait()
                await asyncio.gather(*self._pumps, return_exceptions=True)
                if self._stderr is not None and self._stderr.is_read:
                    await self._stderr.ended.wait()
        except TimeoutError:
            self._kill()
            await self.process.wait()
            raise AssertionError(f"did not end within {within} s; stderr: {self.stderr[-2000:]}") from None
        return status

    async def until(self, happened: Callable[[], bool], what: str, within: float = WAIT) -> None:
        """Wait for something that output of the process brings about.

        Raises:
            AssertionError: it did not happen in time, or cannot any more because the process has ended.
        """
        try:
            async with asyncio.timeout(within):
                while not happened():
                    assert not self.ended, f"the process ended, no {what}; stderr: {self.stderr[-2000:]}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {within} s; stderr: {self.stderr[-2000:]}") from None

    async def logged(self, text: str, within: float = WAIT) -> None:
        """Wait until this stands in what the process wrote to stderr: the log is written by a thread of its own."""
        await self.until(lambda: text in self.stderr, f"{text!r} in the log", within)

    async def event(self, name: str, within: float = WAIT, **fields: Any) -> dict[str, Any]:
        """Wait for an event of this type with these fields, and return the first one. See ``events``."""

        def found() -> Iterator[dict[str, Any]]:
            return (e for e in self.events if e.get("event") == name and fields.items() <= e.items())

        await self.until(lambda: any(found()), f"{name} with {fields}", within)
        return next(found())

    def on_line(self, line: bytes) -> None:
        """Take a line of stdout, without its end. For subclasses; runs on the loop."""

    def _kill(self) -> None:
        family = descendants(self.pid)
        self.process.kill()
        for process in family:
            with suppress(ProcessLookupError):
                process.kill()

    async def _read_stdout(self) -> None:
        assert self.process.stdout is not None
        parts: list[bytes] = []
        while chunk := await self.process.stdout.read(_CHUNK):
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                whole = b"".join([*parts, line])
                parts.clear()
                self.lines.append(whole)
                self.on_line(whole)
            parts.append(rest)
            self._news.set()
        self.loose_end = b"".join(parts)
        self.ended = True
        self._news.set()

    async def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        while chunk := await self.process.stderr.read(_CHUNK):
            self._collected += chunk.decode(errors="replace")
            self._news.set()
