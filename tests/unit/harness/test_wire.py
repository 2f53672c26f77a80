"""The check that the integration tests lean on must itself be able to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import Ledger, read_tap

if TYPE_CHECKING:
    from pathlib import Path

PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PONG: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "result": {}}


def recorded(*said: tuple[Any, Any]) -> Ledger:
    ledger = Ledger()
    for side, message in said:
        ledger.record(side, message)
    return ledger


def test_a_valid_exchange_leaves_no_problem_and_nothing_unanswered() -> None:
    ledger = recorded(("client", PING), ("server", PONG), ("server", PING), ("client", PONG))
    assert ledger.problems == []
    assert ledger.unanswered("client") == ledger.unanswered("server") == []
    assert ledger.methods("client") == {"ping"}


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ([("client", PING), ("server", PONG), ("server", PONG)], "answered twice"),
        ([("server", PONG)], "no such request"),
        ([("client", PING), ("client", PING)], "the id is in use"),
        ([("client", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}})], "name"),
        ([("client", {"jsonrpc": "2.0", "id": 1, "method": "elicitation/create"})], "KeyError"),
        ([("server", {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})], "progress"),
        ([("client", {**PING, "method": "tools/list"}), ("server", PONG)], "tools"),
        ([("client", {"id": 1, "method": "ping"})], "jsonrpc"),
        ([("server", "not an object")], "not an object"),
    ],
)
def test_a_violation_is_told(said: list[tuple[str, Any]], complaint: str) -> None:
    (problem,) = recorded(*said).problems
    assert complaint in problem


def test_a_request_without_an_answer_is_unanswered_unless_it_was_cancelled() -> None:
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert recorded(("client", PING)).unanswered("client") == ["ping"]
    assert recorded(("client", PING), ("client", cancel)).unanswered("client") == []


def test_an_answer_is_checked_by_the_revision_that_was_agreed() -> None:
    info = {"name": "x", "version": "1"}
    hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info}
    welcome = {"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": info}
    elicit = {"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"message": "?"}}
    ledger = recorded(
        ("client", {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        ("server", {"jsonrpc": "2.0", "id": 0, "result": welcome}),
        ("server", elicit),
    )
    assert ledger.revision == "2024-11-05"
    assert "elicitation/create" in ledger.problems[0]


def test_a_record_of_a_session_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "x.tap"
    assert read_tap(log).heard == []
    log.write_bytes(
        b'>{"jsonrpc":"2.0","id":1,"method":"ping"}\n<{"jsonrpc":"2.0","id":1,"result":{}}\n<garbage\n>{"js'
    )
    ledger = read_tap(log)
    assert [side for side, _ in ledger.heard] == ["client", "server"]
    assert "garbage" in ledger.problems[0]
