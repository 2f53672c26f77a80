"""Cutting a byte stream into lines."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcp.protocol import frames
from dmcp.protocol.frames import LineSplitter

STREAM = 'one\n\ntwo ü€😀\r\n{"a":"\\n"}\nlast'.encode()
LINES = [b"one", b"", "two ü€😀\r".encode(), b'{"a":"\\n"}']


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_the_lines_are_the_same_wherever_the_stream_is_cut(cut: int) -> None:
    splitter = LineSplitter(1000)
    assert splitter.feed(STREAM[:cut]) + splitter.feed(STREAM[cut:]) == LINES
    assert splitter.pending == len(b"last")
    assert splitter.feed(b"\n") == [b"last"]
    assert splitter.pending == 0


def test_the_lines_are_the_same_when_every_byte_comes_alone() -> None:
    splitter = LineSplitter(1000)
    assert [line for byte in STREAM for line in splitter.feed(bytes([byte]))] == LINES


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_line_over_the_limit_comes_out_once_as_none_and_the_next_one_is_whole(cut: int) -> None:
    stream = b"ok\n" + b"x" * 30 + b"\nnext\n"
    splitter = LineSplitter(10)
    assert splitter.feed(stream[:cut]) + splitter.feed(stream[cut:]) == [b"ok", None, b"next"]


def test_a_line_of_just_the_limit_passes_and_one_byte_more_does_not() -> None:
    splitter = LineSplitter(4)
    assert splitter.feed(b"1234\n12345\n") == [b"1234", None]
    assert splitter.feed(b"12") + splitter.feed(b"34\n") == [b"1234"]
    assert splitter.feed(b"12") + splitter.feed(b"345\n") == [None]


def test_a_line_over_the_limit_is_not_kept_in_memory() -> None:
    splitter = LineSplitter(10)
    for _ in range(100):
        splitter.feed(b"x" * 10)
        assert splitter.pending <= 10


def test_nothing_fed_gives_nothing() -> None:
    assert LineSplitter(10).feed(b"") == []


def test_a_line_that_comes_byte_by_byte_costs_about_what_it_says() -> None:
    splitter = LineSplitter(10**6)
    for _ in range(50_000):
        splitter.feed(b"x")
    assert len(splitter._parts) == 1
    assert splitter.feed(b"y" * 2000 + b"z\n") == [b"x" * 50_000 + b"y" * 2000 + b"z"]


@given(
    st.lists(st.integers(0, 6000).map(lambda size: b"x" * size), max_size=5),
    st.lists(st.integers(1, 4000), min_size=1, max_size=30),
    st.integers(100, 5000),
)
def test_lines_are_the_same_however_the_stream_was_cut(
    lines: list[bytes], cuts: list[int], limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frames, "_LARGE", 2000)  # more than that is put together as it comes
        splitter, stream, found = LineSplitter(limit), b"".join(line + b"\n" for line in lines), []
        for cut in itertools.cycle(cuts):
            if not stream:
                break
            found += splitter.feed(stream[:cut])
            stream = stream[cut:]
    assert found == [line if len(line) <= limit else None for line in lines]
    assert all(type(line) is bytes for line in found if line)
    assert splitter.pending == 0


def test_a_very_long_line_is_put_together_as_it_comes_and_not_at_its_end() -> None:
    splitter, chunk, most = LineSplitter(64 * 2**20), b"x" * 65536, 0
    for _ in range(900):
        assert splitter.feed(chunk) == []
        most = max(most, sum(len(part) for part in splitter._parts))
    assert most <= frames._LARGE + len(chunk)
    assert [len(line or b"") for line in splitter.feed(b"\n")] == [900 * 65536]
