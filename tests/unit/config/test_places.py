from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from dmcp.config.places import candidates, user_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths as POSIX writes them")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_usual_places(home: Path) -> None:
    assert candidates({}, "linux") == [f"{home}/.config/dmcp/dmcp.json"]
    assert candidates({"XDG_CONFIG_HOME": "/x"}, "linux") == ["/x/dmcp/dmcp.json"]
    assert candidates({"XDG_CONFIG_HOME": "relative"}, "linux") == [f"{home}/.config/dmcp/dmcp.json"]
    assert candidates({}, "darwin")[-1] == f"{home}/Library/Application Support/dmcp/dmcp.json"
    assert candidates({"APPDATA": "/roaming"}, "win32") == ["/roaming/dmcp/dmcp.json"]
    assert candidates({}, "win32") == []


def test_one_that_is_there_goes_first_and_without_a_home_there_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = home / ".config" / "dmcp" / "dmcp.json"
    assert str(user_file({}, "darwin")).startswith(f"{home}/Library")
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    assert user_file({}, "darwin") == str(own)
    monkeypatch.setenv("HOME", "not/absolute")
    assert user_file({}, "linux") is None
