"""One client's session: every message passes the plan on its way in and on its way out.

It knows neither pipes nor HTTP (an ``Outlet`` does) and nothing of what the server behind it can do.
Runs on the event loop; requests are carried out concurrently.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from dmcp.fault import rewrite
from dmcp.fault.plan import Moment, phase_of
from dmcp.protocol import jsonrpc, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.fault.behind import Behind, Saying
    from dmcp.fault.performer import Outlet, Performer
    from dmcp.fault.plan import Due, FaultPlan

_MAX_ANNOUNCED = 10_000
"""Messages of the server's own that wait for the client to read; beyond it they are dropped."""


class Session:
    """The faults between one client and the server behind."""

    def __init__(
        self,
        plan: FaultPlan,
        performer: Performer,
        behind: Callable[[Callable[[Saying], None]], Behind],
        standing: Outlet,
    ) -> None:
        """Begin a session; ``standing`` is where messages go that belong to no request."""
        self._plan = plan
        self._performer = performer
        self._standing = standing
        self._announced: asyncio.Queue[Saying] = asyncio.Queue(_MAX_ANNOUNCED)
        self._behind = behind(self._announce)
        self._running: dict[bytes, tuple[asyncio.Task[None], tuple[Due, ...]]] = {}
        self._announcer = asyncio.create_task(self._say_announced())

    def __repr__(self) -> str:
        return f"<Session running={len(self._running)} announced={self._announced.qsize()}>"

    async def arrived(self, frame: bytes, outlet: Outlet) -> None:
        """Take one frame of the client and do all that follows of it."""
        message = jsonrpc.read(frame)
        if isinstance(message, jsonrpc.Batch):
            await self._batch(message, outlet)
        else:
            await self._single(message, frame, outlet)

    async def moment(self, moment: Moment, outlet: Outlet) -> bool:
        """Act at a moment that has no message of its own; whether things go on."""
        return await self._performer.perform(rewrite.arriving(self._plan.due(moment)), outlet)

    async def aclose(self, grace: float = 0.0) -> None:
        """The client has gone: give what is running ``grace`` seconds, then end it. Idempotent."""
        running = [task for task, _ in self._running.values()]
        if running and grace:
            await asyncio.wait(running, timeout=grace)
        for task in [*running, self._announcer]:
            task.cancel()
        await asyncio.gather(*running, self._announcer, return_exceptions=True)
        await self._behind.aclose()

    async def _single(self, message: jsonrpc.Single, frame: bytes, outlet: Outlet) -> None:
        match message:
            case jsonrpc.Request():
                await self._call(message, outlet)
            case jsonrpc.Notification():
                await self._note(message, outlet)
            case jsonrpc.Response():
                self._behind.answered(frame)
            case jsonrpc.Malformed():
                await outlet.send(
                    jsonrpc.failure(message.id, jsonrpc.error_object(message.code, message.message))
                )

    async def _call(self, call: jsonrpc.Request, outlet: Outlet) -> None:
        if call.id in self._running:
            body = jsonrpc.error_object(jsonrpc.INVALID_REQUEST, "the id of a request still running")
            await outlet.send(jsonrpc.failure(call.id, body))
            return
        due = self._plan.due(Moment(phase_of(call.method), call.method, str(call.params.get("name", ""))))
        task = asyncio.create_task(self._exchange(call, due, outlet))
        self._running[call.id] = (task, due)
        task.add_done_callback(lambda _: self._running.pop(call.id, None))
        await asyncio.wait([task])  # not the task itself: the client may cancel it, and that is no error here
        if not task.cancelled() and (error := task.exception()) is not None:
            self._performer.process.diagnose(f"dmcp fault: a mistake of its own, please report it: {error!r}")

    async def _exchange(self, call: jsonrpc.Request, due: tuple[Due, ...], outlet: Outlet) -> None:
        if not await self._performer.perform(rewrite.arriving(due, call.id), outlet):
            return
        async for saying in self._behind.work(call):
            if saying.method:
                await self._say(saying, outlet)
            else:
                await self._performer.perform(rewrite.leaving(saying.frame, due), outlet)

    async def _note(self, note: jsonrpc.Notification, outlet: Outlet) -> None:
        due = self._plan.due(Moment(phase_of(note.method), note.method))
        if not await self._performer.perform(rewrite.arriving(due), outlet):
            return
        if note.method == "notifications/cancelled":
            task, faults = self._running.get(wire.encode(note.params.get("requestId")), (None, ()))
            if task is not None and not rewrite.outlasts_cancelling(faults):
                task.cancel()
        self._behind.heard(note)

    async def _batch(self, batch: jsonrpc.Batch, outlet: Outlet) -> None:
        if not batch.messages or not self._behind.takes_batches():
            body = jsonrpc.error_object(
                jsonrpc.INVALID_REQUEST, "no batches in this revision, and never an empty one"
            )
            await outlet.send(jsonrpc.failure(b"null", body))
            return
        collected = _Collected(outlet)
        await asyncio.gather(*(self._single(message, b"{}", collected) for message in batch.messages))
        if collected.frames:
            await outlet.send(b"[" + b",".join(collected.frames) + b"]")

    def _announce(self, saying: Saying) -> None:
        with suppress(asyncio.QueueFull):
            self._announced.put_nowait(saying)

    async def _say_announced(self) -> None:
        while True:
            await self._say(await self._announced.get(), self._standing)

    async def _say(self, saying: Saying, outlet: Outlet) -> None:
        due = self._plan.due(Moment("notify", saying.method, departing=True))
        if await self._performer.perform(rewrite.arriving(due), outlet):
            await self._performer.perform(rewrite.leaving(saying.frame, due), outlet)


class _Collected:
    """Keeps whole messages for the answer to a batch; everything else goes straight on."""

    def __init__(self, outlet: Outlet) -> None:
        self.frames: list[bytes] = []
        self.noise = outlet.noise
        self.part = outlet.part
        self.cut = outlet.cut
        self.respond = outlet.respond

    async def send(self, frame: bytes) -> None:
        self.frames.append(frame)
