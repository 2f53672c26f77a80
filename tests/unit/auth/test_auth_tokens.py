from __future__ import annotations

from typing import Any

import pytest

from dmcp.auth.record import LEGACY, Entry, Record, from_json, to_json
from dmcp.auth.registration import Client
from dmcp.auth.tokens import Tokens, read_token_response
from dmcp.errors import AuthError

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("lifetime", "ahead"),
    [(86400.0, 300.0), (3600.0, 300.0), (3000.0, 300.0), (600.0, 60.0), (10.0, 1.0), (0.0, 0.0)],
)
def test_tokens_are_renewed_five_minutes_ahead_or_a_tenth_of_a_shorter_life(
    lifetime: float, ahead: float
) -> None:
    tokens = Tokens("a", obtained_at=NOW, expires_at=NOW + lifetime)
    due = NOW + lifetime - ahead
    assert tokens.needs_refresh(due)
    assert lifetime == 0 or not tokens.needs_refresh(due - 0.01)


def test_tokens_that_do_not_expire_are_never_due() -> None:
    assert not Tokens("a", obtained_at=NOW).needs_refresh(NOW * 2)
    assert Tokens("a", obtained_at=NOW).is_valid(NOW * 2)


def test_a_clock_that_went_back_makes_tokens_due() -> None:
    tokens = Tokens("a", obtained_at=NOW, expires_at=NOW + 3600)
    assert tokens.needs_refresh(NOW - 61)
    assert not tokens.needs_refresh(NOW - 59)


def test_the_expiry_is_reckoned_by_our_own_clock() -> None:
    tokens = read_token_response({"access_token": "x", "expires_in": "60"}, NOW, ("s",))
    assert (tokens.expires_at, tokens.scopes) == (NOW + 60, ("s",))


def test_the_refresh_token_is_replaced_or_kept() -> None:
    before = Tokens("old", "rt1", scopes=("s",))
    kept = read_token_response({"access_token": "x"}, NOW, (), before)
    assert (kept.refresh, kept.scopes) == ("rt1", ("s",))
    assert (
        read_token_response({"access_token": "x", "refresh_token": "rt2"}, NOW, (), before).refresh == "rt2"
    )


@pytest.mark.parametrize("lifetime", [None, "soon", True, -5, 0, "0", "-1", [], "nan"])
def test_a_lifetime_that_is_no_number_counts_as_none(lifetime: Any) -> None:
    assert read_token_response({"access_token": "x", "expires_in": lifetime}, NOW, ()).expires_at is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "at",
        {},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": 1},
    ],
)
def test_what_is_no_token_response_is_the_authorization_servers_fault(answer: object) -> None:
    with pytest.raises(AuthError, match="authorization server"):
        read_token_response(answer, NOW, ())


def test_no_representation_shows_a_token() -> None:
    tokens = Tokens("hush-at", "hush-rt")
    client = Client("c", "hush-cs")
    assert "hush" not in repr(Record((Entry("r", "i", client=client, tokens=tokens),)))


def test_a_record_comes_back_from_its_file_as_it_was() -> None:
    entry = Entry(
        "https://r",
        "https://i",
        "https://r",
        "https://i/token",
        Client("c", "s", "client_secret_post", "registered", "http://127.0.0.1:1/callback", 5.0),
        Tokens("at", "rt", NOW, NOW + 60, ("a", "b")),
        ("a", "b"),
    )
    record = Record((entry, Entry("https://r2", "https://i", "https://r2")))
    assert from_json(to_json(record)) == record


def test_a_configured_secret_is_not_written_down() -> None:
    entry = Entry("https://r", "https://i", client=Client("c", "hush", "client_secret_post", "configured"))
    assert "hush" not in str(to_json(Record((entry,))))


def test_the_predecessors_file_is_read() -> None:
    record = from_json(
        {"access_token": "at", "refresh_token": "rt", "expires_at": "2026-01-02T03:04:05.123456789Z"}
    )
    assert record is not None
    assert record.find("https://whatever") is None
    entry = record.left
    assert entry is not None
    assert entry.tokens is not None
    assert (entry.issuer, entry.tokens.refresh, entry.tokens.expires_at) == (LEGACY, "rt", 1767323045.123456)


@pytest.mark.parametrize(
    "content", [None, [], {}, {"version": 2, "entries": []}, {"version": 1}, {"access_token": ""}]
)
def test_a_file_of_another_shape_is_no_record(content: object) -> None:
    assert from_json(content) is None


def test_broken_entries_are_left_out() -> None:
    assert from_json({"version": 1, "entries": [7, {}, {"resource": "r"}]}) == Record()


def test_tokens_are_found_for_their_own_resource_only() -> None:
    mine, other = Entry("https://r", "https://i"), Entry("https://s", "https://i")
    record = Record((other,)).with_entry(mine)
    assert record.find("https://r") is mine
    assert record.find("https://t") is None
    assert record.find_issuer("https://r", "https://j") is None


def test_dropping_tokens_keeps_the_registration() -> None:
    client = Client("c")
    record = Record((Entry("https://r", "https://i", client=client, tokens=Tokens("at")),)).without_tokens(
        "at"
    )
    assert record.entries[0].tokens is None
    assert record.entries[0].client is client
