"""Where credentials are kept: one file for each server, shared by all dmcp processes of the user.

It owns the files, their permissions and the locks; what stands in a file is ``dmcp.auth.record``'s. The
directory is 0700, the files 0600 and replaced as a whole. A lock is an operating system lock on a file
beside it: it ends with its process.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import math
import os
import re
import stat
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from filelock import FileLock, Timeout
from pydantic_core import from_json, to_json

from dmcp import log
from dmcp.auth.record import Record
from dmcp.auth.record import from_json as record_from_json
from dmcp.auth.record import to_json as record_to_json
from dmcp.errors import AuthError, AuthUnavailable
from dmcp.protocol.limits import MAX_SIGN_IN_FILE
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

Purpose = Literal["refresh", "sign-in"]
KEYRING_SERVICE: Final = "dmcp"
WAIT_TIMEOUT: Final = 25.0
"""Seconds to wait for another process to finish its refresh: longer than its request can take, and shorter than the
30 s a call waits by default, so that the call hears why."""
_LONG_WAIT = 3.0  # seconds after which the log says that another process is waited for
_HAS_MODES = sys.platform != "win32"
_POLL = 0.05  # seconds between two tries for a lock another process holds; no kernel tells us when it is free
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. @+-]{0,99}(?<![. ])")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_PRIVATE = 0o077  # permission bits that nobody but the owner may have


def directory() -> Path:
    """Return the predecessor's directory, so that its sign-ins stay valid.

    Raises:
        AuthError: the user has no home directory (a container with a user id of its own).
    """
    try:
        return Path.home() / ".dynamic-mcp" / "oauth-servers"
    except RuntimeError as error:
        raise AuthError("there is no home directory to keep a sign-in in: set HOME") from error


def file_name(server: str) -> str:
    """Return a safe file name for a server: its own name where that is one (as the predecessor), else a digest."""
    if _PLAIN_NAME.fullmatch(server) and not _RESERVED.fullmatch(server):
        return f"{server}.json"
    # "~" cannot stand in a plain name, so no other server's plain name is the same file.
    return f"~{hashlib.sha256(server.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


class FileStore:
    """Credentials in files. All methods run on the event loop; the disk is left to threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or directory()
        self._said: set[Path] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._folder}>"

    async def read(self, server: str) -> Record:
        """Return what is kept about a server; an empty record when there is nothing that can be read.

        Raises:
            AuthError: the file is there and the operating system does not let dmcp read it.
        """
        content = await asyncio.to_thread(self._load, server)
        record = _parsed(content, server) if content else None
        _hide(record or Record())
        return record or Record()

    async def write(self, server: str, record: Record) -> None:
        """Keep this about a server, durably, before returning. Raises ``AuthError``: it cannot be written."""
        _hide(record)
        await asyncio.to_thread(self._save, server, to_json(record_to_json(record), indent=2))

    async def remove(self, server: str) -> bool:
        """Forget all about a server; returns whether there was something."""
        return await asyncio.to_thread(self._delete, server)

    @asynccontextmanager
    async def locked(
        self,
        server: str,
        purpose: Purpose,
        wait_timeout: float = WAIT_TIMEOUT,
        taken: Callable[[], object] = lambda: None,
    ) -> AsyncIterator[None]:
        """Hold a server's lock against every other holder, in this process and in others.

        Args:
            server: whose.
            purpose: refreshing and signing in have locks of their own: the second waits for a user.
            wait_timeout: seconds to wait for it.
            taken: is called once, on the loop, if somebody else holds it.

        Raises:
            AuthUnavailable: another process did not let go in time.
            AuthError: the lock file cannot be made.
        """
        await asyncio.to_thread(self._prepare)
        path = self._folder / f"{file_name(server)}.{purpose}.lock"
        lock = FileLock(path, mode=0o600, thread_local=False, blocking=False)
        try:
            async with asyncio.timeout(wait_timeout):
                await self._take(lock, server, purpose, taken)
        except TimeoutError as error:
            raise AuthUnavailable(
                f"another dmcp process has been busy with its {purpose} for {wait_timeout:g} s: if it hangs, end it"
            ) from error
        except OSError as error:
            raise AuthError(f"the lock file {path} cannot be used: {error.strerror or error}") from error
        try:
            yield
        finally:
            await _finished(lock.release)

    async def _take(self, lock: FileLock, server: str, purpose: Purpose, taken: Callable[[], object]) -> None:
        """Wait for a lock, however long. It is tried without blocking: a thread that waits could not be cancelled."""
        loop = asyncio.get_running_loop()
        said_at = loop.time() + _LONG_WAIT
        first = True
        while not await _acquired(lock):
            if first:
                taken()
            elif loop.time() >= said_at:
                log.warning(f"waits for another dmcp process, which is busy with its {purpose}", server)
                said_at = math.inf
            first = False
            await asyncio.sleep(_POLL)

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._tighten(self._folder, 0o700)
        except OSError as error:
            raise AuthError(
                f"the directory {self._folder} for sign-ins cannot be used: {error.strerror}"
            ) from error

    def _load(self, server: str) -> bytes:
        path = self._folder / file_name(server)
        try:
            self._tighten(path, 0o600)  # the predecessor left its files open to others
            return files.read(path, MAX_SIGN_IN_FILE)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise AuthError(f"the sign-in kept in {path} cannot be read: {error.strerror}") from error

    def _tighten(self, path: Path, mode: int) -> None:
        """Take the rights of others away, and say so: what stood there they may have read. Raises OSError."""
        found = path.stat()
        if not _HAS_MODES or not found.st_mode & _PRIVATE:
            return
        others = f"mode {stat.S_IMODE(found.st_mode):04o}"
        if sys.platform != "win32" and found.st_uid != os.geteuid():
            self._say(
                path, f"others may read or write {path} ({others}), and it is not yours: see who made it"
            )
            return
        path.chmod(mode)
        self._say(
            path,
            f"others could read or write {path} ({others}); now only you can. If somebody else uses this machine, sign"
            " out with `dmcp auth logout` and in again",
        )

    def _say(self, path: Path, text: str) -> None:
        if path not in self._said:
            self._said.add(path)
            log.warning(text)

    def _save(self, server: str, content: bytes) -> None:
        self._prepare()
        path = self._folder / file_name(server)
        try:
            # Complete and on the disk before it takes the other's place.
            files.write(path, content, links="replace", mode=0o600)
        except OSError as error:
            raise AuthError(f"the sign-in cannot be kept in {path}: {error.strerror}") from error

    def _delete(self, server: str) -> bool:
        path = self._folder / file_name(server)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise AuthError(f"the sign-in kept in {path} cannot be removed: {error.strerror}") from error
        return True


