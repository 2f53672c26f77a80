"""The keyring store, over a keyring of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring
import keyring.backend
import keyring.errors
import pytest

from dmcp.auth.record import Entry, Record
from dmcp.auth.store import FileStore, KeyringStore
from dmcp.auth.tokens import Tokens
from dmcp.errors import AuthError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
RECORD = Record((Entry("https://r", "https://i", "https://r", tokens=Tokens("at", "rt")),))


class Vault(keyring.backend.KeyringBackend):  # type: ignore[misc,name-defined]  # keyring is untyped for us
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("no")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise keyring.errors.PasswordDeleteError("none")
        del self.kept[service, username]


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_keyring_keeps_what_the_files_would(tmp_path: Path) -> None:
    before, vault = keyring.get_keyring(), Vault()
    keyring.set_keyring(vault)
    try:
        store = KeyringStore(tmp_path)
        await store.write("odd/name", RECORD)
        assert ("dmcp", "odd/name") in vault.kept
        assert _files(tmp_path) == []
        assert await store.read("odd/name") == RECORD
        assert await store.remove("odd/name")
        assert not await store.remove("odd/name")
        vault.locked = True
        with pytest.raises(AuthError, match="keyring"):
            await store.read("odd/name")
    finally:
        keyring.set_keyring(before)


async def test_what_a_file_kept_from_before_is_read_and_moves_into_the_keyring(tmp_path: Path) -> None:
    before, vault = keyring.get_keyring(), Vault()
    keyring.set_keyring(vault)
    try:
        await FileStore(tmp_path).write("far", RECORD)
        store = KeyringStore(tmp_path)
        assert await store.read("far") == RECORD
        await store.write("far", RECORD)
        assert (_files(tmp_path), list(vault.kept)) == ([], [("dmcp", "far")])
        await FileStore(tmp_path).write("left", RECORD)
        assert await store.remove("left")
        assert await store.read("left") == Record()
    finally:
        keyring.set_keyring(before)
