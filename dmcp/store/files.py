"""Read and write whole files in folders that may be a stranger's. The one module of dmcp that replaces a file.

Reading never waits and is bounded: a pipe, a device or a directory in a file's place is refused before it is opened
for good, and a file beyond the limit is not read to its end.

Writing makes a new file beside the target (``O_EXCL``, ``O_NOFOLLOW``, a random name, in a directory that is held
open) and renames it. So a full disk, a signal or a second dmcp leaves the old file whole or the new one, never a part.
What a link at the target means is the caller's to say (``Links``); in the directories above it links are followed
unless the caller names the folder below which there may be none.

Blocks. Every failure is an ``OSError`` whose ``strerror`` continues the sentence "it cannot be read/written:".
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Links = Literal["follow", "replace", "refuse"]
"""What a symbolic link in the place of the target means: the file it leads to is the target (a user has named the
link), the link itself is replaced (the file is dmcp's own), or nothing is written (a folder had the link in it)."""

LARGEST_KEPT: Final = 64 * 1024 * 1024
"""Bytes of a file that can be kept as a backup. A larger one was named by mistake."""

_PRIVATE: Final = 0o600
_MARK: Final = b"\xef\xbb\xbf"  # the byte order mark, which readers drop
_POLL: Final = 0.05  # seconds between two tries to replace a file that is being read, on Windows
_LOCKED: Final = 10.0  # seconds to wait for another dmcp that writes in the same directory
_READERS: Final = 2.0  # seconds of such tries
_HAS_DIR_FD: Final = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOSE: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a device or a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device or a pipe"),
    (stat.S_ISBLK, "a device or a pipe"),
    (stat.S_ISLNK, "a symbolic link"),
)


class Unfit(OSError):  # noqa: N818 - says what was found, as FileNotFoundError does
    """What is there is no file that can be read or written. ``strerror`` says what it is instead."""

    def __init__(self, why: str, path: object, number: int = errno.EINVAL) -> None:
        super().__init__(number, why, str(path))


class TooLarge(Unfit):
    """The file has more bytes than the caller takes."""

    def __init__(self, path: object, limit: int) -> None:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
        super().__init__(f"it is larger than {size}", path, errno.EFBIG)


class Changed(Unfit):
    """Another program has written the file since it was read."""

    def __init__(self, path: object) -> None:
        super().__init__("another program has changed it in this moment: do it again", path, errno.EAGAIN)


def read(path: str | Path, limit: int) -> bytes:
    """Return all bytes of a regular file, of ``limit`` at most. Links are followed. Never waits for a writer.

    Raises:
        TooLarge: there are more.
        Unfit: it is no regular file.
        OSError: it cannot be opened or read.
    """
    _refuse_other_kinds(Path(path).stat(), path)  # before opening: to open a device may already do something
    descriptor = os.open(path, os.O_RDONLY | _CLOSE | _NO_WAIT)
    return _read_all(descriptor, path, limit)


def write(
    path: Path,
    content: bytes,
    *,
    links: Links = "refuse",
    below: Path | None = None,
    mode: int | None = None,
    private: bool = False,
    keep: bool = False,
    expected: bytes | None = None,
    sync: bool = True,
) -> Path | None:
    """Put a content in place of a file, whole or not at all.

    Args:
        path: the file. The directories above it have to be there, or are made below ``below``.
        content: all of its new bytes.
        links: what a symbolic link at ``path`` means.
        below: a folder above ``path`` between which and the file no link may lie; what is missing in between is made.
        mode: its permissions; without them those of the file before, and 0600 for a new one.
        private: take the permissions of group and others away, because there are secrets in it.
        keep: keep the file before as ``NAME.bak``. A link there is replaced.
        expected: refuse if the file holds something else by now; nothing for a file that was not there.
        sync: wait until it is on the disk.

    Returns:
        The backup, if there was something to keep.

    Raises:
        Changed: it does not hold ``expected``.
        OSError: it cannot be written. Whatever it is, nothing has changed, except for a backup that is newer.
    """
    with _folder_of(path, links, below) as (folder, name), folder.alone(wanted=expected is not None):
        before = folder.look(name)
        if before is not None and not (links == "replace" and stat.S_ISLNK(before.st_mode)):
            _refuse_other_kinds(before, path)
        old = (
            folder.read(name, LARGEST_KEPT) if before is not None and (keep or expected is not None) else None
        )
        if expected is not None and _unmarked(old or b"") != _unmarked(expected):
            raise Changed(path)
        kept = None
        if keep and old is not None and before is not None:
            kept = backup_of(Path(folder.path) / name)
            folder.put(kept.name, old, before, stat.S_IMODE(before.st_mode) & 0o777, sync=sync, times=True)
        folder.put(name, content, before, _mode(before, mode, private=private), sync=sync)
        return kept


