"""A process with its three pipes, started by a test and sure to be ended by it.

It cuts stdout into lines and collects stderr. What a line means is not known here.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from harness.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

WAIT: Final = 20.0  # seconds; far beyond what anything here takes, so that only a hang gets there
_CHUNK = 1 << 18


class Child:
    """A child process. An asynchronous context manager, on asyncio.

    Leaving the context closes stdin and waits for the end; a process that does not end within ``WAIT`` seconds is
    killed, with all of its own children, and the test fails.

    Attributes:
        stderr: what the process wrote there.
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
        self._process: asyncio.subprocess.Process | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.stderr = ""
        self.lines: list[bytes] = []
        self.ended = False
        self.loose_end = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pid={self._process and self._process.pid} lines={len(self.lines)}>"

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process, once it is started."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=self._env, cwd=self._cwd
        )
        self._pumps = [asyncio.create_task(self._read_stdout()), asyncio.create_task(self._read_stderr())]
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

    def on_line(self, line: bytes) -> None:
        """A line of stdout, without its end. For subclasses."""

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
            self.stderr += chunk.decode(errors="replace")
            self._news.set()
