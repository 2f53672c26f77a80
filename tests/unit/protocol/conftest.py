"""The reader and writer of JSON change once in a process's life: both have to pass every test of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.protocol import wire

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["first messages", "sped up"])
def json_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two is in force."""
    monkeypatch.setattr(wire, "_engine", None)
    if request.param == "sped up":
        wire.use_fast_json()
    return str(request.param)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process as it was."""
    before = wire._engine
    yield
    wire._engine = before
