from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from dmcp import log
from dmcp.auth.record import Entry, Record
from dmcp.auth.registration import Client
from dmcp.auth.store import FileStore, file_name
from dmcp.auth.tokens import Tokens
from dmcp.errors import AuthError, AuthUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
RECORD = Record(
    (Entry("https://r", "https://i", "https://r", "https://i/t", Client("c"), Tokens("at", "rt")),)
)
posix = pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "oauth-servers"


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    seen: set[str] = set()
    monkeypatch.setattr(log, "hide", seen.update)
    return seen


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _left_by_predecessor(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True)
    path = folder / "one.json"
    path.write_bytes(content)
    if os.name == "posix":
        path.chmod(0o644)
        folder.chmod(0o755)
    return path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_what_was_written_is_read_and_then_forgotten(folder: Path) -> None:
    store = FileStore(folder)
    assert await store.read("one") == Record()
    await store.write("one", RECORD)
    assert await store.read("one") == RECORD
    assert await store.remove("one")
    assert not await store.remove("one")
    assert await store.read("one") == Record()


@posix
async def test_files_and_directory_belong_to_their_owner_alone(folder: Path) -> None:
    store = FileStore(folder)
    async with store.locked("one", "refresh"):
        await store.write("one", RECORD)
    assert _mode(folder) == 0o700
    assert {_mode(path) for path in _files(folder)} == {0o600}


@posix
async def test_a_file_the_predecessor_left_open_is_closed_when_read(folder: Path) -> None:
    path = _left_by_predecessor(folder, b'{"access_token": "at"}')
    store = FileStore(folder)
    assert (await store.read("one")).left is not None
    await store.write("one", RECORD)
    assert (_mode(path), _mode(folder)) == (0o600, 0o700)


async def test_tokens_are_hidden_from_the_log_as_soon_as_they_are_known(
    folder: Path, hidden: set[str]
) -> None:
    await FileStore(folder).write("one", RECORD)
    assert hidden == {"at", "rt"}
    hidden.clear()
    await FileStore(folder).read("one")
    assert hidden == {"at", "rt"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b"\xff\xfe"])
async def test_a_corrupt_file_is_as_good_as_none_and_is_kept(folder: Path, content: bytes) -> None:
    path = _left_by_predecessor(folder, content)
    assert await FileStore(folder).read("one") == Record()
    assert path.read_bytes() == content


async def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(folder)
    await store.write("one", RECORD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuthError, match="No space left"):
        await store.write("one", Record())
    assert [path.name for path in _files(folder)] == ["one.json"]
    assert json.loads((folder / "one.json").read_text())["entries"]


async def test_a_directory_that_cannot_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuthError, match="file"):
        await FileStore(tmp_path / "file" / "sub").write("one", RECORD)


@pytest.mark.parametrize("name", ["github", "My server", "a.b-c_d@e+f", "x" * 100])
def test_a_plain_name_is_its_own_file_name_as_it_was_the_predecessors(name: str) -> None:
    assert file_name(name) == f"{name}.json"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../etc/passwd",
        "a/b",
        "a\\b",
        "nul",
        "COM1",
        "con.x",
        "x" * 101,
        "dot.",
        "süß",
        "a\0b",
        "~a",
        "\ud800",
    ],
)
def test_an_odd_name_becomes_a_safe_file_name_of_its_own(name: str) -> None:
    safe = file_name(name)
    assert Path(safe).name == safe
    assert safe.startswith("~")
    assert safe.isascii()
    assert safe != file_name(name + "!")


async def test_a_lock_excludes_other_holders_without_blocking_the_loop(folder: Path) -> None:
    one, two, order = FileStore(folder), FileStore(folder), []
    entered = asyncio.Event()

    async def second() -> None:
        entered.set()
        async with two.locked("s", "refresh"):
            order.append("second")

    async with one.locked("s", "refresh"):
        task = asyncio.create_task(second())
        await asyncio.wait_for(entered.wait(), 5)
        async with two.locked("s", "sign-in"), two.locked("other", "refresh"):
            order.append("first")  # the loop runs on, and other locks are free
    await asyncio.wait_for(task, 10)
    assert order == ["first", "second"]


async def test_a_lock_that_is_not_let_go_is_told_after_a_while(folder: Path) -> None:
    store = FileStore(folder)
    async with store.locked("s", "refresh"):
        with pytest.raises(AuthUnavailable, match="another dmcp process"):
            async with FileStore(folder).locked("s", "refresh", wait_timeout=0.1):
                pass


async def test_a_cancelled_wait_for_a_lock_does_not_get_it_later(folder: Path) -> None:
    store = FileStore(folder)

    async def hold() -> None:
        async with store.locked("s", "refresh"):
            pytest.fail("it was cancelled before")

    async with store.locked("s", "refresh"):
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with store.locked("s", "refresh", wait_timeout=1):
        pass


async def test_on_windows_a_sign_in_is_kept_although_another_process_is_reading_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = [PermissionError(13, "being used by another process")] * 2
    replace = os.replace

    def refused_at_first(*names: str, **at: Any) -> None:
        if readers:
            raise readers.pop()
        replace(*names, **at)

    store = FileStore(folder)
    monkeypatch.setattr("dmcp.store.files._POLL", 0.0)
    monkeypatch.setattr(os, "replace", refused_at_first)
    with monkeypatch.context() as windows:
        windows.setattr("dmcp.store.files.sys.platform", "win32")
        await store.write("one", RECORD)
    assert await store.read("one") == RECORD
    assert not readers


def test_a_user_without_a_home_directory_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("Could not determine home directory.")))
    with pytest.raises(AuthError, match="set HOME"):
        FileStore()
