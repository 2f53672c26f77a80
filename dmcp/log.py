"""Logging: one line an event on stderr, the server's name on each, no secret ever, and nobody waits for it.

A dmcp that serves gives its lines to a thread of the log's own (``serve``): a standard error that nobody reads, or
that is slow, stops nothing. What waits is bounded; what does not fit is dropped and counted, and the count is said
when there is room again. ``sys.stderr`` becomes a stream of the same thread, so that whatever else writes there (a
library, the interpreter) does not wait either and keeps its order. Commands write at once, as any program does.

What a server causes is limited: of one kind, for one server, ``MAX_REMARKS_A_MINUTE`` a minute, then one line with
the count.

Typed events (``dmcp.messages.events``) come through ``event``. As text they are a sentence like any other line; as JSON
(``set_format``) every line is an object with the event's fields, and a line that is no event is a ``LogMessage``.

loguru colours lines on a terminal, and is imported only there. stdout is never touched: it carries protocol only.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dmcp.log_lines import OWN, Line, as_json, as_text, bounded, label
from dmcp.masking import hide, mask
from dmcp.protocol.limits import (
    MAX_LOG_BYTES,
    MAX_LOG_LINE,
    MAX_LOG_LINES,
    MAX_REMARK_KINDS,
    MAX_REMARKS_A_MINUTE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping


__all__ = [
    "LAST",
    "LEVELS",
    "close",
    "debug",
    "enabled",
    "error",
    "event",
    "hide",
    "info",
    "label",
    "mask",
    "notice",
    "remark",
    "serve",
    "set_format",
    "warning",
    "write",
]

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
LAST: Final = "; the last: "
"""What comes before the last remarks in the line that counts those that were not shown."""

_MINUTE: Final = 60.0  # seconds
_LAST_LINES: Final = 5  # of the remarks that were not shown, where they are worth it
_LAST_LINE: Final = 300  # characters of each
_BATCH: Final = 64  # lines written at once
_CLOSE_TIMEOUT: Final = 5.0  # seconds the last lines get at the end of the process ...
_STUCK: Final = 0.3  # ... unless nothing has been read for this long

_threshold = LEVELS["warning"]
_shows_notices = True
_writes_json = False


class _Window:
    """What was remarked of one kind about one server in one minute."""

    __slots__ = ("end", "last", "level", "server", "shown", "suppressed")

    def __init__(self, level: str, server: str, end: float) -> None:
        self.level, self.server, self.end = level, server, end
        self.shown = self.suppressed = 0
        self.last: deque[str] | None = None

    def summary(self) -> str:
        """Return one line for those that were not shown."""
        last = f"{LAST}{' | '.join(self.last)}" if self.last else ""
        return f"... and {self.suppressed:,} more like this in the last minute{last}"


class _Remarks:
    """Counts remarks by server and kind. Not thread-safe: its owner has the lock."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, Hashable], _Window] = {}
        self._suppressing: dict[tuple[str, Hashable], _Window] = {}

    def admit(
        self, key: tuple[str, Hashable], level: str, last: str | None
    ) -> tuple[bool, bool, list[_Window]]:
        """Return whether one more may be shown, if not whether it is the first, and windows that have a count to tell.

        Args:
            key: server and kind.
            level: of the remark.
            last: its text, if the last ones are worth telling with the count.
        """
        now, over = time.monotonic(), []
        window = self._windows.get(key)
        if window is None or now >= window.end:
            over += self._drop(key)
            if len(self._windows) >= MAX_REMARK_KINDS:
                over += self._drop(next(iter(self._windows)))
            window = self._windows[key] = _Window(level, key[0], now + _MINUTE)
        if window.shown < MAX_REMARKS_A_MINUTE:
            window.shown += 1
            return True, False, over
        window.suppressed += 1
        self._suppressing[key] = window
        if last is not None:
            if window.last is None:
                window.last = deque(maxlen=_LAST_LINES)
            window.last.append(last[:_LAST_LINE])
        return False, window.suppressed == 1, over

    def due(self, now: float) -> list[_Window]:
        """Remove and return the windows that have ended and have a count to tell."""
        return [w for key, w in list(self._suppressing.items()) if w.end <= now for w in self._drop(key)]

    def next_due(self) -> float | None:
        """Return when the first of them ends, by the monotonic clock; ``None``: none has a count."""
        return min((window.end for window in self._suppressing.values()), default=None)

    def _drop(self, key: tuple[str, Hashable]) -> list[_Window]:
        self._windows.pop(key, None)
        window = self._suppressing.pop(key, None)
        return [] if window is None else [window]