def backup_of(path: Path) -> Path:
    """Return where the earlier contents of a file are kept."""
    return path.with_name(path.name + ".bak")


def check_place(path: Path, *, links: Links = "refuse", below: Path | None = None) -> None:
    """Raise what ``write`` would because of links or kinds of files, and ``FileNotFoundError`` without a directory."""
    with _folder_of(path, links, below, make=False) as (folder, name):
        before = folder.look(name)
        if before is not None:
            _refuse_other_kinds(before, path)


def base_of(path: Path, cwd: Path, home: Path) -> Path | None:
    """Return the folder below which no link is followed to ``path``; ``None`` for a place of the user's own.

    What lies beside or below the working directory came with a project, and anybody may have made its links. The home
    directory, and what is reached from above it only, is the user's.
    """
    try:
        shared = Path(os.path.commonpath((os.path.abspath(cwd), os.path.abspath(path))))  # noqa: PTH100 - links stay
    except ValueError:  # two drives
        return None
    for own in {os.path.abspath(home), os.path.realpath(home)}:  # noqa: PTH100 - as above
        if Path(own) == shared or shared in Path(own).parents:
            return None
    return shared if len(shared.parts) > 1 else None


def own_place(path: Path, home: Path) -> Links:
    """Return what a link at a file of the user's own means: followed as long as it stays in the home directory."""
    real, inside = os.path.realpath(path), os.path.realpath(home)
    return "follow" if real == inside or real.startswith(inside.rstrip(os.sep) + os.sep) else "refuse"


class _Folder:
    """A directory that is held open, so that exchanging it meanwhile leads nowhere. On Windows: its path."""

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        self._at = descriptor

    def __repr__(self) -> str:
        return f"<_Folder {self.path}>"

    @contextmanager
    def alone(self, *, wanted: bool) -> Iterator[None]:
        """Keep other dmcps that ask for this from writing here: a lock on the directory, which leaves no file behind.

        Whoever holds it for long is no dmcp, and is not waited for.
        """
        if sys.platform == "win32" or not wanted or self._at is None:
            yield
            return
        import fcntl  # noqa: PLC0415 - POSIX only

        try:
            lock = os.open(".", os.O_RDONLY | _DIRECTORY | _CLOSE, dir_fd=self._at)
        except OSError:  # it may be entered and not read
            yield
            return
        deadline = time.monotonic() + _LOCKED
        try:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(_POLL)
                except OSError:  # a file system without locks
                    break
                else:
                    break
            yield
        finally:
            os.close(lock)

    def look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(self._name(name), dir_fd=self._at, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, name: str, limit: int) -> bytes:
        descriptor = os.open(self._name(name), os.O_RDONLY | _CLOSE | _NO_WAIT | _NO_FOLLOW, dir_fd=self._at)
        return _read_all(descriptor, Path(self.path) / name, limit)

    def put(
        self,
        name: str,
        content: bytes,
        before: os.stat_result | None,
        mode: int,
        *,
        sync: bool,
        times: bool = False,
    ) -> None:
        """Write a new file and let it take the place of ``name``."""
        temporary = f".{name[:100]}.{os.urandom(8).hex()}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _CLOSE
        descriptor = os.open(self._name(temporary), flags, _PRIVATE, dir_fd=self._at)
        try:
            with open(descriptor, "wb", closefd=True) as stream:  # noqa: PTH123 - a descriptor, not a path
                stream.write(content)
                stream.flush()
                _own(descriptor, before, mode)
                if times and before is not None and os.utime in os.supports_fd:
                    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
                if sync:
                    os.fsync(descriptor)
            self._replace(temporary, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(self._name(temporary), dir_fd=self._at)
            raise
        if sync and self._at is not None:
            with suppress(OSError):  # not every file system syncs directories
                os.fsync(self._at)

    def _replace(self, temporary: str, name: str) -> None:
        deadline = time.monotonic() + (_READERS if sys.platform == "win32" else 0.0)
        while True:
            try:
                os.replace(self._name(temporary), self._name(name), src_dir_fd=self._at, dst_dir_fd=self._at)
            except PermissionError:  # on Windows a file that is being read cannot be replaced
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)
            else:
                return

    def _name(self, name: str) -> str:
        return name if self._at is not None else os.path.join(self.path, name)  # noqa: PTH118 - as os takes it


