"""One client's session: every message passes the plan on its way in and on its way out.

It knows neither pipes nor HTTP (an ``Output`` does) and nothing of what the server behind it can do.
Runs on the event loop; requests are carried out concurrently.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from dmcp.fault import rewrite
from dmcp.fault.plan import FaultPoint, phase_of
from dmcp.fault.steps import Send
from dmcp.protocol import jsonrpc, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.fault.plan import Due, FaultPlan
    from dmcp.fault.server import Backend, OutgoingMessage
    from dmcp.fault.steps import Output, StepRunner

_MAX_ANNOUNCED = 10_000
"""Messages of the server's own that wait for the client to read; beyond it they are dropped."""


class Session:
    """The faults between one client and the server behind."""

    def __init__(
        self,
        plan: FaultPlan,
        runner: StepRunner,
        backend: Callable[[Callable[[OutgoingMessage], None]], Backend],
        standalone: Output,
    ) -> None:
        """Begin a session; ``standalone`` is where messages go that belong to no request."""
        self._plan = plan
        self._runner = runner
        self._standalone = standalone
        self._announced: asyncio.Queue[OutgoingMessage] = asyncio.Queue(_MAX_ANNOUNCED)
        self._backend = backend(self._announce)
        self._running: dict[bytes, tuple[asyncio.Task[None], tuple[Due, ...]]] = {}
        self._announcer = asyncio.create_task(self._say_announced())

    def __repr__(self) -> str:
        return f"<Session running={len(self._running)} announced={self._announced.qsize()}>"

    async def arrived(self, frame: bytes, output: Output) -> None:
        """Take one frame of the client and do all that follows of it."""
        message = jsonrpc.read(frame)
        if isinstance(message, jsonrpc.Batch):
            await self._batch(message, output)
        else:
            await self._single(message, frame, output)

    async def reach(self, point: FaultPoint, output: Output) -> bool:
        """Let faults act at a point that has no message of its own; return whether things go on."""
        return await self._runner.run(rewrite.arriving(self._plan.due(point)), output)

    async def aclose(self, grace: float = 0.0) -> None:
        """Let the client go: give what is running ``grace`` seconds, then end it. Idempotent."""
        running = [task for task, _ in self._running.values()]
        if running and grace:
            await asyncio.wait(running, timeout=grace)
        for task in [*running, self._announcer]:
            task.cancel()
        await asyncio.gather(*running, self._announcer, return_exceptions=True)
        await self._backend.aclose()

    async def _single(self, message: jsonrpc.Single, frame: bytes, output: Output) -> None:
        match message:
            case jsonrpc.Request():
                await self._call(message, output)
            case jsonrpc.Notification():
                await self._note(message, output)
            case jsonrpc.Response():
                self._backend.answered(frame)
            case jsonrpc.Malformed():
                await _fail(output, message.id, message.code, message.message)

    async def _call(self, call: jsonrpc.Request, output: Output) -> None:
        if call.id in self._running:
            await _fail(output, call.id, jsonrpc.INVALID_REQUEST, "the id of a request still running")
            return
        due = self._plan.due(FaultPoint(phase_of(call.method), call.method, str(call.params.get("name", ""))))
        task = asyncio.create_task(self._exchange(call, due, output))
        self._running[call.id] = (task, due)
        task.add_done_callback(lambda _: self._running.pop(call.id, None))
        await asyncio.wait([task])  # not the task itself: the client may cancel it, and that is no error here
        if not task.cancelled() and (error := task.exception()) is not None:
            self._runner.process.diagnose(f"dmcp fault: a mistake of its own, please report it: {error!r}")

    async def _exchange(self, call: jsonrpc.Request, due: tuple[Due, ...], output: Output) -> None:
        if not await self._runner.run(rewrite.arriving(due, call.id), output):
            return
        async for message in self._backend.handle(call):
            if message.method:
                await self._say(message, output)
            else:
                await self._runner.run(rewrite.leaving(message.frame, due), output)

    async def _note(self, note: jsonrpc.Notification, output: Output) -> None:
        due = self._plan.due(FaultPoint(phase_of(note.method), note.method))
        if not await self._runner.run(rewrite.arriving(due), output):
            return
        if note.method == "notifications/cancelled":
            task, faults = self._running.get(wire.encode(note.params.get("requestId")), (None, ()))
            if task is not None and not rewrite.outlasts_cancelling(faults):
                task.cancel()
        self._backend.notified(note)

    async def _batch(self, batch: jsonrpc.Batch, output: Output) -> None:
        if not batch.messages or not self._backend.takes_batches():
            problem = "no batches in this revision, and never an empty one"
            await _fail(output, b"null", jsonrpc.INVALID_REQUEST, problem)
            return
        collected = _Collected(output)
        await asyncio.gather(*(self._single(message, b"{}", collected) for message in batch.messages))
        if collected.frames:
            await output.send(Send(b"[" + b",".join(collected.frames) + b"]"))

    def _announce(self, message: OutgoingMessage) -> None:
        with suppress(asyncio.QueueFull):
            self._announced.put_nowait(message)

    async def _say_announced(self) -> None:
        while True:
            await self._say(await self._announced.get(), self._standalone)

    async def _say(self, message: OutgoingMessage, output: Output) -> None:
        due = self._plan.due(FaultPoint("notify", message.method, departing=True))
        if await self._runner.run(rewrite.arriving(due), output):
            await self._runner.run(rewrite.leaving(message.frame, due), output)


async def _fail(output: Output, identifier: bytes, code: int, problem: str) -> None:
    await output.send(Send(jsonrpc.failure(identifier, jsonrpc.error_object(code, problem))))


class _Collected:
    """Keeps whole messages for the answer to a batch; everything else goes straight on."""

    def __init__(self, output: Output) -> None:
        self.frames: list[bytes] = []
        self._output = output
        self.noise = output.noise
        self.cut = output.cut
        self.respond = output.respond

    async def send(self, message: Send) -> None:
        if message.cuts:
            await self._output.send(message)
        else:
            self.frames.append(message.frame)
