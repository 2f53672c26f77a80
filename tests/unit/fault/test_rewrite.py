"""What each fault makes of a message: steps, looked at without performing them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from pydantic_core import from_json

from dmcp.fault import rewrite, steps
from dmcp.fault.plan import Due
from dmcp.fault.rewrite import arriving, leaving, outlasts_cancelling
from dmcp.fault.script import build, combinations
from dmcp.protocol.jsonrpc import Malformed, Response, read

ANSWER = (
    b'{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"},{"name":"b"}],"protocolVersion":"2025-11-25"}}'
)
NOTE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'


def _due(name: str, on: str = "call", **arguments: Any) -> Due:
    return Due(build(name, on, **arguments), Random(1))


def _left(*due: Due, frame: bytes = ANSWER) -> list[Any]:
    return leaving(frame, due)


def _sent(*due: Due, frame: bytes = ANSWER) -> list[Any]:
    return [from_json(step.frame) for step in leaving(frame, due) if isinstance(step, steps.Send)]


def test_without_faults_a_message_is_sent_as_it_is() -> None:
    assert leaving(ANSWER, ()) == [steps.Send(ANSWER)]
    assert arriving(()) == []


@pytest.mark.parametrize(("name", "phase", "transport"), list(combinations()))
def test_every_fault_changes_something_wherever_it_may_act(name: str, phase: str, transport: str) -> None:
    due = [_due(name, phase)]
    wide = ANSWER if phase != "notify" else NOTE
    assert arriving(due) or leaving(wide, due) != [steps.Send(wide)]


def test_a_dropped_message_is_not_sent() -> None:
    assert _left(_due("drop")) == []


def test_a_duplicated_message_is_sent_once_more() -> None:
    assert _left(_due("duplicate", copies=2)) == [steps.Send(ANSWER)] * 3


def test_faults_due_together_act_one_after_the_other() -> None:
    left = _left(_due("duplicate"), _due("late", delay={"fixed": 2}))
    assert left == [steps.Wait(2), steps.Send(ANSWER)] * 2


@pytest.mark.parametrize(
    ("to", "identifier"),
    [("unknown", rewrite.UNKNOWN_ID), ("null_id", None), ("retyped", "7"), ("no_id", "missing")],
)
def test_a_misaddressed_answer_has_another_id(to: str, identifier: object) -> None:
    (message,) = _sent(_due("misaddress", to=to))
    assert message.get("id", "missing") == identifier
    assert message["result"] == from_json(ANSWER)["result"]


def test_the_right_answer_can_follow_the_misaddressed_one() -> None:
    assert _left(_due("misaddress", extra=True))[1] == steps.Send(ANSWER)


def test_pieces_of_a_split_message_begin_inside_characters() -> None:
    (part,) = _left(_due("split"))
    assert part.whole
    assert part.cuts
    assert all(0x80 <= part.frame[cut] < 0xC0 for cut in part.cuts)
    assert isinstance(read(part.frame), Response)


def test_half_a_message_is_only_half() -> None:
    (part,) = _left(_due("half"))
    assert not part.whole
    assert part.cuts == (len(ANSWER) // 2,)


def test_an_oversized_message_is_as_much_longer_as_asked() -> None:
    (step,) = _left(_due("oversize", size=1000))
    assert 1000 < len(step.frame) - len(ANSWER) < 1100
    assert isinstance(read(step.frame), Response)


@pytest.mark.parametrize(
    "how", ["no_version", "neither", "not_object", "truncated", "invalid_utf8", "both", "wrong_type", "deep"]
)
def test_a_malformed_message_is_not_what_it_was(how: str) -> None:
    (noise,) = _left(_due("malformed", how=how))
    broken = read(noise.line)
    if how in {"no_version", "neither", "truncated", "invalid_utf8"}:
        assert isinstance(broken, Malformed)
    assert noise.line != ANSWER
    assert b"\n" not in noise.line


def test_entries_of_a_listing_can_lose_their_name_or_share_it() -> None:
    nameless, twins = (rewrite.malformed(ANSWER, how) for how in ("nameless", "twins"))
    assert "name" not in from_json(nameless)["result"]["tools"][0]
    assert [tool["name"] for tool in from_json(twins)["result"]["tools"]] == ["a", "b", "a"]


def test_a_looping_listing_always_has_a_next_page() -> None:
    (first,), (second,) = (_sent(_due("loop", "list")) for _ in range(2))
    assert first["result"]["nextCursor"] == second["result"]["nextCursor"]
    fault = _due("loop", "list", cursor="new")
    (third,), (fourth,) = _sent(fault), _sent(fault)
    assert third["result"]["nextCursor"] != fourth["result"]["nextCursor"]


def test_the_version_is_what_the_script_says() -> None:
    (message,) = _sent(_due("version", "initialise", version=17))
    assert message["result"]["protocolVersion"] == 17


@pytest.mark.parametrize("name", ["exit", "crash", "hang"])
def test_the_end_comes_before_instead_of_within_or_after_an_answer(name: str) -> None:
    ends = (steps.Die, steps.Hang)
    (before,) = arriving([_due(name, when="before")])
    assert isinstance(before, ends)
    (unanswered,) = _left(_due(name, when="unanswered"))
    assert isinstance(unanswered, ends)
    half, end = _left(_due(name, when="during"))
    assert isinstance(half, steps.Send)
    assert isinstance(end, ends)
    whole, end = _left(_due(name, when="after"))
    assert whole == steps.Send(ANSWER)
    assert isinstance(end, ends)


def test_an_error_takes_the_place_of_carrying_out() -> None:
    first, second = arriving([_due("error", code=-5, message="no", details={"a": 1})], b'"x"')
    assert isinstance(first, steps.Send)
    assert from_json(first.frame)["id"] == "x"
    assert from_json(first.frame)["error"] == {"code": -5, "message": "no", "data": {"a": 1}}
    assert second == steps.Stop()


def test_a_status_can_ask_to_come_back_later() -> None:
    response, stop = arriving([_due("status", status=503, retry_after=2)])
    assert isinstance(response, steps.Respond)
    assert dict(response.headers)["retry-after"] == "2"
    assert stop == steps.Stop()


def test_a_missing_credential_is_said_with_a_challenge() -> None:
    response, _ = arriving([_due("unauthorized", challenge='Bearer scope="a"')])
    assert isinstance(response, steps.Respond)
    assert dict(response.headers)["www-authenticate"] == 'Bearer scope="a"'


def test_a_late_answer_outlasts_the_cancelling_of_its_request() -> None:
    assert outlasts_cancelling([_due("late")])
    assert not outlasts_cancelling([_due("slow")])


def test_the_same_chance_gives_the_same_garbage() -> None:
    for kind in ("text", "binary", "json", "empty"):
        first, again = (rewrite.garbage(kind, Random(3)) for _ in range(2))
        assert first == again
        assert b"\n" not in first