class _Writer:
    """The lines that wait, and the thread that writes them. Callable from any thread, signal handlers included.

    The condition's lock is reentrant, and held for a few instructions only, never while something is written.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        buffer = getattr(stream, "buffer", None)
        self._raw: Any = getattr(
            buffer, "raw", buffer
        )  # without a buffer: nothing of ours is left in it at the end
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._changed = threading.Condition()
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._dropped = 0
        self._writing_since: float | None = None
        self._idle = True
        self._thread: threading.Thread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<_Writer {len(self._lines)} waiting, {self._dropped} dropped>"

    @property
    def encoding(self) -> str:
        """Return the encoding of the stream behind."""
        return self._encoding

    def isatty(self) -> bool:
        """Return whether a terminal is behind."""
        return bool(self._stream is not None and self._stream.isatty())

    def put(self, line: Line) -> None:
        """Have a line written soon, or drop it. Never blocks."""
        with self._changed:
            size = line.size
            if len(self._lines) >= MAX_LOG_LINES or (self._lines and self._bytes + size > MAX_LOG_BYTES):
                self._dropped += 1
                return
            self._tell_dropped()
            self._append(line)
            self._changed.notify()
        self.start()

    def wake(self) -> None:
        """Have the thread look at the remarks' clocks again."""
        with self._changed:
            self._changed.notify()
        self.start()

    def start(self) -> None:
        """Start the thread, if it does not run. After a fork there is none, whatever was before."""
        if self._thread is None and not self._closed and self._raw is not None:
            with self._changed:
                if self._thread is not None:
                    return
                self._thread = threading.Thread(target=self._run, name="dmcp log", daemon=True)
            with suppress(RuntimeError):  # no thread can be started: lines wait, and are dropped at last
                self._thread.start()

    def forked(self) -> None:
        """Start anew in a child process: nothing of the parent's waits here, and its thread is not here."""
        self.__init__(self._stream)  # type: ignore[misc]

    def close(self) -> None:
        """Wait a moment until what waits is written. A stream that is not read gets next to none."""
        end = time.monotonic() + _CLOSE_TIMEOUT
        with self._changed:
            while self._thread is not None and not (self._idle and not self._lines and not self._dropped):
                now = time.monotonic()
                stuck = self._writing_since is not None and now - self._writing_since > _STUCK
                if now >= end or stuck:
                    break
                self._changed.wait(0.02)
            self._closed = True

    def _append(self, line: Line) -> None:
        self._lines.append(line)
        self._bytes += line.size
        self._idle = False

    def _tell_dropped(self) -> None:
        if self._dropped:
            lines, self._dropped = self._dropped, 0
            text = f"{lines:,} {'line' if lines == 1 else 'lines'} dropped: stderr was not read"
            self._append(Line(time.time(), "warning", OWN, text, "LinesDropped", {"lines": lines}))

    def _run(self) -> None:
        try:
            while True:
                self._write("".join(map(_formatted, self._next())))
        except Exception as failure:  # noqa: BLE001 - the log's last boundary: without its thread nothing is shown
            with suppress(OSError, ValueError):
                self._write(f"dmcp: the log has failed and ends: {type(failure).__name__}: {failure}\n")
            self._raw = None

    def _next(self) -> list[Line]:
        """Wait for lines, and take some of them."""
        with self._changed:
            while not self._lines:
                self._tell_dropped()
                with _lock:
                    over, due = _remarks.due(time.monotonic()), _remarks.next_due()
                for window in over:
                    self._append(Line(time.time(), window.level, window.server, window.summary()))
                if self._lines:
                    break
                self._idle = True
                self._changed.notify_all()
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
            taken = [self._lines.popleft() for _ in range(min(_BATCH, len(self._lines)))]
            self._bytes -= sum(line.size for line in taken)
            self._idle = False
            return taken

    def _write(self, text: str) -> None:
        """Write it all, however long that takes. To a stream that is broken nothing is written any more."""
        left = memoryview(text.encode(self._encoding, "backslashreplace"))
        while left and self._raw is not None:
            self._writing_since = self._writing_since or time.monotonic()
            try:
                written = self._raw.write(left)
                if written is None:  # somebody has made the pipe non-blocking
                    select.select((), (self._raw,), (), 1.0)
                    continue
            except (OSError, ValueError):
                written = len(left)
            self._writing_since = None
            left = left[written:]


