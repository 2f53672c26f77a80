"""Serves over stdin and stdout. Threads do the reading and writing: they work with pipes, files and on every platform.

Not here: anything about what is read or written.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dmcp.fault.plan import FaultPoint
from dmcp.fault.steps import Send, paced
from dmcp.protocol.frames import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.fault.session import Session
    from dmcp.fault.steps import Process, Respond

_MAX_LINE = 256 * 1024 * 1024
_CHUNK = 65_536
_GRACE = 1.0
"""Seconds for requests in flight when the input ends."""


class Stdout:
    """The output over stdout. One message at a time; a client that does not read stops everybody."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, "stdout")
        self._open = True

    async def send(self, message: Send) -> None:
        # Shielded: a request that is cancelled must not leave its line unfinished.
        await asyncio.shield(asyncio.ensure_future(self._write_all(message)))

    async def noise(self, line: bytes) -> None:
        await self.send(Send(line))

    async def cut(self, *, abort: bool) -> None:  # noqa: ARG002 - a pipe ends in one way only
        async with self._turn:
            if self._open:
                self._open = False
                # Not os.close(1): the next file opened would become stdout.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.close(nowhere)

    async def respond(self, step: Respond) -> None:
        """See ``Output``."""

    async def _write_all(self, message: Send) -> None:
        async with self._turn:
            async for piece in paced(message.pieces(b"\n"), message.pause):
                if self._open:
                    self._open = await asyncio.get_running_loop().run_in_executor(self._writer, _write, piece)


def _write(piece: bytes) -> bool:
    """Write all of it; return whether the client is still there. Runs in the writing thread."""
    rest = memoryview(piece)
    while rest:
        try:
            rest = rest[os.write(1, rest) :]
        except OSError:
            return False
    return True


async def serve_stdio(process: Process, begin: Callable[[Stdout], Session]) -> None:
    """Serve the client at the other end of stdin and stdout until it leaves or a signal comes."""
    output, ended = Stdout(), asyncio.Event()
    process.on_signals(ended.set)
    session = begin(output)
    await session.reach(FaultPoint("connect"), output)
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def take(chunk: bytes) -> None:
        chunks.put_nowait(chunk)

    reader = threading.Thread(target=_read, args=(process, loop, take), name="stdin", daemon=True)
    reader.start()
    reading = asyncio.create_task(_dispatch(chunks, process, session, output))
    stopped = asyncio.create_task(ended.wait())
    await asyncio.wait([reading, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    reading.cancel()
    await process.awake()
    await session.reach(FaultPoint("shutdown"), output)
    await session.aclose(_GRACE if not ended.is_set() else 0.0)


def _read(process: Process, loop: asyncio.AbstractEventLoop, take: Callable[[bytes], None]) -> None:
    """Read until the end, unless the server is deaf. Runs in the reading thread."""
    while True:
        process.may_read.wait()
        try:
            chunk = os.read(0, _CHUNK)
        except OSError:
            chunk = b""
        try:
            loop.call_soon_threadsafe(take, chunk)
        except RuntimeError:  # the loop has ended
            return
        if not chunk:
            return


async def _dispatch(chunks: asyncio.Queue[bytes], process: Process, session: Session, output: Stdout) -> None:
    splitter, tasks = LineSplitter(_MAX_LINE), set[asyncio.Task[None]]()
    while chunk := await chunks.get():
        for line in splitter.feed(chunk):
            await process.awake()
            if line is not None and line.strip():
                task = asyncio.create_task(session.arrived(line, output))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
