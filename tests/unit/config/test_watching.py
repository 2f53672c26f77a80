from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from dmcp.config import watching
from dmcp.config.watching import directories, fingerprint, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = 30  # seconds: the bound of a wait, never its length


SELDOM = 600_000  # milliseconds: so that only events can tell of a change
OFTEN = 50


@pytest.fixture(autouse=True)
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    # A change between two watches is found by the next look; do not let the tests wait for it.
    monkeypatch.setattr(watching, "_POLL_INTERVAL", OFTEN)


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


def following(stream: Iterator[str | None], path: Path) -> None:
    """Wait for a change whose fingerprint is that of the file as it is now."""
    for seen in stream:
        if seen == fingerprint(path):
            return


@pytest.mark.parametrize("write", [put, replace])
def test_events_alone_tell_of_a_file_written_in_place_or_replaced(
    config: Path, write: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_POLL_INTERVAL", SELDOM)
    seen: list[str | None] = []
    stop = threading.Event()

    def collect() -> None:
        for change in watch(config, fingerprint(config), stop):
            seen.append(change)  # noqa: PERF402 - the other thread looks at it meanwhile

    watcher = threading.Thread(target=collect)
    watcher.start()
    until = time.monotonic() + TIMEOUT
    # Nobody says when the watch has begun, so write until enough changes have been seen.
    text = 0
    while len(seen) <= 2 and time.monotonic() < until:
        write(config, f"{(text := text + 1)}")
        time.sleep(0.5)  # longer than events may be apart to be one change
    stop.set()
    watcher.join(TIMEOUT)
    assert not watcher.is_alive()
    assert len(seen) > 2
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("write", [put, replace])
def test_each_new_content_is_a_change(config: Path, write: Callable[[Path, str], None]) -> None:
    stream = watch(config, fingerprint(config))
    for text in ("second", "third"):
        write(config, text)
        following(stream, config)


def test_a_change_made_before_watching_began_is_not_lost(config: Path) -> None:
    before = fingerprint(config)
    put(config, "second")
    stream = watch(config, before)
    assert next(stream) == fingerprint(config)


def test_without_a_fingerprint_the_content_at_the_first_look_is_no_change(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = iter(["at first", "at first", "changed"])
    monkeypatch.setattr(watching, "fingerprint", lambda path: next(contents))
    stream = watch(config)
    assert next(stream) == "changed"


def test_where_the_system_grants_no_watch_the_file_is_looked_at_anyway(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*places: Path, **settings: object) -> None:
        raise OSError("no more watches")

    monkeypatch.setattr("watchfiles.main.RustNotify", refuse)
    stream = watch(config, fingerprint(config))
    for text in ("second", "third"):
        put(config, text)
        following(stream, config)


def test_a_file_that_is_touched_or_written_again_has_not_changed(config: Path) -> None:
    stream = watch(config, fingerprint(config))
    put(config, "first")
    put(config.with_name("neighbour"), "x")
    replace(config, "first")
    put(config, "second")
    assert next(stream) == fingerprint(config)


def test_deletion_and_return_are_both_changes(config: Path) -> None:
    stream = watch(config, fingerprint(config))
    remove(config)
    assert next(stream) is None
    put(config, "first")
    following(stream, config)


def test_a_directory_that_is_deleted_and_returns_is_watched_again(tmp_path: Path) -> None:
    config = tmp_path / "room" / "dmcp.json"
    config.parent.mkdir()
    put(config, "first")
    stream = watch(config, fingerprint(config))
    config.unlink()
    config.parent.rmdir()
    assert next(stream) is None
    config.parent.mkdir()
    put(config, "second")
    following(stream, config)


def test_a_file_behind_a_symlink_is_watched_where_it_is(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "real.json"
    target.parent.mkdir()
    put(target, "first")
    (tmp_path / "here").mkdir()
    config = tmp_path / "here" / "dmcp.json"
    link(config, target)
    stream = watch(config, fingerprint(config))
    put(target, "second")
    following(stream, config)
    other = target.with_name("other.json")
    put(other, "third")
    config.unlink()
    link(config, other)
    following(stream, config)
    put(other, "fourth")
    following(stream, config)


def test_a_swapped_directory_as_in_kubernetes_is_a_change(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        (tmp_path / f"..v{version}").mkdir()
        (tmp_path / f"..v{version}" / "dmcp.json").write_text(version)
    link(tmp_path / "..data", "..v1")
    config = tmp_path / "dmcp.json"
    link(config, "..data/dmcp.json")
    stream = watch(config, fingerprint(config))
    for version in ("2", "3"):
        link(tmp_path / "..next", f"..v{version}")
        (tmp_path / "..next").replace(tmp_path / "..data")
        following(stream, config)
        assert config.read_text() == version


def test_a_file_that_changes_all_the_time_is_handed_on_now_and_then(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = iter(range(1_000_000))
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return len(waited) == 4

    monkeypatch.setattr(watching, "fingerprint", lambda path: str(next(contents)))
    monkeypatch.setattr(watching, "_wakeups", lambda path, stop: iter([None] * 100))
    seen = list(watch(config, "none", Stop()))
    assert len(seen) == watching._BURST + 3
    assert all(timeout == pytest.approx(watching._REST, rel=0.2) for timeout in waited)


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
