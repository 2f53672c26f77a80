from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

from dmcp import masking
from dmcp.masking import MASK, hide, mask
from harness.measured import processor_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(masking, "_known", masking._Known())
    return


ESCAPED: dict[str, Callable[[str], str]] = {
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent, lower case": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "json": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
    "json, upper case": lambda text: "".join(f"\\u{ord(sign):04X}" for sign in text),
    "program": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
}


def test_known_values_are_masked_in_every_usual_spelling() -> None:
    hide(["p@ss/w\u00f6rd+1", 'quo"ted-secret'])
    assert mask("p@ss/w\u00f6rd+1") == MASK
    assert mask("https://h/p@ss%2Fw") == "https://h/p@ss%2Fw"
    assert "p%40ss" not in mask("key=p%40ss%2Fw%C3%B6rd%2B1 or p%40ss/w%C3%B6rd%2B1")
    assert mask(r'{"a": "quo\"ted-secret"}') == '{"a": "***"}'


@pytest.mark.parametrize("spell", ESCAPED.values(), ids=ESCAPED)
def test_a_secret_is_masked_in_whatever_escapes_it_is_written(spell: Callable[[str], str]) -> None:
    secret = "p@ss/w\u00f6rd+1"
    hide([secret])
    for text in (secret, secret[:5] + spell(secret[5:]), spell(secret), f"{spell('x')}y{spell(secret)}z"):
        assert spell(secret[5:9]) not in mask(f"key={text}; 100%"), text
        assert mask(f"key={text}; 100%").startswith("key=")
        assert mask(f"key={text}; 100%").endswith("; 100%")
        assert MASK in mask(text, 20)


@pytest.mark.parametrize("spell", [str.upper, str.lower])
def test_a_configured_secret_is_masked_in_upper_and_lower_case(spell: Callable[[str], str]) -> None:
    hide(["Sesame-4711-deadBEEF"], configured=True)
    assert mask(f"a {spell('Sesame-4711-deadBEEF')} b") == "a *** b"


def test_text_with_escapes_and_no_secret_stays_as_it_is() -> None:
    hide(["p@ss/word"])
    for text in ("50% off", "%41%42 \\u0041\\n \\x41", "C:\\new\\table", "\\", "%", "%zz \\uZZZZ", "\\ud800"):
        assert mask(text) == text


def test_a_secret_within_another_and_overlapping_ones_leave_nothing() -> None:
    hide(["abcdefghij", "abcdefghij-klmnop", "hij-kl-9876"])
    assert mask("x abcdefghij-klmnop y") == "x *** y"
    assert mask("x abcdefghij-kl-9876 y") == "x *** y"


def test_short_values_are_masked_where_they_stand_alone_only() -> None:
    hide(["1234", "ab"])
    assert mask("pin 1234, at 12345.6 ab") == "pin ***, at 12345.6 ab"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET https://h/p?token=abc#x failed", "GET https://h/p?*** failed"),
        ("(https://h/p?a=b)", "(https://h/p?***)"),
        ("at https://h/p?a=b; the call has not run", "at https://h/p?***; the call has not run"),
        ("https://user:pass@h:1/p", "https://***@h:1/p"),
        ("postgres://u:p@h/db and https://tok@h", "postgres://***@h/db and https://***@h"),
        ("ssh://git@h/p", "ssh://git@h/p"),
        ("https://h/#access_token=abc", "https://h/#***"),
        ("https://h/page#section", "https://h/page#section"),
        ("really? yes, https://h/@scope/pkg", "really? yes, https://h/@scope/pkg"),
        ('{"url":"https://h/p?a=b","c":1}', '{"url":"https://h/p?***","c":1}'),
        ("Authorization: Bearer abcdef123456789", "Authorization: Bearer ***"),
        ("Bearer authentication is needed", "Bearer authentication is needed"),
    ],
)
def test_what_stands_in_urls_and_headers_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("at", range(80, 125, 3))
def test_a_secret_at_the_cut_is_masked_whole_or_not_there(at: int) -> None:
    hide(["s3cret-value-of-some-length"])
    shown = mask("x" * at + " s3cret-value-of-some-length and more" + "y" * 200, limit=110)
    assert "s3" not in shown
    assert len(shown) <= 115


