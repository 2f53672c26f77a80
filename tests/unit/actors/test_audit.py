"""The audit actor, never started: handed events, its subscribers inspected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp.actors.audit import Audit
from dmcp.messages import events

if TYPE_CHECKING:
    import pytest

CUT = events.ListingCut("g", "tools", "pages tools/list without an end")


def test_every_subscriber_gets_every_event_and_one_that_raises_hinders_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    audit, seen = Audit(), list[object]()

    def fails(_: object) -> None:
        raise ValueError("a subscriber's own fault")

    for subscriber in (fails, seen.append):
        audit.on_receive(events.Subscribe(subscriber))
    audit.on_receive(CUT)
    audit.on_receive(CUT)
    assert seen == [CUT, CUT]
    written = capsys.readouterr().err
    assert "a subscriber's own fault" in written
    assert "g: pages tools/list without an end" in written
