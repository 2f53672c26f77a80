"""Subscriptions to one server, counted per client."""

from __future__ import annotations

from dmcp.protocol.subscriptions import Subscription, Subscriptions


def test_the_server_is_subscribed_at_the_first_client_and_unsubscribed_at_the_last() -> None:
    table = Subscriptions()
    assert table.add(1, "x:a")
    assert not table.add(2, "x:a")
    assert table.others(1, "x:a")
    assert not table.discard(1, "x:a")
    assert not table.others(2, "x:a")
    assert "x:a" in table
    assert table.discard(2, "x:a")
    assert not table


def test_to_leave_what_one_is_not_subscribed_to_changes_nothing_for_others() -> None:
    table = Subscriptions()
    table.add(1, "x:a")
    assert not table.discard(2, "x:a")
    assert table.discard(2, "x:b")
    assert list(table) == ["x:a"]


def test_a_client_that_leaves_takes_only_its_own() -> None:
    table = Subscriptions()
    assert table.update([Subscription(1, "x:a"), Subscription(1, "x:b"), Subscription(2, "x:b")]) == [
        "x:a",
        "x:b",
    ]
    assert table.update([Subscription(3, "x:b"), Subscription(3, "x:c")]) == ["x:c"]
    assert table.drop(1) == ["x:a"]
    assert table.all() == {Subscription(2, "x:b"), Subscription(3, "x:b"), Subscription(3, "x:c")}
    assert table.drop(1) == []
