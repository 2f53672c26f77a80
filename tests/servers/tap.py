"""Stands between dmcp and a stdio server, passes every byte on, and writes each line with its direction to a file.

Usage: ``tap.py LOG COMMAND [ARGUMENT...]``. Lines of the log: ``>`` to the server, ``<`` from it, then the line.
It ends when the server ends, with the server's status; its own closed stdin closes the server's.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO


def copy(source: IO[bytes], sink: IO[bytes], log: IO[bytes], mark: bytes, lock: Lock) -> None:
    """Pass lines on until the source ends, then close the sink."""
    try:
        for line in source:
            with lock:
                log.write(mark + line)
                log.flush()
            sink.write(line)
            sink.flush()
    except (BrokenPipeError, ValueError):
        return  # the reader has gone; what it missed is in the log
    finally:
        with suppress(BrokenPipeError):
            sink.close()


def main() -> int:
    """Run the server until it ends."""
    log_name, *command = sys.argv[1:]
    lock = Lock()
    with (
        Path(log_name).open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        Thread(target=copy, args=(sys.stdin.buffer, server.stdin, log, b">", lock), daemon=True).start()
        copy(server.stdout, sys.stdout.buffer, log, b"<", lock)
        return server.wait()


if __name__ == "__main__":
    sys.exit(main())