class _Stream(io.TextIOBase):
    """``sys.stderr`` of a dmcp that serves: what is written there waits its turn among the log's lines."""

    def __init__(self, writer: _Writer, number: int) -> None:
        self._writer = writer
        self._number = number
        self._begun = ""  # of a line, where the log is JSON

    def __repr__(self) -> str:
        return f"<_Stream {self._writer!r}>"

    @property
    def encoding(self) -> str:  # type: ignore[override] # the base class has an attribute that can be set
        """Return the encoding of the stream behind."""
        return self._writer.encoding

    def writable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def isatty(self) -> bool:
        """See ``io.IOBase``."""
        return self._writer.isatty()

    def fileno(self) -> int:
        """See ``io.IOBase``: for processes that are given this stream."""
        return self._number

    def write(self, text: str, /) -> int:
        """Have a text written soon.

        Raises:
            TypeError: it is none; libraries tell by this that the stream is not binary.
        """
        if not isinstance(text, str):
            raise TypeError(f"a text is written here, not {type(text).__name__}")
        if _writes_json:
            *lines, rest = (self._begun + text[:MAX_LOG_BYTES]).split("\n")
            self._begun = rest[:MAX_LOG_LINE]
            for line in lines:
                self._writer.put(Line(time.time(), "warning", OWN, line[: MAX_LOG_LINE * 4]))
        else:
            self._writer.put(Line(0.0, "", "", text[:MAX_LOG_BYTES]))
        return len(text)


_lock = threading.RLock()
_remarks = _Remarks()
_writer: _Writer | None = None


def set_level(name: str | None) -> None:
    """Show events from this level up: one of ``LEVELS``; unknown names mean "warning".

    ``None``: nobody has chosen a level. It is "warning", and notices are shown.
    """
    global _threshold, _shows_notices  # noqa: PLW0603 - one process, one log
    _threshold = LEVELS.get((name or "warning").lower(), LEVELS["warning"])
    _shows_notices = not name or _threshold <= LEVELS["info"]


def set_format(name: str | None) -> None:
    """Write each line as a JSON object ("json"), or as text (everything else)."""
    global _writes_json  # noqa: PLW0603 - one process, one log
    _writes_json = (name or "").lower() == "json"


def enabled(name: str) -> bool:
    """Return whether an event of this level would be shown; to spare the work of building a text nobody reads."""
    return _shows_notices if name == "notice" else LEVELS[name] >= _threshold


def serve() -> None:
    """Write standard error in a thread from now on: nothing waits for it. For a process that serves a client."""
    global _writer  # noqa: PLW0603 - one process, one log
    if _writer is not None:
        return
    _writer = _Writer(sys.stderr)
    number = -1
    with suppress(AttributeError, OSError, ValueError):  # it is closed, or no file
        number = sys.stderr.fileno()
    sys.stderr = _Stream(_writer, number)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_writer.forked)


def start() -> None:
    """Start the log's thread now, while nothing waits for it; else the first line starts it."""
    if _writer is not None:
        _writer.start()


def close() -> None:
    """Say what is still to be said, at the end of the process. Bounded: five seconds, next to none if nobody reads."""
    with _lock:
        over = _remarks.due(float("inf"))
    _tell(over)
    if _writer is not None:
        _writer.close()


def debug(text: str, server: str = OWN) -> None:
    """Log an event for debugging. Of one place in the code they are limited as with ``remark``."""
    _event("debug", text, server)


