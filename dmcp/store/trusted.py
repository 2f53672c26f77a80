"""Which configurations of strange folders the user trusts: one small file for each, in the home directory.

What is trusted is a place and a content: the real path and the digest of the bytes. A file that is moved, or changed by
one byte, is trusted no longer. Kept beside them is what was shown when it was trusted, secrets masked, so that a
change can be shown. The directory is 0700 and the files 0600; what others may write there is not believed.
Blocks. Not here: asking the user (``dmcp.cli.trust``).
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic_core import from_json, to_json

from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 256
"""Files kept; the ones that were trusted longest ago go first."""

_LARGEST: Final = 4 * 1024 * 1024
_OTHERS_WRITE: Final = 0o022
_OTHERS: Final = 0o077


class Trusted(NamedTuple):
    """A file the user trusts.

    Attributes:
        path: its real path.
        digest: SHA-256 of its bytes, in hex.
        shown: what it starts and reaches, in a line for each server, as the user saw it.
    """

    path: str
    digest: str
    shown: Mapping[str, str]


def digest_of(content: bytes) -> str:
    """Return what stands for a content."""
    return hashlib.sha256(content).hexdigest()


def directory() -> Path:
    """Return where the files are."""
    return Path.home() / ".dynamic-mcp" / "trusted"


def find(path: Path) -> Trusted | None:
    """Return what is trusted at this path, whatever is there now; ``None`` if nothing is."""
    return _read(_file_of(path))


def keep(path: Path, content: bytes, shown: Mapping[str, str]) -> None:
    """Trust what is at this path, as long as it holds these bytes.

    Raises:
        OSError: that cannot be kept.
    """
    folder = directory()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & _OTHERS:
        folder.chmod(0o700)
    shown_path = (
        _real(path).encode("utf-8", "backslashreplace").decode()
    )  # a name need not be UTF-8; JSON has to be
    trusted = {"path": shown_path, "sha256": digest_of(content), "shown": dict(shown)}
    files.write(_file_of(path), to_json(trusted, indent=2) + b"\n", links="replace", mode=0o600, sync=False)
    _prune(folder)


def _prune(folder: Path) -> None:
    """Forget what was trusted longest ago beyond ``MOST``: it is asked for again."""
    aged = []
    for file in folder.glob("*.json"):
        with suppress(OSError):  # another dmcp prunes too
            aged.append((file.stat().st_mtime_ns, file))
    for _, file in sorted(aged)[: max(0, len(aged) - MOST)]:
        file.unlink(missing_ok=True)


def remove(path: Path) -> bool:
    """Trust nothing at this path any more; returns whether something was trusted."""
    try:
        _file_of(path).unlink()
    except FileNotFoundError:
        return False
    return True


def everything() -> list[Trusted]:
    """Return all that is trusted, by path."""
    found: list[Trusted] = []
    with suppress(OSError):
        found += [one for one in map(_read, directory().glob("*.json")) if one is not None]
    return sorted(found)


def _real(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _file_of(path: Path) -> Path:
    return directory() / f"{hashlib.sha256(os.fsencode(_real(path))).hexdigest()[:32]}.json"


def _read(file: Path) -> Trusted | None:
    try:
        if sys.platform != "win32":
            for each in (file.lstat(), file.parent.stat()):
                if each.st_mode & _OTHERS_WRITE or each.st_uid not in (os.geteuid(), 0):
                    return None
        kept = from_json(files.read(file, _LARGEST))
        shown = {str(name): str(line) for name, line in kept["shown"].items()}
        return Trusted(str(kept["path"]), str(kept["sha256"]), shown)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
