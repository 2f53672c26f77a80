"""Tells when the content of the configuration file has really changed.

What is watched is directories, because files are replaced: by editors that write a new file and rename it, and where
the path leads through symlinks (Kubernetes swaps a whole directory that way) in any directory on that way.
Not here: loading the file, and what a change means. watchfiles is imported when watching begins.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anyio import sleep, to_thread

from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_SETTLE: Final = 200
"""Milliseconds: events closer together than this are one change, so that a file is not read half-written."""

_LONGEST_SETTLE: Final = 1000
"""Milliseconds after which the file is looked at even if the events do not end."""

_LOOK_ANYWAY: Final = 2000
"""Milliseconds after which the file is looked at even without an event: network file systems send none, and
neither do directories in the moment between two watches."""

_LARGEST: Final = 16 * 1024 * 1024
"""Bytes that are read to see whether they have changed. A configuration has far less (``loading.LARGEST``)."""

UNKNOWN: Final = ""
"""Stands for a fingerprint that was not taken; no content has it."""

_MOST_LINKS: Final = 40
"""Symlinks followed on the way to the file, as in Linux (ELOOP)."""


def fingerprint(path: Path) -> str | None:
    """A digest of the file's content; ``None`` if there is nothing to read. Blocks for the time of reading it."""
    try:
        return hashlib.sha256(files.read(path, _LARGEST)).hexdigest()
    except files.TooLarge:
        return "too large"
    except OSError:
        return None


async def changes(path: Path, since: str | None = UNKNOWN) -> AsyncGenerator[str | None, None]:
    """Yield whenever the file's content differs from what it was at the last yield; runs until it is closed.

    A file that is gone has changed, and has changed again when it is back. Changes that come while the consumer
    is busy are one change. Runs on the event loop; the waiting is done in a worker thread.

    Args:
        path: the configuration file; it need not exist.
        since: the ``fingerprint`` of the content already in use, taken before it was loaded. Without it the content
            at the first look counts as in use, and a change made between loading and watching goes unnoticed.

    Yields:
        The new fingerprint.
    """
    last = since
    path = _absolute(path)
    async with aclosing(_moments(path)) as moments:
        async for _ in moments:
            now = await to_thread.run_sync(fingerprint, path)
            if last == UNKNOWN:
                last = now
            elif now != last:
                last = now
                yield now


async def _moments(path: Path) -> AsyncGenerator[None, None]:
    """Yield whenever it is worth looking at the file: at once, then after every event near it and now and then."""
    from watchfiles import awatch  # noqa: PLC0415 - not needed before the first answer to the client

    while True:
        places = await to_thread.run_sync(directories, path)
        yield
        watch = awatch(
            *places,
            watch_filter=None,
            recursive=False,
            debounce=_LONGEST_SETTLE,
            step=_SETTLE,
            rust_timeout=_LOOK_ANYWAY,
            yield_on_timeout=True,
        )
        try:
            async for _ in watch:
                yield
                if await to_thread.run_sync(directories, path) != places:
                    break
        except OSError:
            # A directory went away between looking and watching, or the system grants no more watches: look again
            # later instead.
            await sleep(_LOOK_ANYWAY / 1000)
        finally:
            await watch.aclose()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the very symlinks to be watched


def directories(path: Path) -> frozenset[Path]:
    """Every directory in which a change of an entry can change what ``path`` leads to.

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
