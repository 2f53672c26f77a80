"""The files that keep sign-ins: what others could read is said, and what lies in a lock's place holds nothing up."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from dmcp import log
from dmcp.auth import store as store_module
from dmcp.auth.store import FileStore
from dmcp.errors import AuthError, AuthUnavailable
from security.auth_home import SIGNED_IN, Home, told, whoami
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="permission bits and links are POSIX's"),
]
_KEPT = json.dumps({"version": 1, "entries": []})


@pytest.fixture
def server(no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    with running() as server:
        yield server


@pytest.mark.parametrize(("file", "folder"), [(0o644, 0o700), (0o620, 0o700), (0o600, 0o755)])
def test_a_token_file_others_could_read_or_write_is_said_once_and_closed(
    server: OAuthServer, tmp_path: Path, file: int, folder: int
) -> None:
    home = Home(tmp_path, server)
    home.leave(_KEPT, file)
    home.kept.parent.chmod(folder)
    first = told(home.run("auth", "logout", "far")) if folder != 0o700 else told(home.run("auth", "status"))
    assert first.count("others could read or write") == 1
    assert stat.S_IMODE(home.kept.parent.stat().st_mode) == 0o700
    assert "others" not in told(home.run("auth", "status"))


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "directory"])
def test_what_lies_in_the_place_of_a_lock_is_told_and_nothing_behind_it_is_touched(
    server: OAuthServer, tmp_path: Path, kind: str
) -> None:
    home = Home(tmp_path, server)
    home.leave(_KEPT)
    lock = home.kept.with_name("far.json.refresh.lock")
    precious = tmp_path / "precious"
    if kind == "link":
        precious.write_text("mine")
        lock.symlink_to(precious)
    elif kind == "dangling link":
        lock.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    done = home.run("auth", "logout", "far")
    assert done.returncode == 1
    assert str(lock) in told(done)
    assert home.kept.exists()
    assert precious.exists() == (kind == "link")
    if kind == "link":
        assert precious.read_text() == "mine"


@pytest.mark.parametrize("kind", ["pipe", "directory"])
async def test_what_lies_in_the_place_of_a_token_file_holds_up_nobody(
    server: OAuthServer, tmp_path: Path, kind: str
) -> None:
    home = Home(tmp_path, server)
    home.leave(_KEPT)
    home.kept.unlink()
    if kind == "pipe":
        os.mkfifo(home.kept)
    else:
        home.kept.mkdir()
    done = home.run("auth", "status")
    assert done.returncode == 1
    assert str(home.kept) in told(done)


def test_a_token_file_beyond_its_limit_is_not_read(server: OAuthServer, tmp_path: Path) -> None:
    home = Home(tmp_path, server)
    home.leave('{"access_token": "' + "a" * 3_000_000 + '"}')
    done = home.run("auth", "status")
    assert done.returncode == 1
    assert str(home.kept) in told(done)


def test_a_token_that_is_no_header_is_not_used(server: OAuthServer, tmp_path: Path) -> None:
    home = Home(tmp_path, server)
    home.leave(json.dumps({"access_token": "a\r\nX-Evil: 1", "refresh_token": "rt"}))
    done = home.run("auth", "adopt", "far", "--yes")
    assert done.returncode == 1
    assert "left no sign-in" in told(done)


async def test_a_lock_somebody_holds_for_ever_is_waited_for_a_bounded_time_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(store_module, "_LONG_WAIT", 0.1)
    monkeypatch.setattr(log, "warning", lambda text, group="": said.append(f"{group}: {text}"))
    (tmp_path / "far.json.refresh.lock").touch()
    stopped = FileLock(tmp_path / "far.json.refresh.lock")
    with stopped, pytest.raises(AuthUnavailable, match="another dmcp process has been busy"):
        async with FileStore(tmp_path).locked("far", "refresh", wait_timeout=1.0):
            pass
    assert said == ["far: waits for another dmcp process, which is busy with its refresh"]
    assert store_module.WAIT_TIMEOUT < 30  # what a call waits for by default: it hears why


async def test_a_lock_that_is_won_by_somebody_who_is_cancelled_is_given_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for steps in range(12):

        async def hold() -> None:
            async with store.locked("far", "refresh"):
                await asyncio.sleep(60)

        task = asyncio.create_task(hold())
        for _ in range(steps):
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with FileStore(tmp_path).locked("far", "refresh", wait_timeout=10):
            pass


async def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "oauth-servers").write_text("")
    with pytest.raises(AuthError, match="oauth-servers"):
        async with FileStore(tmp_path / "oauth-servers").locked("far", "refresh"):
            pass


async def test_a_sign_in_in_a_link_is_read_and_the_link_is_replaced_when_it_is_renewed(
    server: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    assert home.run("auth", "login", "far").returncode == 0
    elsewhere = tmp_path / "elsewhere.json"
    home.kept.rename(elsewhere)
    home.kept.symlink_to(elsewhere)
    before = elsewhere.read_text()
    server.set(expire_access=True)
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
    assert not home.kept.is_symlink()
    assert elsewhere.read_text() == before
