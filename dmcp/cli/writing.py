"""Writes what commands change: a sentence for everything ``dmcp.store.files`` refuses.

Not here: whether to write; that is decided, and asked, before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp.errors import ConfigError
from dmcp.store import files

if TYPE_CHECKING:
    from pathlib import Path

backup_of = files.backup_of


class Overtaken(ConfigError):  # noqa: N818 - says what happened
    """Another program has written the file between reading and writing."""


def write_whole(
    path: Path,
    text: str,
    advice: str = "choose another file with --output",
    *,
    keep: bool = True,
    links: files.Links = "follow",
    below: Path | None = None,
    mode: int | None = None,
    private: bool = False,
    expected: str | None = None,
) -> Path | None:
    """Put a text in place of a file, atomically; an existing file is kept as ``.bak``.

    A new file can be read by its owner only, since what is imported may hold secrets; an existing one keeps its
    mode. A symbolic link that a user has named stays one: the file it points to is replaced. A device or a pipe is
    never replaced.

    Args:
        path: the file.
        text: all of its new contents.
        advice: what the user can do when it cannot be written.
        keep: whether an existing file is kept; not for what dmcp can make again.
        links: what a link in its place means: "follow" only where the user has named the path.
        below: the folder between which and the file there may be no links; see ``files.base_of``.
        mode: its permissions, if not those it has.
        private: whether nobody else may read it from now on.
        expected: what it has to hold still; an empty text for a file that was not there.

    Returns:
        The backup, if there was something to keep.

    Raises:
        ConfigError: it cannot be written; then nothing has changed.
        Overtaken: it does not hold what was expected any more; nothing has changed.
    """
    try:
        return files.write(
            path,
            text.encode(),
            links=links,
            below=below,
            mode=mode,
            private=private,
            keep=keep,
            expected=None if expected is None else expected.encode(),
        )
    except files.Changed as error:
        raise Overtaken(f"{path}: {error.strerror}. Nothing was changed.") from None
    except OSError as error:
        raise unwritable(path, error, advice) from None


def unwritable(path: Path, error: OSError, advice: str) -> ConfigError:
    """Return the sentence about a file that cannot be written."""
    return ConfigError(
        f"{path}: cannot be written: {error.strerror or error}; {advice}. Nothing was changed."
    )