def info(text: str, server: str = OWN) -> None:
    """Log something a user may want to know. What is about a server is limited as with ``debug``."""
    _event("info", text, server)


def notice(text: str) -> None:
    """Log that dmcp has started well, or taken over a change: shown unless a higher level than "info" was chosen."""
    if _shows_notices:
        _put("info", text, OWN)


def warning(text: str, server: str = OWN) -> None:
    """Log that something is wrong and dmcp copes with it. Limited as with ``debug``."""
    _event("warning", text, server)


def error(text: str, server: str = OWN) -> None:
    """Log that something is wrong and a user has to act. Limited as with ``debug``."""
    _event("error", text, server)


def remark(
    kind: Hashable,
    text: str | Callable[[], str],
    server: str = OWN,
    *,
    level: str = "warning",
    last: bool = False,
) -> None:
    """Log something whose number a peer decides: ``MAX_REMARKS_A_MINUTE`` a minute, then one line with the count.

    Args:
        kind: what is counted together, for each server.
        text: the text, or what makes it if it is shown.
        server: whom it is about.
        level: one of ``LEVELS``.
        last: tell the last ones with the count.
    """
    if LEVELS[level] < _threshold:
        return
    if _admit((server, kind), level, text if last and isinstance(text, str) else None):
        _put(level, text if isinstance(text, str) else text(), server)


def event(
    what: Any,
    level: str,
    text: Callable[[], str] | None = None,
    server: str = "",
    *,
    last: str | None = None,
    limited: bool = True,
) -> None:
    """Log a typed event. Of one type about one server they are limited as with ``remark``.

    Args:
        what: a named tuple; its ``group``, if it has one that is not empty, is whom it is about.
        level: one of ``LEVELS``, or "notice".
        text: makes its sentence; without one it is written only where the log is JSON.
        server: what stands for the group in a line of text, if not the group's name.
        last: what to tell of it with the count, if the last ones are worth that.
        limited: whether they are.
    """
    if not enabled(level) or (text is None and not _writes_json):
        return
    name, group = type(what).__name__, getattr(what, "group", "")
    server = server or group or OWN
    level = "info" if level == "notice" else level
    if group and limited and not _admit((server, name), level, last):
        return
    fields: Mapping[str, Any] | None = None
    if _writes_json:
        fields = {key: bounded(value) for key, value in what._asdict().items()}
    _put(level, text() if text is not None else "", server, name, fields)


def write(level: str, text: str, server: str = "") -> None:
    """Log a line of another dmcp's log, which has limited what it is."""
    if LEVELS.get(level, 0) >= _threshold:
        _put(level, text, server or OWN)


def _admit(key: tuple[str, Hashable], level: str, last: str | None) -> bool:
    """Return whether one more of these may be shown. Says the counts of minutes that are over."""
    with _lock:
        admitted, first, over = _remarks.admit(key, level, last)
    _tell(over)
    if first and not admitted and _writer is not None:
        _writer.wake()
    return admitted


def _event(level: str, text: str, server: str) -> None:
    if LEVELS[level] < _threshold:
        return
    if server == OWN and level == "info":  # what dmcp does of itself: as often as it does it
        _put(level, text, server)
    else:
        caller = sys._getframe(2)  # noqa: SLF001 - the documented way to one frame; inspect builds all of them
        remark((caller.f_code.co_filename, caller.f_lineno), text, server, level=level)


def _tell(windows: list[_Window]) -> None:
    for window in windows:
        _put(window.level, window.summary(), window.server)


def _put(level: str, text: str, server: str, name: str = "", fields: Mapping[str, Any] | None = None) -> None:
    # Cut here, so that what waits is small; with room for a secret that begins before the end of what is shown.
    line = Line(time.time(), level, server, text[: MAX_LOG_LINE * 4], name, fields)
    if _writer is not None:
        _writer.put(line)
    elif sys.stderr is not None:
        sys.stderr.write(_formatted(line))
        sys.stderr.flush()


def _formatted(line: Line) -> str:
    """Return the line as it is written, with its end. In the log's thread, or at once in a command."""
    if _writes_json and line.level:
        return as_json(line)
    return as_text(line, terminal=_writer.isatty() if _writer is not None else sys.stderr.isatty())
