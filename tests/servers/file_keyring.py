"""A keyring that several processes of a test share: a JSON file, named by ``KEYRING_FILE``. It keeps nothing secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Choose it with ``PYTHON_KEYRING_BACKEND=servers.file_keyring.FileKeyring``."""

    priority = 1

    @staticmethod
    def _kept() -> dict[str, str]:
        path = Path(os.environ["KEYRING_FILE"])
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return kept

    @staticmethod
    def _keep(kept: dict[str, str]) -> None:
        Path(os.environ["KEYRING_FILE"]).write_text(json.dumps(kept), encoding="utf-8")

    def get_password(self, service: str, username: str) -> str | None:
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keep({**self._kept(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._kept()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("there is none")
        self._keep(kept)
