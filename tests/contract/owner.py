"""The owner of a link, as a test plays it: it notes what the link tells, in order, and waits for it with a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dmcp.protocol.link import Link, LinkFault

PATIENCE = 20.0  # seconds; a test waits that long only if it is about to fail
REVISION = "2025-11-25"
Said = tuple[str, Any]


class Owner:
    """Implements ``LinkEvents``; ``ask`` and ``hear`` are the test's side."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[Said] = asyncio.Queue()
        self._next_id = 0
        self.link: Link | None = None

    def on_frame(self, frame: bytes, during: int | None = None) -> None:
        assert b"\n" not in frame, "a frame is one line"
        self._said.put_nowait(("frame", from_json(frame)))

    def on_noise(self, text: str) -> None:
        self._said.put_nowait(("noise", text))

    def on_stderr(self, line: str) -> None:
        pass

    def on_failed(self, request_id: int, fault: LinkFault) -> None:
        self._said.put_nowait(("failed", (request_id, fault)))

    def on_closed(self, fault: LinkFault) -> None:
        self._said.put_nowait(("closed", fault))

    async def open(self, opener: Callable[[Owner], Awaitable[Link]]) -> Link:
        async with asyncio.timeout(PATIENCE):
            self.link = await opener(self)
        return self.link

    async def establish(self, revision: str = REVISION) -> dict[str, Any]:
        """Initialise the session; the server's answer."""
        params = {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        answer = await self.answer(self.ask("initialize", params))
        self.notify("notifications/initialized")
        assert self.link is not None
        self.link.established(revision)
        return answer

    def ask(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request; its id."""
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params or {}}
        assert self.link is not None
        self.link.send(to_json(message), self._next_id)
        return self._next_id

    def call(self, tool: str, **arguments: Any) -> int:
        """Send a tool call, with its id as the progress token; its id."""
        token = {"progressToken": self._next_id + 1}
        return self.ask("tools/call", {"name": tool, "arguments": arguments, "_meta": token})

    def notify(self, method: str) -> None:
        assert self.link is not None
        self.link.send(to_json({"jsonrpc": "2.0", "method": method}))

    async def hear(self) -> Said:
        """The next thing the link tells."""
        async with asyncio.timeout(PATIENCE):
            return await self._said.get()

    async def answer(self, request_id: int) -> Any:
        """The answer to a request, which must be the next thing told."""
        what, content = await self.hear()
        assert what == "frame", (what, content)
        assert content.get("id") == request_id, content
        return content["result"]

    async def failure(self, request_id: int) -> LinkFault:
        """The failure of a request, which must be the next thing told."""
        what, content = await self.hear()
        assert what == "failed", (what, content)
        assert content[0] == request_id
        fault: LinkFault = content[1]
        return fault

    async def closing(self) -> LinkFault:
        """The end of the link, which must be the next thing told."""
        what, content = await self.hear()
        assert what == "closed", (what, content)
        fault: LinkFault = content
        return fault

    @property
    def unheard(self) -> list[Said]:
        """What was told and not waited for."""
        said = []
        while not self._said.empty():
            said.append(self._said.get_nowait())
        return said
