"""Credentials in the operating system's keyring (the ``keyring`` extra), with the locks that files have."""

from __future__ import annotations

from typing import Final

from dmcp.auth.store import FileStore
from dmcp.errors import AuthError

try:
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError
except ModuleNotFoundError as missing:
    raise AuthError(
        '`oauth_store` is "keyring" and the keyring package is not installed:'
        " run `pip install 'dmcp[keyring]'`, or set it to \"file\""
    ) from missing

SERVICE: Final = "dmcp"


class KeyringStore(FileStore):
    """Credentials in the keyring: service ``dmcp``, user the server's name. The disk has lock files only."""

    def _load(self, server: str) -> bytes:
        try:
            return (keyring.get_password(SERVICE, server) or "").encode()
        except KeyringError as error:
            raise _unusable(error) from error

    def _save(self, server: str, content: bytes) -> None:
        try:
            keyring.set_password(SERVICE, server, content.decode())
        except KeyringError as error:
            raise _unusable(error) from error

    def _delete(self, server: str) -> bool:
        try:
            keyring.delete_password(SERVICE, server)
        except PasswordDeleteError:
            return False
        except KeyringError as error:
            raise _unusable(error) from error
        return True


def _unusable(error: KeyringError) -> AuthError:
    return AuthError(
        f"the operating system's keyring does not work ({type(error).__name__}):"
        ' unlock it, or set `oauth_store` to "file" in the configuration'
    )
