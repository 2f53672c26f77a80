"""The files that remember what lazy servers offer: where they are, who may read them, how many there are."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from dmcp.store import listings
from dmcp.store.listings import ListingFiles, directory


def keep(files: ListingFiles, name: str, content: bytes) -> None:
    asyncio.run(files.save(name, content))


def kept(files: ListingFiles, name: str) -> bytes:
    return asyncio.run(files.load(name))


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/dmcp/listings")),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, Path("/x/dmcp/listings")),
        ("linux", {}, Path.home() / ".cache/dmcp/listings"),
        ("linux", {"XDG_CACHE_HOME": ""}, Path.home() / ".cache/dmcp/listings"),
        ("darwin", {}, Path.home() / "Library/Caches/dmcp/listings"),
        ("win32", {"LOCALAPPDATA": "/l"}, Path("/l/dmcp/listings")),
        ("win32", {}, Path.home() / "AppData/Local/dmcp/listings"),
    ],
)
def test_the_files_are_in_the_cache_directory_of_the_platform(
    platform: str, environ: dict[str, str], expected: Path
) -> None:
    assert directory(environ, platform) == expected


def test_what_was_saved_last_is_loaded(tmp_path: Path) -> None:
    files = ListingFiles(tmp_path / "a" / "b")
    assert kept(files, "f") == b""
    keep(files, "f", b"one")
    keep(files, "f", b"two")
    assert kept(files, "f") == b"two"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["f.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits here")
def test_a_directory_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keep(ListingFiles(tmp_path), "f", b"x")
    assert [path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / "f.json")] == [0o700, 0o600]


def test_a_file_larger_than_dmcp_would_write_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ListingFiles(tmp_path)
    keep(files, "f", b"12345")
    monkeypatch.setattr(listings, "LARGEST", 4)
    assert kept(files, "f") == b""


def test_the_oldest_files_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MOST_FILES", 3)
    files = ListingFiles(tmp_path)
    for age, name in enumerate("abc"):
        keep(files, name, b"x")
        os.utime(tmp_path / f"{name}.json", (age, age))
    keep(files, "d", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "c.json", "d.json"]


def test_a_directory_in_the_place_of_the_file_is_no_file_and_is_left_alone(tmp_path: Path) -> None:
    files = ListingFiles(tmp_path)
    (tmp_path / "f.json").mkdir()
    keep(files, "f", b"x")
    assert kept(files, "f") == b""
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    keep(ListingFiles(), "f", b"x")
    assert kept(ListingFiles(), "f") == b""


def test_what_is_too_large_to_be_kept_takes_what_was_kept_before_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LARGEST", 4)
    files = ListingFiles(tmp_path)
    for content in (b"12345", b""):
        keep(files, "f", b"1234")
        assert kept(files, "f") == b"1234"
        keep(files, "f", content)
        assert kept(files, "f") == b""
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and permission bits of POSIX")
@pytest.mark.parametrize(
    "kind", ["link", "link to nothing", "pipe", "directory", "device", "writable", "huge"]
)
def test_what_is_no_file_of_the_users_own_is_not_read(tmp_path: Path, kind: str) -> None:
    files, place = ListingFiles(tmp_path / "kept"), tmp_path / "kept" / "f.json"
    keep(files, "f", b"own")
    place.unlink()
    (tmp_path / "other").write_bytes(b"other")
    match kind:
        case "link":
            place.symlink_to(tmp_path / "other")
        case "link to nothing":
            place.symlink_to(tmp_path / "nothing")
        case "pipe":
            os.mkfifo(place)
        case "directory":
            place.mkdir()
        case "device":
            place.symlink_to("/dev/zero")
        case "writable":
            place.write_bytes(b"other")
            place.chmod(0o666)
        case "huge":
            with place.open("wb") as file:
                file.truncate(1 << 30)
    assert kept(files, "f") == b""
    if kind not in ("directory", "pipe"):  # those are left alone, and said
        keep(files, "f", b"new")
        assert kept(files, "f") == b"new"
        assert not place.is_symlink()
    assert (tmp_path / "other").read_bytes() == b"other"
