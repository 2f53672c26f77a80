"""What can stand behind the faults, and what it says. ``core`` and ``wrap`` are the two that do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dmcp.protocol.jsonrpc import Notification, Request


class Saying(NamedTuple):
    """One message of the server; ``method`` is empty for the answer."""

    frame: bytes
    method: str = ""


class Behind(Protocol):
    """What stands behind the faults, for one client: this core, or a wrapped server."""

    def work(self, call: Request) -> AsyncIterator[Saying]:
        """Carry a request out; its answer comes last. Cancelling it cancels the request."""

    def heard(self, note: Notification) -> None:
        """The client sent a notification."""

    def answered(self, frame: bytes) -> None:
        """The client answered a request of the server."""

    def takes_batches(self) -> bool:
        """Whether the negotiated revision has batches."""

    async def aclose(self) -> None:
        """The client has gone. Idempotent."""
