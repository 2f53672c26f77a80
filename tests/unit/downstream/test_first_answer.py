"""The answer to ``initialize`` that is given while the rest of dmcp is imported, and what is left to the frontend."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.downstream.first_answer import FirstAnswer, release_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no loop waits for pipes there")


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


PARAMS = {"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": {"name": "é"}}
INITIALIZE = line(id="é", method="initialize", params=PARAMS)
PING = line(id=2, method="ping")


class Client:
    """A client, and what has passed between it and dmcp."""

    def __init__(self) -> None:
        stdin, self.to_dmcp = os.pipe()
        self.from_dmcp, stdout = os.pipe()
        self.stdin, self.stdout = open(stdin), open(stdout, "w")  # noqa: PTH123, SIM115 - descriptors
        self.first = FirstAnswer(self.stdin, self.stdout)

    def write(self, data: bytes) -> None:
        os.write(self.to_dmcp, data)

    def answers(self) -> list[Any]:
        os.set_blocking(self.from_dmcp, False)
        try:
            return [json.loads(each) for each in os.read(self.from_dmcp, 1 << 20).splitlines()]
        except BlockingIOError:
            return []

    def leave(self) -> None:
        for each in (self.to_dmcp, self.from_dmcp):
            with suppress(OSError):
                os.close(each)


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    release_signals()
    client.leave()
    client.stdin.close()
    client.stdout.close()


def test_a_whole_initialize_is_answered_and_what_follows_is_kept(client: Client) -> None:
    first = client.first
    client.write(INITIALIZE + PING + b'{"half')
    first.look()
    (answer,) = client.answers()
    assert answer["id"] == "é"
    assert answer["result"]["protocolVersion"] == "2025-06-18"
    assert first.session.profile is not None
    assert first.session.profile.can("roots")
    assert first.received == PING + b'{"half'


def test_it_is_put_together_from_parts_and_answered_once(client: Client) -> None:
    first = client.first
    for part in (INITIALIZE[:1], INITIALIZE[1:40], INITIALIZE[40:]):
        assert not client.answers()
        first.look()
        client.write(part)
    first.look()
    client.write(line(id=9, method="initialize", params=PARAMS))
    first.look()
    assert [answer["id"] for answer in client.answers()] == ["é"]
    assert first.received == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\n" + INITIALIZE,
        b"garbage\n" + INITIALIZE,
        b"\xff\n" + INITIALIZE,
        PING + INITIALIZE,
        b"[" + INITIALIZE.strip() + b"]\n",
        INITIALIZE.rstrip(),
        line(method="initialize", params=PARAMS),
        line(id=1, method="initialize", params={}),
        line(id=1, method="initialize", params={**PARAMS, "capabilities": []}),
        line(id=1, method="initialize", params=[]),
        line(id=None, method="initialize", params=PARAMS),
        line(id=1, method="tools/list"),
        line(id=1, result={}),
        b"x" * 65_536,
    ],
    ids=lambda sent: sent[:40].decode(errors="replace") + str(len(sent)),
)
def test_everything_else_is_left_to_the_frontend_byte_for_byte(client: Client, sent: bytes) -> None:
    first = client.first
    client.write(sent)
    first.look()
    first.look()
    assert not client.answers()
    assert first.session.profile is None
    assert first.received == sent


def test_of_a_line_that_does_not_end_no_more_is_read_than_there_is_room_for(client: Client) -> None:
    first = client.first
    for _ in range(4):
        client.write(b"x" * 32_768)
        first.look()
    assert first.received == b"x" * 65_536
    assert os.read(client.stdin.fileno(), 1 << 20) == b"x" * 65_536


def test_the_end_of_the_input_is_no_reason_to_fail(client: Client) -> None:
    first = client.first
    client.write(INITIALIZE)
    os.close(client.to_dmcp)
    first.look()
    first.look()
    assert len(client.answers()) == 1
    assert first.received == b""


def test_a_client_that_has_left_is_for_the_frontend_to_notice(client: Client) -> None:
    first = client.first
    client.write(INITIALIZE)
    os.close(client.from_dmcp)
    first.look()


def test_nothing_is_written_where_there_is_no_room(client: Client) -> None:
    number = client.stdout.fileno()
    os.set_blocking(number, False)
    with suppress(BlockingIOError):
        for _ in range(1024):
            os.write(number, b"x" * 4096)
    os.set_blocking(number, True)
    client.write(INITIALIZE)
    client.first.look()
    assert client.first.session.profile is None
    assert client.first.received == INITIALIZE


def test_what_is_no_pipe_is_not_looked_at(client: Client) -> None:
    client.write(INITIALIZE)
    with open(os.devnull) as file:  # noqa: PTH123 - a file is what it is
        for streams in ((client.stdin, file), (file, client.stdout), (client.stdin, None), (None, None)):
            first = FirstAnswer(*streams)
            first.look()
            assert first.received == b""
    FirstAnswer(file, file).look()
    assert not client.answers()


def test_signals_wait_from_the_answer_on(client: Client) -> None:
    def held() -> set[Any]:
        return signal.pthread_sigmask(signal.SIG_BLOCK, ())

    client.write(INITIALIZE[:-1])
    client.first.look()
    assert not held()
    client.write(INITIALIZE[-1:])
    client.first.look()
    assert held() == {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}
    release_signals()
    assert not held()
