"""The answer to ``initialize``, given while the rest of dmcp is still being imported.

It depends on nothing but the request, and importing what serves takes several times as long as importing this. Only a
plain pipe or socket is looked at, and it is never waited for: what is no ``initialize``, or not there yet, is left to
the frontend with everything that was read. From the answer on signals wait until there is a loop that handles them.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dmcp.errors import DownstreamError
from dmcp.protocol import jsonrpc, wire
from dmcp.protocol.eras.handshake import Initialize, ServerSession
from dmcp.protocol.limits import KIB

if TYPE_CHECKING:
    from typing import TextIO

_MOST: Final = 64 * KIB  # bytes; no client's initialize is longer


class FirstAnswer:
    """Looks at what the client has sent, until it has sent a line.

    Args:
        stdin: where the client writes, if it is open.
        stdout: where it reads, likewise.

    Attributes:
        session: with the client; not initialized while that is left to the frontend.
        received: what the client has sent and nobody has handled yet.
    """

    def __init__(self, stdin: TextIO | None, stdout: TextIO | None) -> None:
        self.session = ServerSession()
        self.received = b""
        self._looking = False
        self._in = self._out = -1
        if sys.platform == "win32" or stdin is None or stdout is None:
            return
        with suppress(OSError, ValueError):  # a stream is closed, or none of a file
            self._in, self._out = stdin.fileno(), stdout.fileno()
            self._looking = is_pipe(self._in) and is_pipe(self._out) and os.get_blocking(self._out)

    def __repr__(self) -> str:
        return f"<FirstAnswer {self.session!r}, {len(self.received)} bytes left>"

    def look(self) -> None:
        """Read what is there, and answer it if it is a whole ``initialize``. Never waits."""
        while self._looking and _is_ready(self._in):
            data = b""
            with suppress(OSError):
                data = os.read(self._in, _MOST)
            self.received += data
            line, end, rest = self.received.partition(b"\n")
            if not data or end or len(self.received) >= _MOST:
                self._looking = False  # the end of the input is seen again by who reads on
            if end and self._answer(line):
                self.received = rest

    def _answer(self, line: bytes) -> bool:
        """Return whether the line was an ``initialize``, and has been answered."""
        if len(line) > _MOST or not _is_ready(self._out, writing=True):
            return False
        message = jsonrpc.read(line)
        if not isinstance(message, jsonrpc.Request):
            return False
        session = ServerSession()
        try:
            operation = session.read(message.method, message.params).operation
            if not isinstance(operation, Initialize):
                return False
            result = session.initialize(operation.params)
        except DownstreamError:
            return False
        _hold_signals(hold=True)
        answer = memoryview(jsonrpc.result(message.id, wire.encode(result)) + b"\n")
        with suppress(OSError):  # the client has left, which who reads on will see
            while answer:
                answer = answer[os.write(self._out, answer) :]
        self.session = session
        return True


def release_signals() -> None:
    """Have the signals that have come meanwhile delivered now."""
    _hold_signals(hold=False)


def _hold_signals(*, hold: bool) -> None:
    if sys.platform != "win32":
        held = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        signal.pthread_sigmask(signal.SIG_BLOCK if hold else signal.SIG_UNBLOCK, held)


def is_pipe(number: int) -> bool:
    """Return whether a descriptor is a pipe or socket that a loop can wait for."""
    mode = os.fstat(number).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def _is_ready(number: int, *, writing: bool = False) -> bool:
    if sys.platform == "win32":
        return False
    poll = select.poll()
    poll.register(number, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(0))
