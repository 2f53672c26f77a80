"""A real server behind the faults: its own process over stdio, one for each client session.

It forwards; it changes nothing and knows no method but the progress of a call, which goes where the call's answer goes.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dmcp.fault.server import OutgoingMessage
from dmcp.protocol import jsonrpc
from dmcp.protocol.eras import handshake
from dmcp.protocol.frames import LineSplitter

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence

_MAX_LINE: Final = 256 * 1024 * 1024
_GRACE: Final = 2.0
"""Seconds the server gets to end after its input has, and again after SIGTERM."""


class Wrapped:
    """A real server, for one client. It is started by the first message."""

    def __init__(
        self, command: Sequence[str], announce: Callable[[OutgoingMessage], None], gone: Callable[[int], None]
    ) -> None:
        """Set up; nothing is started yet.

        Args:
            command: the server and its arguments.
            announce: takes what it says of its own accord.
            gone: called with its exit status when it ends by itself; 127 when it cannot be started.
        """
        self._command = command
        self._announce = announce
        self._gone = gone
        self._child: Process | None = None
        self._backlog: list[bytes] = []
        self._calls: dict[bytes, asyncio.Queue[OutgoingMessage]] = {}
        self._tokens: dict[Any, bytes] = {}
        self._revision = ""
        self._life: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Wrapped {self._command[0]} calls={len(self._calls)}>"

    async def handle(self, call: jsonrpc.Request) -> AsyncIterator[OutgoingMessage]:
        messages: asyncio.Queue[OutgoingMessage] = asyncio.Queue()
        self._calls[call.id] = messages
        token = (call.params.get("_meta") or {}).get("progressToken")
        if isinstance(token, str | int):
            self._tokens[token] = call.id
        try:
            self._write(jsonrpc.request(call.id, call.method, call.params))
            while True:
                message = await messages.get()
                yield message
                if not message.method:
                    break
        finally:
            self._calls.pop(call.id, None)
            self._tokens.pop(token, None)

    def notified(self, note: jsonrpc.Notification) -> None:
        self._write(jsonrpc.notification(note.method, note.params or None))

    def answered(self, frame: bytes) -> None:
        self._write(frame)

    def takes_batches(self) -> bool:
        return handshake.allows_batches(self._revision)

    async def aclose(self) -> None:
        """End the server: close its input, then SIGTERM, then SIGKILL."""
        self._gone = _ignore
        child, life = self._child, self._life
        if child is not None:
            if child.stdin is not None:
                child.stdin.close()
            for end in (child.terminate, child.kill):
                with suppress(TimeoutError):
                    await asyncio.wait_for(child.wait(), _GRACE)
                    break
                with suppress(ProcessLookupError):
                    end()
            await child.wait()
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    def _write(self, frame: bytes) -> None:
        if self._life is None:
            self._life = asyncio.create_task(self._live())
        if self._child is None or self._child.stdin is None:
            self._backlog.append(frame)
        elif not self._child.stdin.is_closing():
            self._child.stdin.write(frame + b"\n")

    async def _live(self) -> None:
        """Start the server, and read what it says until it ends."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            sys.stderr.write(f"dmcp fault: {self._command[0]} cannot be started: {error.strerror}\n")
            self._gone(127)
            return
        self._child = child
        while self._backlog:
            self._write(self._backlog.pop(0))
        splitter, stdout = LineSplitter(_MAX_LINE), child.stdout
        while stdout is not None and (chunk := await stdout.read(65_536)):
            for line in splitter.feed(chunk):
                if line:
                    self._take(line.rstrip(b"\r"))
        self._gone(await child.wait())

    def _take(self, line: bytes) -> None:
        message = jsonrpc.read(line)
        match message:
            case jsonrpc.Response():
                if isinstance(message.value, dict) and "protocolVersion" in message.value:
                    self._revision = str(message.value["protocolVersion"])
                if message.id in self._calls:
                    self._calls[message.id].put_nowait(OutgoingMessage(line))
            case jsonrpc.Request():
                self._announce(OutgoingMessage(line, message.method))
            case jsonrpc.Notification():
                call = self._tokens.get(message.params.get("progressToken"), b"")
                if call in self._calls:
                    self._calls[call].put_nowait(OutgoingMessage(line, message.method))
                else:
                    self._announce(OutgoingMessage(line, message.method))


def _ignore(_status: int) -> None:
    """Take the end of the server, which is no news once it is asked for."""
