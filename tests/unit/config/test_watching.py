from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest

from dmcp.config import watching
from dmcp.config.watching import changes, directories, fingerprint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio
PATIENCE = 30  # seconds: the bound of a wait, never its length


SELDOM = 600_000  # milliseconds: so that only events can tell of a change
OFTEN = 50


@pytest.fixture(autouse=True)
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    # A change between two watches is found by the next look; do not let the tests wait for it.
    monkeypatch.setattr(watching, "_LOOK_ANYWAY", OFTEN)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dmcp.json"
    put(path, "first")
    return path


def put(path: Path, text: str) -> None:
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(path)


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path, target: Path | str) -> None:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this system lets no ordinary user make a symlink")


async def following(stream: AsyncGenerator[str | None, None], path: Path) -> None:
    """Wait for a change whose fingerprint is that of the file as it is now."""
    with anyio.fail_after(PATIENCE):
        async for seen in stream:
            if seen == fingerprint(path):
                return


@pytest.mark.parametrize("write", [put, replace])
async def test_events_alone_tell_of_a_file_written_in_place_or_replaced(
    config: Path, write: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_ANYWAY", SELDOM)
    seen: list[str | None] = []

    async def watch() -> None:
        async with aclosing(changes(config, fingerprint(config))) as stream:
            async for change in stream:
                seen.append(change)
                if change == fingerprint(config) and len(seen) > 2:
                    return

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            # Nobody says when the watch has begun, so write until enough changes have been seen.
            text = 0
            while len(seen) <= 2:
                write(config, f"{(text := text + 1)}")
                await anyio.sleep(0.5)  # longer than events may be apart to be one change
            group.cancel_scope.cancel()
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("write", [put, replace])
async def test_each_new_content_is_a_change(config: Path, write: Callable[[Path, str], None]) -> None:
    async with aclosing(changes(config, fingerprint(config))) as stream:
        for text in ("second", "third"):
            write(config, text)
            await following(stream, config)


async def test_a_change_made_before_watching_began_is_not_lost(config: Path) -> None:
    before = fingerprint(config)
    put(config, "second")
    async with aclosing(changes(config, before)) as stream:
        with anyio.fail_after(PATIENCE):
            assert await anext(stream) == fingerprint(config)


async def test_without_a_fingerprint_the_content_at_the_first_look_is_no_change(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = iter(["at first", "at first", "changed"])
    monkeypatch.setattr(watching, "fingerprint", lambda path: next(contents))
    async with aclosing(changes(config)) as stream:
        with anyio.fail_after(PATIENCE):
            assert await anext(stream) == "changed"


async def test_where_the_system_grants_no_watch_the_file_is_looked_at_anyway(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*places: Path, **settings: object) -> None:
        raise OSError("no more watches")

    monkeypatch.setattr("watchfiles.main.RustNotify", refuse)
    async with aclosing(changes(config, fingerprint(config))) as stream:
        for text in ("second", "third"):
            put(config, text)
            await following(stream, config)


async def test_a_file_that_is_touched_or_written_again_has_not_changed(config: Path) -> None:
    async with aclosing(changes(config, fingerprint(config))) as stream:
        put(config, "first")
        put(config.with_name("neighbour"), "x")
        replace(config, "first")
        put(config, "second")
        with anyio.fail_after(PATIENCE):
            assert await anext(stream) == fingerprint(config)


async def test_deletion_and_return_are_both_changes(config: Path) -> None:
    async with aclosing(changes(config, fingerprint(config))) as stream:
        remove(config)
        with anyio.fail_after(PATIENCE):
            assert await anext(stream) is None
        put(config, "first")
        await following(stream, config)


async def test_a_directory_that_is_deleted_and_returns_is_watched_again(tmp_path: Path) -> None:
    config = tmp_path / "room" / "dmcp.json"
    config.parent.mkdir()
    put(config, "first")
    async with aclosing(changes(config, fingerprint(config))) as stream:
        config.unlink()
        config.parent.rmdir()
        with anyio.fail_after(PATIENCE):
            assert await anext(stream) is None
        config.parent.mkdir()
        put(config, "second")
        await following(stream, config)


async def test_a_file_behind_a_symlink_is_watched_where_it_is(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "real.json"
    target.parent.mkdir()
    put(target, "first")
    (tmp_path / "here").mkdir()
    config = tmp_path / "here" / "dmcp.json"
    link(config, target)
    async with aclosing(changes(config, fingerprint(config))) as stream:
        put(target, "second")
        await following(stream, config)
        other = target.with_name("other.json")
        put(other, "third")
        config.unlink()
        link(config, other)
        await following(stream, config)
        put(other, "fourth")
        await following(stream, config)


async def test_a_swapped_directory_as_in_kubernetes_is_a_change(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        (tmp_path / f"..v{version}").mkdir()
        (tmp_path / f"..v{version}" / "dmcp.json").write_text(version)
    link(tmp_path / "..data", "..v1")
    config = tmp_path / "dmcp.json"
    link(config, "..data/dmcp.json")
    async with aclosing(changes(config, fingerprint(config))) as stream:
        for version in ("2", "3"):
            link(tmp_path / "..next", f"..v{version}")
            (tmp_path / "..next").replace(tmp_path / "..data")
            await following(stream, config)
            assert config.read_text() == version


async def test_a_cancelled_watch_ends(config: Path) -> None:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                async with aclosing(changes(config, None)) as stream:
                    async for _ in stream:
                        group.cancel_scope.cancel()

            group.start_soon(watch)
    assert group.cancel_scope.cancel_called


def test_the_directory_of_every_link_on_the_way_is_watched(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "real").mkdir(parents=True)
    (tmp_path / "b" / "real" / "c.json").write_text("")
    link(tmp_path / "a" / "c.json", "../b/link/c.json")
    link(tmp_path / "b" / "link", tmp_path / "b" / "real")
    expected = {tmp_path / "a", tmp_path / "b", tmp_path / "b" / "real"}
    assert directories(tmp_path / "a" / "c.json") == expected


def test_what_is_not_there_is_watched_for_in_the_nearest_directory(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    assert directories(tmp_path / "no" / "nor" / "c.json") == {tmp_path}


def test_links_in_a_circle_are_no_endless_way(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    link(tmp_path / "a", "b")
    link(tmp_path / "b", "a")
    assert directories(tmp_path / "a") == {tmp_path}
    assert fingerprint(tmp_path / "a") is None
