"""End the process when its event loop does not get to a signal: a loop that is held must not outlive SIGTERM.

The loop's own handling of signals stays as it is. Beside it, the interpreter's handler of the signal, which runs in
the main thread even in the middle of a long function or a regular expression, arms a timer. When the loop has not
said in time that it took the signal (``took_over``), and when it does not bring the process to its end afterwards,
a thread kills the servers and ends the process. For what holds the interpreter itself, the operating system's alarm
ends the process a little later (POSIX); its servers are then ended by the guard (``dmcp.upstream.processes``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmcp import log

if TYPE_CHECKING:
    from types import FrameType

HELD_TIMEOUT: Final = 5.0
"""Seconds a loop has to take a signal."""

END_TIMEOUT: Final = 45.0
"""Seconds the process has to end once the loop has taken it; the orderly end's own limits are far below."""

_ALARM_LATER: Final = 3  # seconds the thread gets before the operating system's alarm ends the process
_STATUS: Final = 1


class Watchdog:
    """Armed by a signal, told by the loop. One for a process; signal handlers are the main thread's."""

    def __init__(self, held_timeout: float = HELD_TIMEOUT, end_timeout: float = END_TIMEOUT) -> None:
        self._held_timeout = held_timeout
        self._end_timeout = end_timeout
        self._timer: threading.Timer | None = None

    def __repr__(self) -> str:
        return f"<Watchdog {'armed' if self._timer else 'idle'}>"

    def watch(self, number: int) -> None:
        """Arm when this signal comes. Call after the loop has installed its own handling: that keeps working.

        The loop hears of a signal through the interpreter's wake-up descriptor, which every handler leaves alone.
        """
        signal.signal(number, self._on_signal)
        if hasattr(signal, "siginterrupt"):
            signal.siginterrupt(number, False)

    def took_over(self) -> None:
        """The loop has taken the signal and ends the process in order."""
        self._arm(self._end_timeout)

    def disarm(self) -> None:
        """The process ends now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if sys.platform != "win32":
                signal.alarm(0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._timer is None:
            self._arm(self._held_timeout)

    def _arm(self, seconds: float) -> None:
        self.disarm()
        self._timer = threading.Timer(seconds, _end)
        self._timer.daemon = True
        with suppress(RuntimeError):  # no thread can be started: the alarm is left
            self._timer.start()
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(seconds) + _ALARM_LATER)


def _end() -> None:
    log.error("the event loop does not get to the signal that ends dmcp: the process ends without it")
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGKILL):
            groups = _groups_of_children()
            for group in groups:
                with suppress(OSError):
                    os.killpg(group, number)
            if groups:
                threading.Event().wait(0.5)
    log.close()
    os._exit(_STATUS)


def _groups_of_children() -> set[int]:
    """The process groups of the servers: those of our children, without our own."""
    if sys.platform == "win32":
        return set()
    found = set()
    for child in _children():
        with suppress(OSError):
            found.add(os.getpgid(child))
    return found - {os.getpgid(0)}


def _children() -> list[int]:
    listed = list(Path("/proc/self/task").glob("*/children"))
    if listed:
        return [int(number) for file in listed for number in file.read_text("ascii").split()]
    try:  # not Linux
        said = subprocess.run(
            ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, timeout=2, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split() for line in said.splitlines()]
    return [int(row[0]) for row in rows if len(row) == 2 and row[1] == str(os.getpid())]  # noqa: PLR2004 - two columns
