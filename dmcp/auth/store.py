"""Where credentials are kept: one file for each server, shared by all dmcp processes of the person.

It owns the files, their permissions and the locks; what stands in a file is ``dmcp.auth.record``'s. The
directory is 0700, the files 0600 and replaced as a whole. A lock is an operating system lock on a file
beside it: it ends with its process.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from filelock import FileLock, Timeout
from pydantic_core import from_json, to_json

from dmcp import log
from dmcp.auth.record import Record
from dmcp.auth.record import from_json as record_from_json
from dmcp.auth.record import to_json as record_to_json
from dmcp.errors import AuthError, AuthUnavailable
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Purpose = Literal["refresh", "sign-in"]
PATIENCE: Final = 45.0
"""Seconds to wait for another process to finish its refresh; longer than its requests can take."""
_POLL = 0.05  # seconds between two tries for a lock another process holds; no kernel tells us when it is free
_LARGEST = 4 * 1024 * 1024  # bytes of what is kept of one server
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. @+-]{0,99}(?<![. ])")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_PRIVATE = 0o077  # permission bits that nobody but the owner may have


def directory() -> Path:
    """The predecessor's directory, so that its sign-ins stay valid."""
    return Path.home() / ".dynamic-mcp" / "oauth-servers"


def file_name(server: str) -> str:
    """A safe file name for a server: its own name where that is one (as the predecessor), else a digest."""
    if _PLAIN_NAME.fullmatch(server) and not _RESERVED.fullmatch(server):
        return f"{server}.json"
    # "~" cannot stand in a plain name, so no other server's plain name is the same file.
    return f"~{hashlib.sha256(server.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


class FileStore:
    """Credentials in files. All methods run on the event loop; the disk is left to threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or directory()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._folder}>"

    async def read(self, server: str) -> Record:
        """What is kept about a server; an empty record when there is nothing that can be read.

        Raises:
            AuthError: the file is there and the operating system does not let dmcp read it.
        """
        content = await asyncio.to_thread(self._load, server)
        record = _parsed(content, server) if content else None
        _hide(record or Record())
        return record or Record()

    async def write(self, server: str, record: Record) -> None:
        """Keep this about a server, durably, before returning.

        Raises:
            AuthError: it cannot be written.
        """
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
        patience: float = PATIENCE,
        taken: Callable[[], object] = lambda: None,
    ) -> AsyncIterator[None]:
        """Hold a server's lock against every other holder, in this process and in others.

        Args:
            server: whose.
            purpose: refreshing and signing in have locks of their own: the second waits for a person.
            patience: seconds to wait for it.
            taken: is called once, on the loop, if somebody else holds it.

        Raises:
            AuthUnavailable: another process did not let go in time.
            AuthError: the lock file cannot be made.
        """
        await asyncio.to_thread(self._prepare)
        path = self._folder / f"{file_name(server)}.{purpose}.lock"
        # Tried without blocking, on the loop: a wait in a thread cannot be cancelled and may win in the end.
        lock = FileLock(path, mode=0o600, thread_local=False, blocking=False)
        try:
            async with asyncio.timeout(patience):
                if not _acquired(lock):
                    taken()
                    while not _acquired(lock):  # noqa: ASYNC110 - what is waited for happens in another process
                        await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise AuthUnavailable(
                f"another dmcp process has been busy with its {purpose} for {patience:g} s"
            ) from error
        except OSError as error:
            raise AuthError(f"the lock file {path} cannot be used: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._folder.stat().st_mode & _PRIVATE:
                self._folder.chmod(0o700)
        except OSError as error:
            raise AuthError(
                f"the directory {self._folder} for sign-ins cannot be used: {error.strerror}"
            ) from error

    def _load(self, server: str) -> bytes:
        path = self._folder / file_name(server)
        try:
            if path.stat().st_mode & _PRIVATE:
                path.chmod(0o600)  # the predecessor left its files open to others
            return files.read(path, _LARGEST)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise AuthError(f"the sign-in kept in {path} cannot be read: {error.strerror}") from error

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


def open_store(kind: Literal["file", "keyring"]) -> FileStore:
    """The store the configuration asks for.

    Raises:
        AuthError: the keyring is asked for and not installed.
    """
    if kind == "keyring":
        from dmcp.auth.keyring_store import KeyringStore  # noqa: PLC0415 - an extra that may be missing

        return KeyringStore()
    return FileStore()


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


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
