from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.writing import write_whole
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    assert write_whole(tmp_path / "a.json", "text\n") is None
    assert (tmp_path / "a.json").read_bytes() == b"text\n"
    if sys.platform != "win32":
        assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_an_earlier_file_is_kept_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o640)
    assert write_whole(path, "new") == tmp_path / "a.json.bak"
    assert (tmp_path / "a.json.bak").read_text() == "old"
    assert path.read_text() == "new"
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_text("old")
    (tmp_path / "a.json").symlink_to(tmp_path / "real" / "a.json")
    write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "real" / "a.json").read_text() == "new"
    assert (tmp_path / "real" / "a.json.bak").read_text() == "old"


def test_a_failure_leaves_the_earlier_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--output"):
        write_whole(tmp_path / "none" / "a.json", "text")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in directories there")
@pytest.mark.parametrize("keep", [True, False])
def test_a_pipe_or_a_device_is_never_replaced(keep: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="a device or a pipe"):
        write_whole(path, "new", keep=keep)
    assert path.is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
