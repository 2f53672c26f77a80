"""What the processes of a session have done, from ``/proc`` (Linux; elsewhere nothing is known). Blocks a little."""

from __future__ import annotations

import os
import sys
from typing import Final

_SESSION: Final = 3  # fields of /proc/PID/stat behind the name (proc_pid_stat(5)), counted from the state
_TIMES: Final = slice(11, 15)  # its own user and system time, and that of children it has waited for
_COUNTED: Final = (b"wchar:", b"read_bytes:")


def of_session(session: int) -> tuple[float, int]:
    """Return the seconds of processor time and the bytes read and written by all processes of a session."""
    if not sys.platform.startswith("linux"):
        return 0.0, 0
    ticks = io = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 - hundreds of names
        if not name.isdecimal():
            continue
        fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
        if len(fields) < _TIMES.stop or int(fields[_SESSION]) != session:
            continue
        ticks += sum(map(int, fields[_TIMES]))
        for line in _read(f"/proc/{name}/io").splitlines():
            label, _, number = line.partition(b" ")
            io += int(number) if label in _COUNTED else 0
    return ticks / os.sysconf("SC_CLK_TCK"), io


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - likewise
            return file.read()
    except OSError:  # it has ended, or is somebody else's
        return b""
