"""Settings of pipes, for both sides: dmcp's own (``downstream``) and those of its servers (``upstream``)."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

_WANTED: Final = 1024 * 1024  # bytes; the usual 64 KiB cost a 1 MB answer sixteen wake-ups


def enlarge_pipe(pipe: int) -> None:
    """Give a pipe a larger buffer where the system lets us (Linux: fcntl(2), F_SETPIPE_SZ); otherwise leave it."""
    if sys.platform.startswith("linux"):
        import fcntl  # noqa: PLC0415 - not on Windows

        with suppress(OSError):  # beyond the user's limit, or no pipe: the usual size does too
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WANTED)
