"""dmcp's own standard input and output: what is told of a client that leaves, and what is still written."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.downstream.stdio import Downstream, _has_hung_up

if TYPE_CHECKING:
    from collections.abc import Callable


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
        call_after_drain=lambda action: action(),
        drain_after=lambda callback: callback,
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


def test_a_client_without_a_pipe_is_not_read_from_either_while_it_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipes, _ = downstream([])
    story: list[str] = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if not self.is_set():
                story.append("held")
                pipes._writable(True)  # the client has read at last
            return super().wait(timeout)

    class Loop:
        def call_soon_threadsafe(self, callback: Callable[..., object], *given: object) -> None:
            if given:
                story.append("heard")
                pipes._writable(False)

    def read(_fd: int, _size: int, left: list[bytes] = [b"1\n", b"2\n"]) -> bytes:  # noqa: B006 - what is left to read
        return left.pop(0) if left else b""

    pipes._may_read = Gate()
    pipes._may_read.set()
    monkeypatch.setattr(os, "read", read)
    loop: Any = Loop()
    pipes._read_in_thread(0, loop)
    assert story == ["heard", "held", "heard", "held"]


@pytest.mark.skipif(sys.platform == "win32", reason="stdin is read by a thread there")
def test_the_end_of_a_pipe_is_noticed_without_reading_what_is_left_in_it() -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"left over")
        assert not _has_hung_up(read)
        os.close(write)
        assert _has_hung_up(read)
    finally:
        os.close(read)


@pytest.mark.skipif(sys.platform == "win32", reason="as above")
def test_a_socket_that_is_closed_for_writing_only_counts_as_ended() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.send(b"left over")
        assert not _has_hung_up(here.fileno())
        there.shutdown(socket.SHUT_WR)
        assert _has_hung_up(here.fileno())


class Reader:
    """Stands for the loop's reading side."""

    def __init__(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.mark.anyio
async def test_a_flood_of_lines_is_handed_on_in_portions_and_not_read_any_further_meanwhile() -> None:
    told: list[int] = []
    gone: list[bool] = []
    pipes, _ = downstream(gone)
    reader: Any = Reader()
    pipes._reader = reader
    pipes._on_frames = lambda frames: told.append(len(frames))
    pipes.received(b"x\n" * 10_000)
    assert not reader.reading
    pipes.ended()
    assert gone == []
    async with asyncio.timeout(5):
        while not gone:  # noqa: ASYNC110 - a portion a turn
            await asyncio.sleep(0)
    assert sum(told) == 10_000
    assert max(told) <= 64
    assert gone == [True]


@pytest.mark.anyio
async def test_a_client_that_does_not_read_has_no_more_of_its_lines_handled_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    pipes, _ = downstream([])
    reader: Any = Reader()
    pipes._reader = reader
    pipes._on_frames = lambda frames: told.append(len(frames))
    monkeypatch.setattr(pipes, "_poll_hangup", lambda reader: None)
    pipes.received(b"x\n" * 1000)
    pipes._writable(False)
    for _ in range(20):
        await asyncio.sleep(0)
    assert sum(told) == 0
    pipes._writable(True)
    for _ in range(30):
        await asyncio.sleep(0)
    assert sum(told) == 1000
    assert reader.reading


@pytest.mark.anyio
async def test_a_thread_that_reads_a_file_waits_for_the_loop() -> None:
    """A large file as standard input is read no faster than it is taken."""
    reading, writing = os.pipe()
    pipes, _ = downstream([])
    taken: list[int] = []
    pipes._on_frames = lambda frames: taken.append(len(frames))
    waiting: list[bytes] = []

    class Loop:
        def call_soon_threadsafe(self, callback: Callable[..., object], *given: bytes) -> None:
            waiting.extend(given)

    loop: Any = Loop()
    thread = threading.Thread(target=pipes._read_in_thread, args=(reading, loop), daemon=True)
    try:
        os.write(writing, b"one\n")
        thread.start()
        async with asyncio.timeout(5):
            while not waiting:  # noqa: ASYNC110 - another thread appends to it
                await asyncio.sleep(0.001)
        os.write(writing, b"two\n")
        await asyncio.sleep(0.05)
        assert waiting == [b"one\n"]
        pipes._received_from_thread(waiting.pop())
        async with asyncio.timeout(5):
            while not waiting:  # noqa: ASYNC110 - another thread appends to it
                await asyncio.sleep(0.001)
        assert waiting == [b"two\n"]
    finally:
        os.close(writing)
        pipes._may_read.set()
        thread.join(5)
        os.close(reading)
