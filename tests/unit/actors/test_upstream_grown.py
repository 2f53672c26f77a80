"""What a server can make grow within its upstream, and whose clock stops: handed messages, never started."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.config.model import Limits, Timeouts
from dmcp.messages import catalog, events, frontend, upstream
from dmcp.protocol.limits import MAX_ELICITATIONS, MAX_LATE_BYTES, MAX_UNREAD_ANSWERS
from unit.actors.fakes import submit
from unit.actors.test_upstream import Stage

pytestmark = pytest.mark.anyio

FORM = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}


def asks(
    stage: Stage, identifier: str, during: int | None = None, method: str = "elicitation/create"
) -> None:
    frame = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": FORM}
    stage.hand(upstream.FrameArrived(stage.connection, json.dumps(frame).encode(), during))


def due(stage: Stage, now: float) -> list[int]:
    """The calls that have been answered by then."""
    stage.now = now
    stage.fires("deadline")
    return sorted(stage.replies)


async def test_a_server_that_reads_nothing_gets_no_more_answers_to_what_it_asks() -> None:
    stage = Stage()
    stage.ready()
    stage.says({"id": 1, "method": "ping"})
    sent = len(stage.sent)
    stage.link.backlog = MAX_UNREAD_ANSWERS + 1
    for number in range(100):
        stage.says({"id": number, "method": "ping"})
        stage.says({"id": number, "method": "tools/call"})
    assert len(stage.sent) == sent
    stage.link.backlog = 0
    stage.says({"id": 7, "method": "ping"})
    assert stage.sent[-1] == {"jsonrpc": "2.0", "id": 7, "result": {}}


@pytest.mark.parametrize(
    "capabilities", [None, [], "x", 5, {"tools": True}, {"tools": []}, {"tools": {}, "x" * 10_000: {"y": 1}}]
)
async def test_what_a_server_says_of_itself_is_kept_in_part_whatever_its_shape(capabilities: Any) -> None:
    stage = Stage()
    stage.opened()
    result = {
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "serverInfo": {"name": "n" * 100_000, "version": {"deep": []}, "x": "y" * 100_000},
        "instructions": "i" * 100_000,
    }
    stage.says({"id": stage.number_of("initialize"), "result": result})
    while any(message["method"] == "tools/list" for message in stage.sent) and stage.state != "ready":
        stage.listed()
    (news,) = stage.audit.of(events.ConnectionReady)
    assert len(str(news.server)) < 2000
    assert {one.kind for one in stage.catalog.of(catalog.Listed) if one.offered} <= {"tools"}


async def test_a_question_on_the_stream_of_a_call_stops_the_clock_of_that_call() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.call(1)
    stage.call(2)
    younger = stage.number_of("tools/call")
    asks(stage, "q", during=younger)
    assert due(stage, 6.0) == [1]
    stage.says({"id": stage.number_of("ping"), "result": {}})  # it was silent while a call of it became due
    assert due(stage, 299.0) == [1]
    assert due(stage, 306.0) == [1, 2]


async def test_a_question_on_the_stream_of_no_call_stops_no_clock() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.call(1)
    asks(stage, "q", during=stage.number_of("tools/list"))
    assert due(stage, 6.0) == [1]


async def test_a_guess_goes_to_the_next_call_when_the_oldest_has_its_answer() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.call(1)
    oldest = stage.number_of("tools/call")
    stage.call(2)
    asks(stage, "q")
    stage.says({"id": oldest, "result": {"content": []}})
    assert due(stage, 100.0) == [1]
    stage.answers('"q"', b"{}")
    assert due(stage, 106.0) == [1, 2]


async def test_many_questions_stop_a_clock_for_five_minutes_in_all() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.call(1)
    for number in range(10):
        stage.now = number * 100.0
        asks(stage, f"q{number}")
        stage.now += 99.0
        stage.answers(json.dumps(f"q{number}"))
        stage.fires("deadline")
    assert list(stage.replies) == [1]
    assert b"within 5 s" in (stage.replies[1][1] or b"")


async def test_roots_stop_no_clock_and_have_a_short_time_of_their_own() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.call(1)
    asks(stage, "r", method="roots/list")
    timers = [timer.when() - timer._loop.time() for timer in stage.actor._timers]  # type: ignore[attr-defined]
    assert any(25.0 < left <= 30.0 for left in timers)
    assert due(stage, 6.0) == [1]
    (withdrawn,) = stage.frontend.of(frontend.ServerRequestCancelled)
    assert withdrawn.id == b'%d/"r"' % stage.connection


async def test_a_call_is_over_after_the_longest_a_call_may_take_whatever_progress_it_shows() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0), limits=Limits(call_time=20.0))
    stage.ready()
    request = submit(1, "tools/call", {"name": "echo"}, stage.client, wants_progress=True)
    stage.hand(request)
    number = stage.number_of("tools/call")
    for now in range(1, 20):
        assert due(stage, float(now)) == []
        stage.says({"method": "notifications/progress", "params": {"progressToken": number, "progress": now}})
    assert due(stage, 20.0) == [1]
    assert b"limits.call_time" in (stage.replies[1][1] or b"")


async def test_the_usual_longest_time_is_ten_times_the_timeout() -> None:
    stage = Stage(timeout=Timeouts(tools=5.0))
    stage.ready()
    stage.hand(submit(1, "tools/call", {"name": "echo"}, stage.client, wants_progress=True))
    number = stage.number_of("tools/call")
    for now in range(4, 50, 4):
        assert due(stage, float(now)) == []
        stage.says({"method": "notifications/progress", "params": {"progressToken": number, "progress": now}})
    assert due(stage, 50.0) == [1]


async def test_open_elicitations_are_forgotten_oldest_first() -> None:
    stage = Stage()
    stage.ready()
    for number in range(MAX_ELICITATIONS + 10):
        stage.now += 1.0
        params = {"mode": "url", "elicitationId": str(number), "url": "https://x.example/", "message": "?"}
        stage.says({"id": number, "method": "elicitation/create", "params": params})
        stage.answers(str(number), b'{"action":"accept"}')
    for number in (9, 10, 10):
        stage.says({"method": "notifications/elicitation/complete", "params": {"elicitationId": str(number)}})
    (told,) = stage.frontend.of(frontend.SendNotification)
    assert told.news.elicitation == "g:10"


async def test_a_listing_that_changes_all_the_time_is_told_to_the_catalog_once() -> None:
    stage = Stage()
    stage.ready()
    before = len(stage.catalog.told)
    for _ in range(1000):
        stage.says({"method": "notifications/tools/list_changed"})
    assert len(stage.catalog.told) <= before + 2


async def test_each_change_of_a_listing_is_told_to_the_catalog_again() -> None:
    stage = Stage()
    stage.ready()
    for _ in range(3):
        before = len(stage.catalog.of(catalog.ListingStale))
        stage.says({"method": "notifications/tools/list_changed"})
        assert stage.catalog.of(catalog.ListingStale)[before:] == [
            catalog.ListingStale("g", stage.connection, "tools", True)
        ]
        stage.listed()


async def test_what_waits_of_progress_and_updates_is_bounded_in_bytes_and_the_rest_is_counted() -> None:
    stage = Stage(limits=Limits(notifications=1.0))
    stage.ready()
    for number in range(100):
        uri = {"uri": f"x:{number}"}
        stage.hand(submit(number, "resources/subscribe", uri, stage.client))
        stage.says({"id": stage.number_of("resources/subscribe"), "result": {}})
    for round_ in range(3):
        for number in range(100):
            params = {"uri": f"x:{number}", "round": round_, "filling": "y" * 300_000}
            stage.says({"method": "notifications/resources/updated", "params": params})
    at_once = len(stage.catalog.of(catalog.ResourceUpdated))
    for now in range(1, 60):
        stage.now = float(now)
        stage.fires("notifications")
    late = len(stage.catalog.of(catalog.ResourceUpdated)) - at_once
    assert 0 < late * 300_000 <= MAX_LATE_BYTES
    stage.fires("dropped")
    (told,) = stage.frontend.of(frontend.SendNotification)
    assert "notifications were dropped" in str(told.news)
