from __future__ import annotations

import re

import pytest

from dmcp.config.sizes import SPELLING, format_size, size


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("64MiB", 64 * 1024 * 1024),
        ("512 KiB", 512 * 1024),
        (" 1.5 kib ", 1536),
        ("8MB", 8_000_000),
        ("900kB", 900_000),
        ("1GiB", 1024**3),
        ("2gb", 2_000_000_000),
        ("65536", 65536),
        ("65536B", 65536),
        (65536, 65536),
    ],
)
def test_every_documented_spelling_is_understood_by_dmcp_and_by_the_schema(
    written: object, expected: int
) -> None:
    assert size(written) == expected
    assert not isinstance(written, str) or re.search(SPELLING, written)


@pytest.mark.parametrize("written", [None, ""])
def test_null_and_empty_mean_the_default(written: object) -> None:
    assert size(written) is None


@pytest.mark.parametrize(
    "written", ["big", "64M", "64 K", "-1MB", "1 2MB", "MB", "٣MB", "1TiB", "1e3", "1Mbit"]
)
def test_a_text_that_is_no_size_is_refused_by_dmcp_and_by_the_schema(written: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write"):
        size(written)
    assert not re.search(SPELLING, written, re.ASCII)


def test_a_text_that_is_too_long_for_a_size_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size("1" * 1_000_000 + "MB")


@pytest.mark.parametrize("written", [0, -1, "0MB", "0.2B"])
def test_a_size_is_at_least_one_byte(written: object) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        size(written)


@pytest.mark.parametrize("written", [True, 1.5, [], {}])
def test_another_type_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        size(written)


@pytest.mark.parametrize("text", ["64MiB", "512KiB", "1GiB", "1000B", "1536KiB"])
def test_a_spelled_size_reads_back_as_itself(text: str) -> None:
    assert format_size(size(text) or 0) == text
