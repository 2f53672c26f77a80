"""The clients of one server: what they want together, and which of them a request of the server is for."""

from __future__ import annotations

import pytest

from dmcp.protocol.clients import EVERYTHING, Client, Clients
from dmcp.protocol.operations import ClientProfile


def clients(*levels: str | None) -> Clients[str]:
    table: Clients[str] = Clients()
    for number, level in enumerate(levels, 1):
        table.put(number, Client(f"frontend {number}", ClientProfile("2025-06-18", {"roots": {}}), level))
    return table


def test_the_only_client_is_shown_as_it_is_and_several_as_one_that_can_everything() -> None:
    assert clients().profile is None
    alone = clients(None)
    assert alone.profile == ClientProfile("2025-06-18", {"roots": {}})
    both = clients(None, None)
    assert both.profile is EVERYTHING
    both.remove(1)
    assert both.profile == alone.profile


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ((), None),
        ((None, None), None),
        (("error", None), "error"),
        (("error", "debug", "emergency"), "debug"),
        (("alert", "emergency"), "alert"),
    ],
)
def test_a_server_is_told_the_most_verbose_level_anybody_wants(
    levels: tuple[str | None, ...], told: str | None
) -> None:
    assert clients(*levels).log_level == told


def test_a_level_changes_with_who_wants_it() -> None:
    table = clients("error", "info")
    table.set_log_level(2, "critical")
    assert table.log_level == "error"
    table.remove(1)
    assert table.log_level == "critical"
    table.set_log_level(1, "debug")
    assert table.log_level == "critical"


def test_reading_stops_when_nobody_keeps_up_and_not_for_one_of_several() -> None:
    table = clients(None)
    table.set_paused(1, paused=True)
    assert table.paused
    table.put(2, Client("frontend 2", EVERYTHING))
    assert not table.paused
    table.set_paused(2, paused=True)
    assert table.paused
    table.remove(1)
    assert table.paused
    table.remove(2)
    assert not table.paused


def test_a_request_of_the_server_is_for_whose_call_it_belongs_to_or_for_nobody() -> None:
    assert clients().asked_by(None, ()) is None
    assert clients(None).asked_by(None, ()) == 1
    both = clients(None, None)
    assert both.asked_by(2, ()) == 2
    assert both.asked_by(3, ()) is None
    assert both.asked_by(None, ()) is None
    assert both.asked_by(None, (2, 2)) == 2
    assert both.asked_by(None, (1, 2)) is None
