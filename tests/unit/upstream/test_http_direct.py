"""Which connection a request goes over, against a server of plain sockets in a thread of its own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from dmcp.upstream.pool import DirectTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
PATIENCE = 10.0


class ClosingServer:
    """Answers one request on each connection, and closes it when it is told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port: int = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # the test is over
            self.connections.append(connection)
            connection.settimeout(PATIENCE)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture
def server() -> Iterator[ClosingServer]:
    running = ClosingServer()
    yield running
    running.listener.shutdown(socket.SHUT_RDWR)
    running.listener.close()
    running.thread.join(PATIENCE)
    running.close()


async def test_a_connection_the_server_has_closed_is_not_used_though_the_loop_has_not_seen_it_yet(
    server: ClosingServer,
) -> None:
    pool = DirectTransport("127.0.0.1", server.port, tls=False)
    url = httpx.URL(f"http://127.0.0.1:{server.port}/")
    for _ in range(2):
        answer = await pool.ask("POST", url, [], b"", PATIENCE)
        assert b"".join([chunk async for chunk in answer.stream]) == b"{}"
        await answer.aclose()
        server.close()  # and the loop does not get to hear of it before the next request
    assert pool.start("POST", url, [], b"", lambda _: None) is None
    assert len(server.connections) == 2
    await pool.aclose()
