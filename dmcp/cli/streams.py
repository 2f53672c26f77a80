"""The standard streams of a command where they are not what a program counts on: closed, or with no room behind them.

Not here: their encoding (``main``), and the streams of a dmcp that serves (``dmcp.upstream``).
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_STREAMS: Final = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def fill_closed() -> None:
    """Put the null device where a standard stream is closed (``dmcp check >&-``).

    Otherwise Python has ``None`` there, and the next file opened would take the number, so that a server that is
    started would write its errors into it.
    """
    for number, name, mode in _STREAMS:
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number and not _is_open(number):
            os.dup2(opened, number)
            os.close(opened)
            opened = number
        os.set_inheritable(opened, True)
        setattr(sys, name, open(opened, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - kept until the end


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def give_up_output() -> None:
    """Nothing more can be written to standard output: what is left in its buffer must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def has_no_room(error: OSError) -> bool:
    """Whether writing failed because of what is behind the stream; else it is a fault of dmcp's own."""
    return error.errno in _NO_ROOM