class KeyringStore(FileStore):
    """Credentials in the operating system's keyring (the ``keyring`` extra): service ``dmcp``, user the server's name.

    The disk has the locks only. What a file has kept from before is read until it is written again, to the keyring.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Load the keyring. Raises ``AuthError``: it is not installed."""
        super().__init__(folder)
        try:
            import keyring  # noqa: PLC0415 - an extra that may be missing
        except ModuleNotFoundError as missing:
            raise AuthError(
                '`oauth_store` is "keyring" and the keyring package is not installed:'
                " run `pip install 'dmcp[keyring]'`, or set it to \"file\""
            ) from missing
        self._keyring = keyring

    def _load(self, server: str) -> bytes:
        with self._working():
            content = self._keyring.get_password(KEYRING_SERVICE, server)
        return content.encode() if content else super()._load(server)

    def _save(self, server: str, content: bytes) -> None:
        with self._working():
            self._keyring.set_password(KEYRING_SERVICE, server, content.decode())
        super()._delete(server)

    def _delete(self, server: str) -> bool:
        had_file = super()._delete(server)
        try:
            with self._working():
                self._keyring.delete_password(KEYRING_SERVICE, server)
        except self._keyring.errors.PasswordDeleteError:
            return had_file
        return True

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Put the keyring's own errors into words, all but that there is nothing to delete."""
        try:
            yield
        except self._keyring.errors.PasswordDeleteError:
            raise
        except self._keyring.errors.KeyringError as error:
            raise AuthError(
                f"the operating system's keyring does not work ({type(error).__name__}):"
                ' unlock it, or set `oauth_store` to "file" in the configuration'
            ) from error


def open_store(kind: Literal["file", "keyring"]) -> FileStore:
    """Return the store the configuration asks for. Raises ``AuthError``: the keyring is asked for and not installed."""
    if kind == "keyring":
        return KeyringStore()
    return FileStore()


async def _acquired(lock: FileLock) -> bool:
    """Try a lock once, in a thread: a disk of the network may be slow. Raises OSError."""
    task = asyncio.ensure_future(asyncio.to_thread(_tried, lock))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # It may win in the end: what nobody waits for any more is given back.
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None and task.result():
            await _finished(lock.release)
        raise


def _tried(lock: FileLock) -> bool:
    path = Path(lock.lock_file)
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EINVAL, "it is a link or no file at all; remove it", str(path))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


async def _finished(work: Callable[[], object]) -> None:
    """Do short work in a thread to its end, whoever is cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise


def _parsed(content: bytes | str, server: str) -> Record | None:
    try:
        record = record_from_json(from_json(content))
    except ValueError:
        record = None
    if record is None:
        log.warning(
            "the sign-in kept for this server cannot be understood and is not used; sign in again", server
        )
    return record


def _hide(record: Record) -> None:
    for entry in record.entries:
        log.hide(entry.tokens.secrets if entry.tokens else ())
        if entry.client is not None and entry.client.secret:
            log.hide((entry.client.secret,))