def test_a_password_that_is_cut_off_before_its_sign_is_masked() -> None:
    assert "hunter" not in mask("see https://joe:hunter2hunter2hunter2@host/", limit=25)


def test_learned_values_are_bounded_and_configured_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "MAX_KNOWN_SECRETS", 3)
    hide(["configured-1"], configured=True)
    hide([f"learned-{number}" for number in range(10)])
    assert mask("configured-1 learned-9 learned-0") == "*** *** learned-0"


MEGABYTE = 1024 * 1024
WORST = {
    "many URLs": "https://" * (MEGABYTE // 8),
    "one long URL": "https://" + "a" * MEGABYTE,
    "queries": "https://a?" * (MEGABYTE // 10),
    "one character": "a" * MEGABYTE,
    "beginnings": "sk-" * (MEGABYTE // 3),
    "credentials": "://a:b@" * (MEGABYTE // 7),
    "bearer": "Bearer " * (MEGABYTE // 7),
    "secrets": "common-prefix-of-a-secret-1 " * (MEGABYTE // 28),
    "percents": "%41" * (MEGABYTE // 3),
    "escapes": "a%41b\\u0041" * (MEGABYTE // 11),
    "escapes of escapes": "%5c%5cu0041x" * (MEGABYTE // 12),
    "blanks": " " * MEGABYTE,
}


@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
@pytest.mark.parametrize("limit", [masking.MAX_MASKED_TEXT, None])
def test_a_megabyte_of_the_worst_is_searched_in_linear_time(text: str, limit: int | None) -> None:
    hide(f"common-prefix-of-a-secret-{number}" for number in range(5000))
    hide("a" * length + "b" for length in range(4, 60))
    hide(f"sk-{number:04}" + "-" * (number % 40) for number in range(2000))
    mask("")  # the table is made once
    with processor_time() as used:
        masked = mask(text, limit)
    # Quadratic would be minutes; a person's text is cut and takes far less than the budget of the loop.
    assert used.seconds < (0.05 if limit else 15)
    assert limit is None or len(masked) <= limit + 1


@pytest.mark.parametrize("before", ["", "u", "me", "user:", "a@b.c:"])
@pytest.mark.parametrize("secret", ["s3cr3t/Value+9", "0123456789abcdefgh", "p\u00e4ss?w\u00f6rd>>~~"])
def test_a_configured_secret_is_masked_in_base64_and_in_hex_wherever_it_stands(
    before: str, secret: str
) -> None:
    hide([secret], configured=True)
    plain = (before + secret).encode()
    for encoded in (base64.b64encode(plain), base64.urlsafe_b64encode(plain)):
        shown = mask(f"sent {encoded.decode()}").removeprefix("sent ")
        assert MASK in shown
        assert len(shown) <= len(before) * 2 + 12
    assert secret.encode().hex() not in mask(plain.hex())
    assert secret.encode().hex().upper() not in mask(plain.hex().upper())


@pytest.mark.parametrize("cut", ["\u2026", " [...]"])
def test_the_beginning_of_a_secret_is_masked_where_a_text_was_cut_within_it(cut: str) -> None:
    hide(["s3cr3t-value-9"])
    assert mask(f"x s3cr3t-va{cut} y") == f"x ***{cut} y"
    assert mask(f"x s3c{cut} y") == f"x s3c{cut} y", "that may be anything"
    assert mask(f"x s3cr3t-xx{cut} y") == f"x s3cr3t-xx{cut} y"


def test_many_cuts_take_linear_time() -> None:
    hide(["ab" * 4000 + "c"])
    with processor_time(time.process_time) as used:
        mask(("ab" * 50 + "\u2026") * 160)
    assert used.seconds < 1
