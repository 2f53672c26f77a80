"""A link to a function: for tests of what uses links."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dmcp.protocol.link import FaultKind, LinkFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.protocol.link import Link, LinkEvents, OpenLink


def memory_opener(server: Callable[[bytes], Sequence[bytes]]) -> OpenLink:
    """An ``OpenLink`` to ``server``, which is given each frame and returns the frames it sends because of it."""

    async def open_link(events: LinkEvents) -> Link:
        return MemoryLink(events, server)

    return open_link


class MemoryLink:
    """A ``Link`` to a function. Frames are handed over on the loop, in order, never from inside ``send``."""

    def __init__(self, events: LinkEvents, server: Callable[[bytes], Sequence[bytes]]) -> None:
        self._events = events
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._held: list[bytes] | None = None

    def __repr__(self) -> str:
        return f"<MemoryLink closed={self._closed}>"

    @property
    def backlog(self) -> int:
        """See ``Link``: a function takes everything at once."""
        return 0

    @property
    def pid(self) -> int | None:
        """See ``Link``: there is no process."""
        return None

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """See ``Link``."""
        del request_id
        if not self._closed:
            self._loop.call_soon(self._deliver, frame)

    def _deliver(self, frame: bytes) -> None:
        for answer in self._server(frame):
            self.emit(answer)

    def emit(self, frame: bytes) -> None:
        """Have the server send a frame of its own accord."""
        if self._closed:
            return
        if self._held is not None:
            self._held.append(frame)
        else:
            self._events.on_frame(frame)

    def break_off(self, reason: str) -> None:
        """Have the connection fail."""
        if not self._closed:
            self._closed = True
            self._events.on_closed(LinkFault(FaultKind.EXITED, reason))

    def abandon(self, request_id: int) -> None:
        """See ``Link``: the answer comes all the same."""

    def established(self, revision: str) -> None:
        """See ``Link``."""

    def pause(self) -> None:
        """See ``Link``."""
        if self._held is None:
            self._held = []

    def resume(self) -> None:
        """See ``Link``."""
        held, self._held = self._held or [], None
        for frame in held:
            self._loop.call_soon(self.emit, frame)

    def stderr_tail(self) -> Sequence[str]:
        """See ``Link``: it has no diagnostics."""
        return ()

    async def aclose(self, grace: float) -> None:
        """See ``Link``."""
        del grace
        self._closed = True
