from __future__ import annotations

import pytest

from dmcp.auth.challenge import Challenge, parse


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", Challenge()),
        ("Bearer", Challenge()),
        ('Basic realm="x"', Challenge()),
        ('Bearer scope="a b a"', Challenge(scopes=("a", "b"))),
        ("bearer error=invalid_token", Challenge(error="invalid_token")),
        (
            'Bearer resource_metadata="https://x/.well-known/y",\r\n   scope="files:read"',
            Challenge("https://x/.well-known/y", ("files:read",)),
        ),
        ('Basic realm="a, Bearer scope=\\"no\\"", Bearer scope="yes"', Challenge(scopes=("yes",))),
        ('Bearer scope="one", Basic scope="two"', Challenge(scopes=("one",))),
        ('Bearer scope="one", Bearer scope="two"', Challenge(scopes=("one",))),
        ("Negotiate YWJj==, Bearer error = insufficient_scope", Challenge(error="insufficient_scope")),
        (r'Bearer error_description="a \"quoted\" word", scope="s"', Challenge(scopes=("s",))),
        ('Bearer scope="never ends', Challenge()),
        ("Bearer resource_metadata=https://x/y?a=b&c=d, scope=s", Challenge("https://x/y?a=b&c=d", ("s",))),
        (
            "Bearer resource_metadata='https://x/y', error='invalid_token'",
            Challenge("https://x/y", (), "invalid_token"),
        ),
        (
            'Bearer realm="x"; resource_metadata="https://x/y;z"; scope="a"',
            Challenge("https://x/y;z", ("a",)),
        ),
        ("Bearer scope='a b' resource_metadata=https://x/y", Challenge("https://x/y", ("a", "b"))),
        (
            'Basic realm="x", Bearer resource_metadata="https://x/y", Digest nonce=abc==',
            Challenge("https://x/y"),
        ),
        ("Negotiate, Basic realm=x, bearer Resource_Metadata = https://x/y", Challenge("https://x/y")),
        ('DPoP algs="ES256 RS256", Bearer', Challenge()),
        ('Bearer realm=, resource_metadata="https://x/y"', Challenge("https://x/y")),
        ('Bearer, Bearer resource_metadata="https://x/y"', Challenge("https://x/y")),
        ("\x00\x01 nonsense = = ,,,", Challenge()),
    ],
)
def test_the_bearer_challenge_is_found_in_any_header(header: str, expected: Challenge) -> None:
    assert parse(header) == expected


def test_a_header_of_a_megabyte_is_not_read_to_its_end() -> None:
    assert parse("," * 1_000_000 + ' Bearer scope="late"') == Challenge()


def test_only_insufficient_scope_asks_for_more_permissions() -> None:
    assert parse('Bearer error="insufficient_scope", scope="w"').wants_more_scope
    assert not parse('Bearer error="invalid_token", scope="w"').wants_more_scope