@contextmanager
def _folder_of(
    path: Path, links: Links, below: Path | None, *, make: bool = True
) -> Iterator[tuple[_Folder, str]]:
    """Open the directory a file is in. The name is that of the real file where a link is followed."""
    path = Path(os.path.realpath(path) if links == "follow" else os.path.abspath(path))  # noqa: PTH100 - links stay
    if path.is_symlink() and links != "replace":
        raise Unfit(_linked(path), path, errno.ELOOP)
    steps: tuple[str, ...] = ()
    start = path.parent
    if below is not None and links != "follow":
        start = Path(os.path.abspath(below))  # noqa: PTH100 - links stay
        steps = path.parent.relative_to(start).parts
    if not _HAS_DIR_FD:
        for step in steps:
            start = start / step
            if make:
                start.mkdir(exist_ok=True)
            if (
                start.is_symlink()
                or os.path.realpath(start) != os.path.realpath(start.parent) + os.sep + start.name
            ):
                raise Unfit(_linked(start), start, errno.ELOOP)
        yield _Folder(str(path.parent), None), path.name
        return
    look = _DIRECTORY | _CLOSE | getattr(os, "O_PATH", os.O_RDONLY)
    at = os.open(start, look)
    try:
        for step in steps:
            start = start / step
            inner = _step(at, step, start, look, make=make)
            os.close(at)
            at = inner
        yield _Folder(str(path.parent), at), path.name
    finally:
        os.close(at)


def _step(at: int, name: str, path: Path, flags: int, *, make: bool) -> int:
    """Open a directory in a directory, made if it is missing and never through a link."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=at)
    try:
        return os.open(name, flags | _NO_FOLLOW, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise Unfit(_linked(path), path, errno.ELOOP) from None
        raise error from None


def _linked(path: Path) -> str:
    target = str(path.readlink()) if path.is_symlink() else os.path.realpath(path)
    return (
        f"{path} is a symbolic link to {target!a}, which dmcp does not follow unless you name it yourself: "
        "look where it leads, and replace it by a file or a directory of its own"
    )


def _refuse_other_kinds(found: os.stat_result, path: object) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
    number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
    if number == errno.EISDIR:
        raise IsADirectoryError(number, "it is a directory, not a file", str(path))
    raise Unfit(f"it is {kind}, not a file", path, number)


def _read_all(descriptor: int, path: object, limit: int) -> bytes:
    with open(descriptor, "rb", closefd=True) as stream:
        found = os.fstat(descriptor)
        _refuse_other_kinds(found, path)
        if found.st_size > limit:
            raise TooLarge(path, limit)
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(path, limit)
    return content


def _unmarked(content: bytes) -> bytes:
    while content.startswith(_MARK):
        content = content[len(_MARK) :]
    return content


def _mode(before: os.stat_result | None, mode: int | None, *, private: bool) -> int:
    if mode is None:
        is_file = before is not None and stat.S_ISREG(before.st_mode)
        mode = stat.S_IMODE(before.st_mode) & 0o777 if before is not None and is_file else _PRIVATE
    return mode & 0o700 if private else mode


def _own(descriptor: int, before: os.stat_result | None, mode: int) -> None:
    """Give a new file the owner (for root), the group and the permissions it shall have."""
    if sys.platform == "win32":
        return
    made = os.fstat(descriptor)
    if before is not None and stat.S_ISREG(before.st_mode):
        try:
            if (before.st_uid, before.st_gid) != (made.st_uid, made.st_gid):
                os.fchown(descriptor, before.st_uid if os.geteuid() == 0 else -1, before.st_gid)
        except OSError:
            mode &= 0o707  # another group than before: what that one might do is not this one's
    os.fchmod(descriptor, mode)
