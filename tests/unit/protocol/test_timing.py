"""Who works on becoming ready gets more time, up to a limit; who waits does not."""

from __future__ import annotations

import pytest

from dmcp.protocol.limits import MAX_START
from dmcp.protocol.timing import Activity, StartClock


def looked(before: Activity, after: Activity) -> bool:
    clock = StartClock(0.0, 30.0)
    clock.look(before, 25.0)
    return clock.look(after, 30.0)


@pytest.mark.parametrize(
    ("after", "works"),
    [
        (Activity(10.0, 0, 0), False),
        (Activity(10.05, 1000, 0), False),  # a timer or two
        (Activity(10.2, 0, 0), True),
        (Activity(10.0, 100_000, 0), True),
        (Activity(10.0, 0, 1), True),
        (Activity(0.0, 0, 0), False),  # what it had started has ended
    ],
)
def test_work_is_told_from_waiting(after: Activity, works: bool) -> None:
    assert looked(Activity(10.0, 0, 0), after) is works


def test_without_a_measurement_before_nothing_is_known() -> None:
    assert not StartClock(0.0, 30.0).look(Activity(100.0, 10**9, 10**6), 30.0)


def test_there_is_an_end_to_it() -> None:
    clock = StartClock(0.0, 30.0)
    clock.look(Activity(0.0, 0, 0), 25.0)
    assert clock.look(Activity(100.0, 0, 0), MAX_START - 1)
    assert not clock.look(Activity(900.0, 0, 0), MAX_START)


def test_those_who_wait_are_refused_once_each_time_the_configured_seconds_have_passed() -> None:
    clock = StartClock(0.0, 30.0)
    assert [at for at in range(0, 121, 5) if clock.refuses(at)] == [30, 60, 90, 120]


def test_the_steps_are_short_where_the_time_is() -> None:
    assert StartClock(0.0, 30.0).step == 5.0
    assert StartClock(0.0, 1.0).step == 0.5
