"""The one place of the importers that writes: a file appears whole or not at all, and what it replaces is kept.

Not here: whether to write; that is decided, and asked, before.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from dmcp.errors import ConfigError

_PRIVATE = 0o600


def backup_of(path: Path) -> Path:
    """Where the earlier contents of a file are kept."""
    return path.with_name(path.name + ".bak")


def write_whole(
    path: Path, text: str, advice: str = "choose another file with --output", *, keep: bool = True
) -> Path | None:
    """Put a text in place of a file, atomically; an existing file is kept as ``.bak``.

    A new file can be read by its owner only, since what is imported may hold secrets; an existing one keeps its
    mode. A symbolic link stays one: the file it points to is replaced. A device or a pipe is never replaced.

    Args:
        path: the file.
        text: all of its new contents.
        advice: what the person can do when it cannot be written.
        keep: whether an existing file is kept; not for what dmcp can make again.

    Returns:
        The backup, if there was something to keep.

    Raises:
        ConfigError: it cannot be written; then nothing has changed.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "a device or a pipe"
        raise ConfigError(
            f"{path}: cannot be written: it is {what}, not a file; {advice}. Nothing was changed."
        )
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error, advice) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        kept = _keep(path, name) if keep else None
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _unwritable(path, error, advice) from None
    return kept


def _keep(path: Path, new: str) -> Path | None:
    if not path.exists():
        Path(new).chmod(_PRIVATE)
        return None
    shutil.copymode(path, new)
    return Path(shutil.copy2(path, backup_of(path)))


def _unwritable(path: Path, error: OSError, advice: str) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be written: {error.strerror or error}; {advice}. Nothing was changed."
    )
