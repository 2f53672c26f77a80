"""When a failed child is started again, and when it is parked."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dmcp.actors.restart import PARKED_DELAY, History, after_failure
from dmcp.config.model import RestartPolicy

POLICY = RestartPolicy(intensity=3, period=100.0, backoff_min=0.5, backoff_max=8.0)


def delays(policy: RestartPolicy, times: list[float], jitter: float = 1.0) -> list[float]:
    history, found = History(), []
    for now in times:
        history, verdict = after_failure(policy, history, now, jitter)
        found.append(verdict.delay)
    return found


def test_the_delay_doubles_up_to_its_bound() -> None:
    patient = RestartPolicy(intensity=100, backoff_min=0.5, backoff_max=8.0)
    assert delays(patient, [0.0] * 7) == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("jitter", [0.0, 0.3, 1.0])
def test_jitter_keeps_the_delay_between_its_bounds(jitter: float) -> None:
    assert all(0.5 <= delay <= 8.0 for delay in delays(POLICY, [0.0, 1.0, 2.0], jitter))


def test_more_failures_than_the_intensity_within_the_period_park_the_child() -> None:
    assert delays(POLICY, [0.0, 1.0, 2.0, 3.0])[-1] == PARKED_DELAY


def test_a_parked_child_that_fails_again_stays_parked_however_long_it_waited() -> None:
    times = [0.0, 1.0, 2.0, 3.0, 303.0, 603.0, 10_000.0]
    assert delays(POLICY, times)[3:] == [PARKED_DELAY] * 4


def test_a_parked_child_that_was_ready_begins_anew() -> None:
    history = History()
    for now in range(4):
        history, verdict = after_failure(POLICY, history, float(now), 1.0)
    assert verdict.parked
    _, verdict = after_failure(POLICY, history.ready(303.0), 400.0, 1.0)
    assert not verdict.parked


def test_failures_far_apart_do_not_park_it() -> None:
    assert PARKED_DELAY not in delays(POLICY, [0.0, 50.0, 99.0, 150.0, 200.0, 251.0])


def test_a_stable_life_starts_the_backoff_from_the_beginning() -> None:
    history, _ = after_failure(POLICY, History(), 0.0, 1.0)
    history, _ = after_failure(POLICY, history, 1.0, 1.0)
    _, verdict = after_failure(POLICY, history.ready(2.0), 50.0, 1.0)
    assert verdict.delay == POLICY.backoff_min


def test_a_short_life_does_not() -> None:
    history, _ = after_failure(POLICY, History(), 0.0, 1.0)
    _, verdict = after_failure(POLICY, history.ready(2.0), 3.0, 1.0)
    assert verdict.delay > POLICY.backoff_min


def test_ten_thousand_failures_are_no_overflow_and_no_leak() -> None:
    history = History()
    for number in range(10_000):
        history, verdict = after_failure(POLICY, history, number * 200.0, 1.0)
        assert verdict.delay <= POLICY.backoff_max
    assert len(history.failures) <= POLICY.intensity + 1


def test_an_intensity_of_nothing_parks_at_the_first_failure() -> None:
    assert delays(RestartPolicy(intensity=0), [0.0]) == [PARKED_DELAY]


def test_a_session_lost_at_once_again_and_again_is_begun_anew_with_pauses() -> None:
    history, delays = History(), []
    for now in range(20):
        history, delay = history.ready(now).session_lost(now + 0.5)
        delays.append(delay)
    assert delays[:3] == [0.0, 0.0, 0.0]
    assert all(0 < earlier <= later <= 5 for earlier, later in pairwise(delays[3:]))
    assert delays[-1] == 5
    assert history.failures == ()
    assert history.ready(100).session_lost(200)[1] == 0.0
