"""What a stranger wrote, made safe to show."""

from __future__ import annotations

import pytest

from dmcp.text import ELLIPSIS, is_suspicious, printable
from harness.measured import processor_time


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zürich, 東京, 😀", "Zürich, 東京, 😀"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb\u2066c", r"a\u200bb\u2066c"),
        ("x\U000e0041", r"x\U000e0041"),
        ("\ud800", r"\ud800"),
        ("\ufeff{}", r"\ufeff{}"),
    ],
)
def test_what_could_hide_or_move_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_are_kept_where_lines_are_wanted() -> None:
    assert printable("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


@pytest.mark.parametrize(("length", "kept"), [(9, 9), (10, 10), (11, 10), (1_000_000, 10)])
def test_a_long_text_is_cut(length: int, kept: int) -> None:
    shown = printable("x" * length, 10)
    assert len(shown) == kept
    assert shown.endswith(ELLIPSIS) == (length > 10)


def test_suspicious_is_what_would_be_escaped_but_lines() -> None:
    assert not is_suspicious("two\nlines and a\ttab")
    assert is_suspicious("a\u200bb")


def test_the_time_grows_with_the_length_only() -> None:
    def seconds(size: int) -> float:
        text = "\x1b\u202e" * (size // 2)
        with processor_time() as used:
            printable(text, None)
        return used.seconds

    small, large = min(seconds(50_000) for _ in range(3)), min(seconds(500_000) for _ in range(3))
    assert large < small * 40  # ten times as long; a quadratic search would take a hundred times
