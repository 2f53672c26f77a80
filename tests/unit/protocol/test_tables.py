"""What is in flight, on both sides: requests to a server, requests of the client, server requests to it, batches."""

from __future__ import annotations

from dmcp.protocol.pending import (
    BatchAnswer,
    PendingRequest,
    PendingRequests,
    PendingServerRequest,
    PendingServerRequests,
    SentRequests,
)


def test_numbers_are_never_used_twice_in_a_session() -> None:
    sent: SentRequests[str] = SentRequests()
    first = sent.add("a", 1.0, 0.0)
    assert sent.pop(first) == "a"
    assert sent.add("b", 1.0, 0.0) != first


def test_a_flight_lands_once_and_a_stray_number_never() -> None:
    sent: SentRequests[str] = SentRequests()
    number = sent.add("a", 1.0, 0.0)
    assert sent.pop(number) == "a"
    assert sent.pop(number) is None
    assert sent.pop(999) is None


def test_only_flights_past_their_deadline_are_due() -> None:
    sent: SentRequests[str] = SentRequests()
    sent.add("soon", 1.0, 0.0)
    sent.add("late", 5.0, 0.0)
    assert sent.next_due(0.5) == 0.5
    assert [item for _, item in sent.due(0.9)] == []
    assert [item for _, item in sent.due(1.0)] == ["soon"]
    assert [item for _, item in sent.due(1.0)] == []
    assert sent.next_due(1.0) == 4.0


def test_no_deadline_passes_while_the_clock_is_held() -> None:
    sent: SentRequests[str] = SentRequests()
    sent.add("call", 2.0, 0.0)
    sent.hold(1.0)
    sent.hold(50.0)
    assert sent.next_due(100.0) is None
    assert sent.due(100.0) == []
    sent.release(100.0)
    sent.release(200.0)
    assert sent.next_due(100.0) == 1.0
    assert [item for _, item in sent.due(101.0)] == ["call"]


def test_a_call_launched_while_the_clock_is_held_has_its_whole_time_afterwards() -> None:
    sent: SentRequests[str] = SentRequests()
    sent.hold(10.0)
    sent.add("call", 2.0, 60.0)
    sent.release(70.0)
    assert sent.next_due(70.0) == 2.0


def test_progress_gives_a_call_its_time_anew() -> None:
    sent: SentRequests[str] = SentRequests()
    number = sent.add("call", 2.0, 0.0)
    sent.extend(number, 1.5)
    sent.extend(999, 1.5)
    assert sent.due(3.0) == []
    assert [item for _, item in sent.due(3.5)] == ["call"]


def test_an_exchange_is_closed_once_and_its_id_is_free_again() -> None:
    table: PendingRequests[str] = PendingRequests(1)
    call = table.open(PendingRequest(b"1"))
    assert table.call_of == {b"1": call}
    assert table.close(call) is not None
    assert table.close(call) is None
    assert not table.call_of
    assert table.open(PendingRequest(b"1")) != call


def test_the_requests_of_one_upstream_are_found_by_who_it_is() -> None:
    one, other = ["same"], ["same"]
    table: PendingRequests[list[str]] = PendingRequests(1)
    mine, theirs = PendingRequest[list[str]](b"1"), PendingRequest[list[str]](b"2")
    mine.upstream, theirs.upstream = one, other
    call = table.open(mine)
    table.open(theirs)
    assert table.of_upstream(one) == [call]


def test_a_question_is_answered_once_and_only_under_its_own_id() -> None:
    table: PendingServerRequests[str] = PendingServerRequests()
    number = table.ask(PendingServerRequest("g", b'"q"', None))
    assert table.answered(b'"%d"' % number) is None
    assert table.answered(b"-1") is None
    assert table.answered(b"%d" % number) == PendingServerRequest("g", b'"q"', None)
    assert table.answered(b"%d" % number) is None


def test_withdrawing_takes_one_question_or_all_of_one_upstream() -> None:
    table: PendingServerRequests[str] = PendingServerRequests()
    first, second = (
        table.ask(PendingServerRequest("g", b"1", None)),
        table.ask(PendingServerRequest("g", b"2", None)),
    )
    others = table.ask(PendingServerRequest("h", b"1", None))
    assert table.withdraw("g", b"1") == [first]
    assert table.withdraw("g", None) == [second]
    assert table.get(others) is not None


def test_a_batch_is_complete_with_its_last_answer() -> None:
    batch = BatchAnswer(3)
    assert batch.add(b"1") is None
    assert batch.add(None) is None
    assert batch.add(b"2") == b"[1,2]"


def test_a_batch_of_cancelled_calls_only_is_never_sent() -> None:
    assert BatchAnswer(1).add(None) is None


def test_a_short_deadline_is_not_hidden_behind_a_long_one_launched_before() -> None:
    sent: SentRequests[str] = SentRequests()
    sent.add("initialize", 10.0**9, 0.0)
    assert sent.next_due(0.0) == 10.0**9
    sent.add("call", 0.5, 0.0)
    assert sent.next_due(0.0) == 0.5
