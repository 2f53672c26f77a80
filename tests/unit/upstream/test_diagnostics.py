"""What is kept of a server's stderr is bounded in lines and in bytes, however it is written."""

from __future__ import annotations

from dmcp.protocol.limits import MAX_STDERR, MAX_STDERR_LINE, MAX_STDERR_LINES
from dmcp.upstream.stdio import StderrTail


def kept_of(*chunks: bytes) -> tuple[tuple[str, ...], list[str]]:
    told: list[str] = []
    diagnostics = StderrTail(told.append)
    for chunk in chunks:
        diagnostics.feed(chunk)
    diagnostics.end()
    return diagnostics.tail(), told


def test_lines_come_out_whole_and_the_last_one_without_its_ending_too() -> None:
    assert kept_of(b"one\r\ntw", b"o\n\nl\xff")[0] == ("one", "two", "", "l\ufffd")


def test_only_the_newest_lines_are_kept_and_all_are_told() -> None:
    kept, told = kept_of(*(b"%d\n" % number for number in range(1000)))
    assert kept == tuple(str(number) for number in range(1000 - MAX_STDERR_LINES, 1000))
    assert len(told) == 1000


def test_of_a_long_line_the_beginning_is_kept() -> None:
    (line,), _ = kept_of(b"begin", b"x" * MAX_STDERR_LINE * 3, b"\n")
    assert line.startswith("beginxxx")
    assert line.endswith("[...]")
    assert len(line) < MAX_STDERR_LINE + 10


def test_a_line_that_never_ends_costs_no_more_than_its_limit() -> None:
    diagnostics = StderrTail(lambda _: None)
    for _ in range(1000):
        diagnostics.feed(b"x" * 65536)
    assert len(diagnostics._part) == MAX_STDERR_LINE


def test_a_hundred_long_lines_are_not_a_hundred_times_the_longest() -> None:
    kept, _ = kept_of(*(b"x" * MAX_STDERR_LINE + b"\n" for _ in range(100)))
    assert sum(map(len, kept)) <= MAX_STDERR
    assert len(kept) > 10
