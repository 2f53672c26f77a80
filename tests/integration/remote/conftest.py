"""What the tests of remote servers that want a sign-in start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, without any browser."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def guarded(home: Path, no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    """A server that wants a sign-in, and the authorization server for it."""
    with running() as server:
        yield server
