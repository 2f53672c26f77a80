"""A shortcut for the usual request: sent without waiting, answered by one short body that comes whole.

Such a request needs no task, and the loop no extra turns: that is a tenth to a fifth of what a call costs
(docs/performance.md). Whatever is unusual about it or its answer goes the way of all others, which is the link's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dmcp.upstream import bodies
from dmcp.upstream.direct import Body
from dmcp.upstream.envelope import answers, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from dmcp.upstream.answer import Answer
    from dmcp.upstream.connection import Connection
    from dmcp.upstream.endpoint import Endpoint, Request

_OK: Final = 200
_MOST_LINES: Final = 8
_IS_MESSAGE: Final = frozenset({b"event: message", b"event:message"})


class Shortcut:
    """The requests of one link that are under way without a task."""

    def __init__(
        self, endpoint: Endpoint, heard: Callable[[Answer | httpx.HTTPError, Request, int], None]
    ) -> None:
        """``heard`` gets the answer to each request, and closes it; it is not called for what was given up."""
        self._endpoint = endpoint
        self._heard = heard
        self._going: dict[int, tuple[Connection, asyncio.Future[None]]] = {}

    def __repr__(self) -> str:
        return f"<Shortcut {len(self._going)} under way>"

    def take(self, request: Request, request_id: int) -> bool:
        """Send a request if it can be done at once; whether it was."""

        def heard(answer: Answer | httpx.HTTPError) -> None:
            _, done = self._going.pop(request_id, (None, None))
            if done is not None:
                done.set_result(None)
                self._heard(answer, request, request_id)

        connection = self._endpoint.start(request, heard)
        if connection is None:
            return False
        self._going[request_id] = (connection, asyncio.get_running_loop().create_future())
        return True

    def abandon(self, request_id: int) -> None:
        """Nobody waits for this answer any more."""
        connection, done = self._going.pop(request_id, (None, None))
        if connection is not None and done is not None:
            done.set_result(None)
            connection.close()

    def close(self) -> None:
        """Nobody waits for any answer."""
        for request_id in tuple(self._going):
            self.abandon(request_id)

    @property
    def pending(self) -> set[asyncio.Future[None]]:
        """Done when an answer is heard or given up, one for each request."""
        return {done for _, done in self._going.values()}


def only_message(answer: Answer, request_id: int) -> bytes | None:
    """The answer to this request if the HTTP answer holds nothing else, and is here whole: then it is closed."""
    stream = answer.stream
    if answer.status_code != _OK or "set-cookie" in answer.headers or not isinstance(stream, Body):
        return None
    body = bodies.ready(answer)
    if body is None:
        return None
    kind = bodies.content_type(answer)
    if kind == "text/event-stream":
        body = only_data(body)
    elif kind != "application/json":
        return None
    message = one_line(body)
    if not answers(message, request_id):
        return None
    stream.release()
    return message


def only_data(body: bytes) -> bytes:
    """The data of an event stream's body that is one event of one line of data, as most are; empty for any other.

    A scanner and no pattern: each byte is looked at once, whatever the server writes.
    """
    if body.count(b"\n") > _MOST_LINES:
        return b""
    lines = [line.removesuffix(b"\r") for line in body.split(b"\n")]
    if (
        len(lines) < len((b"data", b"", b""))
        or lines[-1]
        or lines[-2]
        or any(b"\r" in line for line in lines)
    ):
        return b""
    *others, data = lines[:-2]
    if any(not other.startswith(b"id:") and other not in _IS_MESSAGE for other in others):
        return b""
    return data[len(b"data:") :].removeprefix(b" ") if data.startswith(b"data:") else b""
