"""The queue of calls that wait for a connection: their order, and when each has waited long enough."""

from __future__ import annotations

from dmcp.actors.request_queue import RequestQueue
from unit.actors.fakes import Inbox, call_id, submit


def queue(*waits: tuple[int, float]) -> RequestQueue:
    """Calls by number, with the time until which they wait."""
    waiting = RequestQueue()
    for number, until in waits:
        waiting.append(submit(number, "ping", {}, Inbox(), wait_until=until))
    return waiting


def numbers(waiting: RequestQueue) -> list[int]:
    return [request.call.number for request in waiting.take_all()]


def test_calls_leave_in_the_order_they_came_and_older_ones_can_be_put_before_them() -> None:
    waiting = queue((3, 0.0), (4, 0.0))
    waiting.put_first([submit(number, "ping", {}, Inbox()) for number in (1, 2)])
    assert len(waiting) == 4
    assert numbers(waiting) == [1, 2, 3, 4]
    assert len(waiting) == 0


def test_one_call_is_taken_out_and_one_that_is_not_there_is_not() -> None:
    waiting = queue((1, 0.0), (2, 0.0))
    taken = waiting.take(call_id(1))
    assert taken is not None
    assert taken.call == call_id(1)
    assert waiting.take(call_id(1)) is None
    assert waiting.take(call_id(2, client=9)) is None
    assert numbers(waiting) == [2]


def test_only_what_has_an_end_of_waiting_expires_and_exactly_then() -> None:
    waiting = queue((1, 0.0), (2, 5.0), (3, 7.0))
    assert waiting.next_expiry() == 5.0
    assert waiting.take_expired(4.9) == []
    assert [request.call.number for request in waiting.take_expired(5.0)] == [2]
    assert waiting.next_expiry() == 7.0
    assert [request.call.number for request in waiting.take_expired(100.0)] == [3]
    assert waiting.next_expiry() is None
    assert numbers(waiting) == [1]


def test_what_has_lost_a_connection_waits_for_another_and_what_is_new_fails_with_the_attempt() -> None:
    waiting = queue((1, 0.0), (2, 5.0))
    assert [request.call.number for request in waiting.take_retryable(vanished=False)] == [2]
    assert numbers(waiting) == [1]


def test_of_a_server_that_is_gone_only_what_may_have_run_waits() -> None:
    waiting = queue((1, 5.0))
    waiting.append(submit(2, "ping", {}, Inbox(), wait_until=5.0, may_have_run=True))
    assert [request.call.number for request in waiting.take_retryable(vanished=True)] == [2]
    assert numbers(waiting) == [1]


def test_the_calls_of_one_client_are_found() -> None:
    waiting = queue((1, 0.0), (2, 0.0))
    assert waiting.of_client(1) == [call_id(1), call_id(2)]
    assert waiting.of_client(2) == []
