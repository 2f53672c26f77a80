"""Keeps the listings of lazy servers on disk: one file for each configuration of a server, in the user's cache.

It owns the directory (0700), the files (0600, replaced as a whole) and how many there are. It is a cache: a file that
is missing, unreadable, too large, a link or writable for others is no file, and one that cannot be written is said and
forgotten.
Not here: what stands in a file, which is ``dmcp.protocol.cached_listings``'s.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmcp import log
from dmcp.protocol.limits import MAX_STORED
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = MAX_STORED
"""Bytes. A larger file was not written by dmcp."""

MOST_FILES: Final = 256
"""Files kept; the ones that were written longest ago go first."""

_OTHERS_WRITE: Final = 0o022  # permission bits of a file that others can have changed
_PRIVATE: Final = 0o077  # permission bits that nobody but the owner may have


def directory(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return where the listings are: ``dmcp/listings`` in the user's cache directory of this platform."""
    if environ.get("XDG_CACHE_HOME"):
        base = Path(environ["XDG_CACHE_HOME"])
    elif platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "dmcp" / "listings"


class ListingFiles:
    """The files. Both methods run on the event loop and leave the disk to a thread; neither raises ``OSError``."""

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder

    def __repr__(self) -> str:
        return f"<ListingFiles {self._given or 'in the cache directory'}>"

    @property
    def _folder(self) -> Path:
        return self._given or directory()

    def read(self, name: str) -> bytes:
        """Return what is kept under this name; empty if there is nothing that can be read. Blocks."""
        return self._load(name)

    async def load(self, fingerprint: str) -> bytes:
        """Return what is kept under this fingerprint; empty if there is nothing that can be read."""
        return await asyncio.to_thread(self._load, fingerprint)

    async def save(self, fingerprint: str, content: bytes) -> None:
        """Keep this, instead of what was kept before. What is empty or larger than ``LARGEST`` is not kept."""
        await asyncio.to_thread(self._save, fingerprint, content)

    def _load(self, fingerprint: str) -> bytes:
        try:
            path = self._folder / f"{fingerprint}.json"
            if not _is_own(path):
                return b""
            return files.read(path, LARGEST)
        except (OSError, RuntimeError):  # RuntimeError: this user has no home directory
            return b""

    def _save(self, fingerprint: str, content: bytes) -> None:
        try:
            folder = self._folder
        except RuntimeError:  # this user has no home directory
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_mode & _PRIVATE:
                folder.chmod(0o700)
            path = folder / f"{fingerprint}.json"
            if not content or len(content) > LARGEST:
                path.unlink(missing_ok=True)  # what was kept before is not true any more
                return
            # Not synced: a cache that is torn by a power cut is a corrupt file.
            files.write(path, content, links="replace", mode=0o600, sync=False)
            _prune(folder)
        except OSError as error:
            log.warning(f"what lazy servers offer cannot be kept in {folder}: {error.strerror}")


def _is_own(path: Path) -> bool:
    """Return whether a file is one that dmcp has written for this user, and nobody else can have changed."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return False
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_WRITE)


def _prune(folder: Path) -> None:
    """Remove the oldest files beyond ``MOST_FILES``, and what a dmcp that was killed has left half-written."""
    aged = []
    for path in folder.iterdir():
        with suppress(OSError):  # another dmcp prunes too
            aged.append((path.lstat().st_mtime_ns, path))
    for _, path in sorted(aged)[: max(0, len(aged) - MOST_FILES)]:
        with suppress(OSError):
            path.unlink()
