"""What a server writes to stderr: cut into lines for the log, and the last of it kept, within bounds. No I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from dmcp.protocol.limits import MAX_STDERR, MAX_STDERR_LINE, MAX_STDERR_LINES

if TYPE_CHECKING:
    from collections.abc import Callable

_CUT = " [...]"


class Diagnostics:
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
            self._hold(line)
            self._finish()
        self._hold(rest)

    def end(self) -> None:
        """Take the end of the stream: a last line without its ending counts."""
        if self._part:
            self._finish()

    def tail(self) -> tuple[str, ...]:
        """Return the lines that are kept, oldest first."""
        return tuple(self._kept)

    def _hold(self, part: bytes) -> None:
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
