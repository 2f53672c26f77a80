"""What outlives the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.errors import ConfigError
from dmcp.fault.journal import Journal, read_journal
from dmcp.fault.plan import FaultPoint

if TYPE_CHECKING:
    from pathlib import Path

CALL = FaultPoint("call", "tools/call", "echo")


def test_a_new_process_goes_on_counting_where_the_last_one_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal(path)
    first.decided(0, "crash", CALL, acted=True)
    first.decided(0, "crash", CALL, acted=False)
    first.ran("counter", "key")
    second = Journal(path)  # the first was never closed, as after SIGKILL
    assert second.counted(0) == (2, 1)
    assert second.ran("counter", "key") == 2
    assert second.runs("other") == 0
    first.close()
    second.close()


def test_the_events_can_be_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.started("stdio", 7)
    journal.decided(3, "drop", CALL, acted=True)
    journal.close()
    events = read_journal(tmp_path / "journal")
    assert [event["event"] for event in events] == ["started", "acted"]
    assert events[1] | {"index": 3, "fault": "drop", "phase": "call", "method": "tools/call"} == events[1]


def test_lines_of_somebody_else_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'what is this\n[1]\n{"event":"acted","index":0}\n{"event":"acted"}\n')
    journal = Journal(path)
    assert journal.counted(0) == (1, 1)
    journal.close()


def test_without_a_file_nothing_is_there_to_read(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == []


def test_a_journal_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a file that can be written"):
        Journal(tmp_path)
