from __future__ import annotations

import math
import re

import pytest

from dmcp.config.durations import SPELLING, format_duration, seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("1min", 60),
        ("2m", 120),
        ("1h", 3600),
        ("30", 30),
        (" 1.5 S ", 1.5),
        (45, 45),
        (0.25, 0.25),
    ],
)
def test_every_documented_spelling_is_understood_by_dmcp_and_by_the_schema(
    written: object, expected: float
) -> None:
    assert seconds(written) == expected
    assert not isinstance(written, str) or re.search(SPELLING, written)


@pytest.mark.parametrize("written", [None, ""])
def test_null_and_empty_mean_the_default(written: object) -> None:
    assert seconds(written) is None


@pytest.mark.parametrize("written", ["soon", "3x", "-1s", "1 2s", "s", "٣s", "30 seconds"])
def test_a_text_that_is_no_duration_is_refused_by_dmcp_and_by_the_schema(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(written)
    assert not re.search(SPELLING, written, re.ASCII)


@pytest.mark.parametrize("written", [0, "0s", -1, math.inf, math.nan, 10**400, "9" * 400])
def test_a_duration_must_be_finite_and_greater_than_zero(written: object) -> None:
    with pytest.raises(ValueError, match="greater than zero"):
        seconds(written)


@pytest.mark.parametrize("written", [True, [], {}])
def test_another_type_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        seconds(written)


@pytest.mark.parametrize("text", ["500ms", "1s", "30s", "90s", "2m", "1h", "1.5s"])
def test_a_spelled_duration_reads_back_as_itself(text: str) -> None:
    assert format_duration(float(seconds(text) or 0)) == text
