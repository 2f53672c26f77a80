"""The soak of ``soak.py``, as short as it still means something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

GROWTH = 10.0  # megabytes between the first half and the second: less than one listing kept for each call


def test_under_random_faults_and_reloads_nothing_is_lost_or_done_twice_and_memory_is_flat(
    tmp_path: Path,
) -> None:
    found = soak(tmp_path, seconds=10.0, seed=4)
    assert not found.broken, "\n".join(found.broken[:20])
    assert found.calls == sum(found.outcomes.values())
    assert min(found.outcomes["answered"], found.outcomes["failed"], found.reloads) > 0
    middle = len(found.megabytes) // 2
    assert max(found.megabytes[middle:]) <= max(found.megabytes[:middle]) + GROWTH
