"""dmcp's own standard input and output: what is told of a client that leaves, and what is still written."""

from __future__ import annotations

from typing import Any

from dmcp.transports.downstream import Downstream


class Writer:
    """Stands for a transport."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closing = False

    def writelines(self, lines: list[bytes]) -> None:
        if self.closing:
            raise RuntimeError("the handler is closed")  # as uvloop's transports do
        self.lines += lines

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0


def downstream(gone: list[bool]) -> tuple[Downstream, Writer]:
    made = Downstream(
        on_frames=lambda frames: None,
        on_gone=gone.append,
        on_writable=lambda writable: None,
        after_turn=lambda action: action(),
    )
    writer: Any = Writer()
    made._writer = writer
    return made, writer


def test_a_client_that_closes_both_ends_is_told_of_twice_because_the_second_ends_the_grace() -> None:
    gone: list[bool] = []
    pipes, _ = downstream(gone)
    pipes.ended()
    pipes.ended()  # the end of input, and then of the connection
    pipes.write_side_closed()
    pipes.write_side_closed()
    assert gone == [True, False]


def test_a_client_that_no_longer_reads_is_told_of_once() -> None:
    gone: list[bool] = []
    pipes, _ = downstream(gone)
    pipes.write_side_closed()
    pipes.ended()
    assert gone == [False]


def test_what_is_written_to_a_client_that_is_gone_is_dropped() -> None:
    pipes, writer = downstream([])
    pipes.write(b"1")
    writer.closing = True
    pipes.write(b"2")
    assert writer.lines == [b"1", b"\n"]
