"""What is in flight, on both sides: flights to a server, requests of the client, server requests to it, batches."""

from __future__ import annotations

from dmcp.protocol.flights import FlightTable
from dmcp.protocol.pending import (
    BatchAnswer,
    PendingRequest,
    PendingRequests,
    PendingServerRequest,
    PendingServerRequests,
)


def test_numbers_are_never_used_twice_in_a_session() -> None:
    flights: FlightTable[str] = FlightTable()
    first = flights.launch("a", 1.0, 0.0)
    assert flights.land(first) == "a"
    assert flights.launch("b", 1.0, 0.0) != first


def test_a_flight_lands_once_and_a_stray_number_never() -> None:
    flights: FlightTable[str] = FlightTable()
    number = flights.launch("a", 1.0, 0.0)
    assert flights.land(number) == "a"
    assert flights.land(number) is None
    assert flights.land(999) is None


def test_only_flights_past_their_deadline_are_due() -> None:
    flights: FlightTable[str] = FlightTable()
    flights.launch("soon", 1.0, 0.0)
    flights.launch("late", 5.0, 0.0)
    assert flights.next_due(0.5) == 0.5
    assert [cargo for _, cargo in flights.due(0.9)] == []
    assert [cargo for _, cargo in flights.due(1.0)] == ["soon"]
    assert [cargo for _, cargo in flights.due(1.0)] == []
    assert flights.next_due(1.0) == 4.0


def test_no_deadline_passes_while_the_clock_is_held() -> None:
    flights: FlightTable[str] = FlightTable()
    flights.launch("call", 2.0, 0.0)
    flights.hold(1.0)
    flights.hold(50.0)
    assert flights.next_due(100.0) is None
    assert flights.due(100.0) == []
    flights.release(100.0)
    flights.release(200.0)
    assert flights.next_due(100.0) == 1.0
    assert [cargo for _, cargo in flights.due(101.0)] == ["call"]


def test_a_call_launched_while_the_clock_is_held_has_its_whole_time_afterwards() -> None:
    flights: FlightTable[str] = FlightTable()
    flights.hold(10.0)
    flights.launch("call", 2.0, 60.0)
    flights.release(70.0)
    assert flights.next_due(70.0) == 2.0


def test_progress_gives_a_call_its_time_anew() -> None:
    flights: FlightTable[str] = FlightTable()
    number = flights.launch("call", 2.0, 0.0)
    flights.extend(number, 1.5)
    flights.extend(999, 1.5)
    assert flights.due(3.0) == []
    assert [cargo for _, cargo in flights.due(3.5)] == ["call"]


def test_an_exchange_is_closed_once_and_its_id_is_free_again() -> None:
    table: PendingRequests[str] = PendingRequests(1)
    call = table.open(PendingRequest(b"1"))
    assert b"1" in table
    assert table.call_of(b"1") == call
    assert table.close(call) is not None
    assert table.close(call) is None
    assert b"1" not in table
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
    flights: FlightTable[str] = FlightTable()
    flights.launch("initialize", 10.0**9, 0.0)
    assert flights.next_due(0.0) == 10.0**9
    flights.launch("call", 0.5, 0.0)
    assert flights.next_due(0.0) == 0.5
