"""What the two HTTP transports share: tasks the link owns, frames in order, the pause, and how a link ends.

Not here: requests and addresses (``endpoint``), bodies (``responses``), the transports' own rules.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dmcp import log
from dmcp.protocol.limits import MAX_REFUSAL
from dmcp.protocol.link import FaultKind, LinkFault
from dmcp.text import printable
from dmcp.upstream import responses
from dmcp.upstream.faults import LinkFailure
from dmcp.upstream.responses import as_frame, release

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from httpx_sse import ServerSentEvent

    from dmcp.protocol.link import LinkEvents
    from dmcp.upstream.endpoint import Endpoint
    from dmcp.upstream.responses import Response

_POST_DEADLINE: Final = 30.0
"""Seconds a notification, or an answer to the server, may take to be accepted: its only deadline."""
_SHOWN: Final = 200
_BODY_END_TIMEOUT: Final = 1.0
"""Seconds the body of an answer nobody reads gets to end."""


class HttpLink(ABC):
    """A link whose requests each have a task; messages that expect no answer are posted one after the other.

    The queue of the latter is bounded by its owner, who looks at ``backlog``.
    """

    def __init__(self, endpoint: Endpoint, events: LinkEvents) -> None:
        self._endpoint = endpoint
        self._events = events
        self._reading = asyncio.Event()
        self._reading.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._ordered_queue: deque[bytes] = deque()
        self._queue_task: asyncio.Task[None] | None = None
        self._backlog = 0
        self._unsent: dict[int, int] = {}
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._requests)} requests"
        return f"<{type(self).__name__} {self._endpoint.label}, {state}>"

    @property
    def backlog(self) -> int:
        return self._backlog

    @property
    def pid(self) -> int | None:
        """Nothing was started here."""
        return None

    def stderr_tail(self) -> Sequence[str]:
        """Return nothing: a remote server's diagnostics stay with it."""
        return ()

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """See ``Link``. A request gets a task of its own, everything else keeps its order."""
        if self._closed:
            return
        self._backlog += len(frame)
        if request_id is not None:
            self._unsent[request_id] = len(frame)
            self._start_request(frame, request_id)
            return
        self._ordered_queue.append(frame)
        if not self._is_posting:
            self._queue_task = self._spawn_task(self._drain())

    def _start_request(self, frame: bytes, request_id: int) -> None:
        self._track(request_id, self._ask(frame, request_id))

    def _track(self, request_id: int, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """See to a request of ours in a task of its own."""
        task = self._requests[request_id] = self._spawn_task(work)
        task.add_done_callback(lambda task: self._on_request_done(request_id, task))
        return task

    def abandon(self, request_id: int) -> None:
        """See ``Link``. Closes the request's stream, which by itself tells the server nothing."""
        task = self._requests.pop(request_id, None)
        if task is not None:
            task.cancel()

    @property
    def _is_posting(self) -> bool:
        return self._queue_task is not None and not self._queue_task.done()

    def pause(self) -> None:
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    async def aclose(self, grace: float) -> None:
        await self._stop()
        await self._close_session(grace)

    @abstractmethod
    async def _ask(self, frame: bytes, request_id: int) -> None:
        """Send a request of ours and see to it that its answer, or ``on_failed``, reaches the owner."""

    @abstractmethod
    async def _post(self, frame: bytes) -> None:
        """Send a message that expects no answer; raises ``LinkFailure``."""

    @abstractmethod
    async def _close_session(self, grace: float) -> None:
        """Say goodbye to the server and give the connections back. Called again if ``aclose`` is."""

    async def _stop(self) -> None:
        self._closed = True
        self._reading.set()  # for the goodbye, whose answer is read as well
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _spawn_task(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _finish_body(self, response: Response) -> None:
        """Give the body of an answer nobody reads a moment to end, which saves the connection."""
        if responses.ready(response) is not None:
            release(response)
        else:
            self._spawn_task(self._ending(response))

    async def _ending(self, response: Response) -> None:
        with suppress(TimeoutError, LinkFailure):
            async with asyncio.timeout(_BODY_END_TIMEOUT):
                await responses.whole(response, self._reading, MAX_REFUSAL)

    def _mark_sent(self, request_id: int) -> None:
        """Take a request the server has read off the backlog."""
        self._backlog -= self._unsent.pop(request_id, 0)

    def _on_request_done(self, request_id: int, task: asyncio.Task[None]) -> None:
        self._mark_sent(request_id)
        if self._requests.get(request_id) is task:
            del self._requests[request_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            # A mistake of ours, yet the caller is owed an end.
            log.error(f"dmcp failed on a request: {error!r}; please report this", self._endpoint.label)
            self._fail(request_id, LinkFault(FaultKind.PROTOCOL, "could not be asked: dmcp itself failed"))

    async def _drain(self) -> None:
        while self._ordered_queue:
            frame = self._ordered_queue.popleft()
            try:
                async with asyncio.timeout(_POST_DEADLINE):
                    await self._post(frame)
            except LinkFailure as error:
                log.warning(f"a notification was not accepted: {error}", self._endpoint.label)
            except TimeoutError:
                log.warning("a notification was not accepted in time", self._endpoint.label)
            finally:
                self._backlog -= len(frame)

    def _fail(self, request_id: int, fault: LinkFault) -> None:
        if not self._closed:
            self._events.on_failed(request_id, fault)

    def _fail_link(self, fault: LinkFault) -> None:
        """Tell the owner that the link is gone: no event after this one."""
        if self._closed:
            return
        self._closed = True
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self._events.on_closed(fault)

    def _deliver(self, event: ServerSentEvent, during: int | None = None) -> bytes | None:
        """Pass an event's message on; returns the frame, or ``None`` where the event holds no message.

        ``during`` is the id of the request whose stream it is; ``None`` for the standalone one.
        """
        if event.event not in {"", "message"} or not event.data:
            return None
        return self._pass_on(event.data.encode(), during)

    def _pass_on(self, body: bytes, during: int | None = None) -> bytes | None:
        """Pass a body on as a frame; returns the frame, or ``None`` if it cannot be a message."""
        frame = as_frame(body)
        if frame.startswith((b"{", b"[")):
            self._events.on_frame(frame, during)
            return frame
        shown = printable(frame[:_SHOWN].decode(errors="replace"), _SHOWN)
        self._events.on_noise(f"something that is no message: {shown!r}")
        return None
