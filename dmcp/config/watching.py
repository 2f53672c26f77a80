"""Tell when the content of the configuration file has changed.

Directories are watched, because files are replaced: by editors that write a new file and rename it, and where the path
leads through symbolic links (Kubernetes swaps a whole directory that way) in any directory on that way.
Runs in a thread of its own: everything here blocks. watchfiles is imported when watching begins.
Not here: loading the file, and what a change means.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTLE: Final = 200
"""Milliseconds: events closer together than this are one change, so that a file is not read half-written."""

_LONGEST_SETTLE: Final = 1000
"""Milliseconds after which the file is looked at even if the events do not end."""

_POLL_INTERVAL: Final = 2000
"""Milliseconds after which the file is looked at even without an event: network file systems send none, and
neither do directories in the moment between two watches."""

_BURST: Final = 5
"""Changes that are handed on at once. A user who edits makes no more; a program that rewrites the file without end
would have servers restarted without end."""

_REST: Final = 10.0
"""Seconds for each further change: those in between are one."""

_LARGEST: Final = 1024 * 1024
"""Bytes that are read to see whether they have changed; as ``loading.LARGEST``. All larger files are alike: refused."""

UNKNOWN: Final = ""
"""Stands for a fingerprint that was not taken; no content has it."""

_MOST_LINKS: Final = 40
"""Symbolic links followed on the way to the file, as in Linux (ELOOP)."""


def fingerprint(path: Path) -> str | None:
    """Return a digest of the file's content; ``None`` if there is nothing to read. Blocks; waits for no writer."""
    try:
        return hashlib.sha256(files.read(path, _LARGEST)).hexdigest()
    except files.TooLarge:
        return "too large"
    except OSError:
        return None


def watch(
    path: Path, since: str | None = UNKNOWN, stop: threading.Event | None = None
) -> Iterator[str | None]:
    """Yield whenever the file's content differs from what it was at the last yield. Blocks until ``stop`` is set.

    A file that is gone has changed, and has changed again when it is back. Changes that come while the consumer is busy
    are one change. After ``_BURST`` of them only one in ``_REST`` seconds is handed on, the newest content each time.

    Args:
        path: the configuration file; it need not exist.
        since: the ``fingerprint`` of the content already in use, taken before it was loaded. Without it the content
            at the first look counts as in use, and a change made between loading and watching goes unnoticed.
        stop: ends the watch, within ``_SETTLE``.

    Yields:
        The new fingerprint.
    """
    stop = stop or threading.Event()
    path = _absolute(path)
    last = since
    credit, seen = float(_BURST), time.monotonic()
    for _ in _wakeups(path, stop):
        now = fingerprint(path)
        if last == UNKNOWN:
            last = now
        elif now != last:
            credit, seen = min(_BURST, credit + (time.monotonic() - seen) / _REST), time.monotonic()
            if credit < 1:
                if stop.wait((1 - credit) * _REST):
                    return
                credit, seen = 1.0, time.monotonic()
                now = fingerprint(path)
            if now != last:
                credit -= 1
                last = now
                yield now


def _wakeups(path: Path, stop: threading.Event) -> Iterator[None]:
    """Yield whenever it is worth looking at the file: at once, then after every event near it and now and then."""
    import watchfiles  # noqa: PLC0415 - in the watch's thread: nobody waits for it

    while not stop.is_set():
        places = directories(path)
        yield
        try:
            for _ in watchfiles.watch(
                *places,
                watch_filter=None,
                recursive=False,
                debounce=_LONGEST_SETTLE,
                step=_SETTLE,
                rust_timeout=_POLL_INTERVAL,
                yield_on_timeout=True,
                stop_event=stop,
            ):
                yield
                if directories(path) != places:
                    break
        except OSError:
            # A directory went away between looking and watching, or the system grants no more watches: look again
            # later instead.
            stop.wait(_POLL_INTERVAL / 1000)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the very symlinks to be watched


def directories(path: Path) -> frozenset[Path]:
    """Return every directory in which a change of an entry can change what ``path`` leads to.

    These are the directories of the file and of each symlink on the way to it. Where one does not exist (yet), it
    is the nearest one above it that does. Blocks for a few ``lstat`` calls.
    """
    found: set[Path] = set()
    pending = list(reversed(path.parts[1:]))
    here = Path(path.anchor)
    links = 0
    while pending:
        step = pending.pop()
        if step == os.pardir:
            here = here.parent
            continue
        there = here / step
        is_last = not pending
        target = _link_target(there)
        if target is not None and links < _MOST_LINKS:
            links += 1
            found.add(here)
            if target.is_absolute():
                here = Path(target.anchor)
            pending += reversed([part for part in target.parts if part != target.anchor])
        elif is_last or not os.path.isdir(there):  # noqa: PTH112 - unlike Path.is_dir it never raises
            found.add(here)
            break
        else:
            here = there
    return frozenset(found)


def _link_target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError:  # no link, not there (any more), or not to be looked at
        return None
