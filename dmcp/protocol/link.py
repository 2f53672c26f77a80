"""The seam between actors and transports: a link that moves frames and knows no MCP method.

A *frame* is one JSON-RPC message as UTF-8 bytes, without line ending. Everything here runs on the event loop.
The owner of a link to a server (an upstream actor) implements ``LinkEvents``; the transport implements ``Link``. In
the same way ``ClientEvents`` and ``ClientLink`` stand between a frontend and the transport to its client.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence


class FaultKind(Enum):
    """Why a request or a whole link failed."""

    EXITED = "exited"  # the process ended or closed its output
    MISSING = "missing"  # the command to start is not there
    UNREACHABLE = "unreachable"  # connection refused, DNS, TLS, 5xx
    SESSION_LOST = "session lost"  # HTTP 404 on a live session: initialise again
    UNAUTHORIZED = "unauthorized"  # 401/403 that credentials did not mend
    PROTOCOL = "protocol"  # the peer does not speak the protocol: wrong content type, HTML, oversized message
    REJECTED = "rejected"  # an HTTP status that refuses this one request


class LinkFault(Struct, frozen=True):
    """Why something failed, in words fit for a person.

    Attributes:
        kind: the class of the failure, for decisions.
        reason: a phrase without the server's name and without a final stop: "exited with status 3".
        may_have_run: whether a request in flight may have been executed by the server.
        category: the same in a few fixed words (``dmcp.protocol.categories``); empty: those of its kind.
    """

    kind: FaultKind
    reason: str
    may_have_run: bool = True
    category: str = ""


class LinkEvents(Protocol):
    """What a link tells its owner. Called on the event loop; never from inside a call made by the owner."""

    def on_frame(self, frame: bytes, during: int | None = None) -> None:
        """Take one message that arrived whole. It may still be anything: the owner parses it. May pause the link.

        Args:
            frame: the message.
            during: the id of the request on whose own stream it came, where the transport has one for each.
        """

    def on_noise(self, text: str) -> None:
        """Something that cannot be a message arrived (an oversized line, an event with a bad body)."""

    def on_stderr(self, line: str) -> None:
        """Take a line of diagnostics."""

    def on_failed(self, request_id: int, fault: LinkFault) -> None:
        """Take note that this one request will get no answer. The link stays usable."""

    def on_closed(self, fault: LinkFault) -> None:
        """Take note that the link is gone: the last call on this object. Requests in flight will get no answer."""

    def is_in_use(self) -> bool:
        """Return whether the client waits for something of this server right now.

        Only then is a user asked to sign in: no browser opens because a program was started.
        """


class Link(Protocol):
    """One connection, and one MCP session, with a server."""

    @property
    def backlog(self) -> int:
        """Bytes accepted by ``send`` that the server has not taken yet."""

    @property
    def pid(self) -> int | None:
        """Return the process id of a server dmcp started itself."""

    def send(self, frame: bytes, request_id: int | None = None) -> None:
        """Send a message; never blocks, never raises for a dead peer (``on_failed``/``on_closed`` say so).

        Args:
            frame: the message.
            request_id: its JSON-RPC id if it is a request of ours that expects an answer.
        """

    def abandon(self, request_id: int) -> None:
        """Wait for this answer no longer; transports with a stream per request close it."""

    def established(self, revision: str) -> None:
        """``initialize`` succeeded with this revision and ``notifications/initialized`` has been sent."""

    def pause(self) -> None:
        """Stop reading from the server until ``resume``: the client does not keep up."""

    def resume(self) -> None:
        """Read on."""

    async def aclose(self, grace: float) -> None:
        """Close for good. Idempotent. After it nothing of the server is left that dmcp started.

        Args:
            grace: seconds a process gets after its stdin closes, and again after SIGTERM.
        """

    def stderr_tail(self) -> Sequence[str]:
        """Return the last lines (at most 100) of diagnostics, oldest first."""


OpenLink: TypeAlias = Callable[["LinkEvents"], Coroutine[Any, Any, "Link"]]
"""Opens a link for one configured server. Raises ``LinkRefused`` or ``AuthError``.
Cancelling it leaves nothing behind."""


class Credentials(Protocol):
    """Where an HTTP transport gets its ``Authorization`` header from. Implemented over the auth actor."""

    @property
    def needed(self) -> bool:
        """Return whether ``authorization`` may have more to say than ``None``."""

    async def authorization(self) -> str | None:
        """Return the header's value for the next request, refreshed ahead of expiry; ``None`` when there is none yet.

        Raises:
            AuthError: credentials existed and can no longer be had without the user.
        """

    async def challenged(self, status: int, challenge: str, rejected: str | None) -> str:
        """Get something better, because the server answered 401, or 403 with ``insufficient_scope``.

        Args:
            status: 401 or 403.
            challenge: the ``WWW-Authenticate`` header, possibly empty.
            rejected: the header value the server refused, so that one refresh serves many callers.

        Raises:
            AuthError: there is nothing better; the message tells the user what to do.
        """

    def accepted(self, authorization: str) -> None:
        """Take note that the server took the header that ``challenged`` gave: refused later, it has to be renewed."""


class ClientEvents(Protocol):
    """What a link to a client tells its owner, a frontend. Called on the event loop."""

    def on_frames(self, frames: tuple[bytes | None, ...]) -> None:
        """Take messages of the client, in order; ``None`` stands for one that was too long to keep."""

    def on_gone(self, reading: bool) -> None:
        """Take note that the client sends nothing more; ``reading``: it may still read answers."""

    def on_writable(self, writable: bool) -> None:
        """Take note that the client does not keep up with reading (or does again): what is written waits in memory."""


class ClientLink(Protocol):
    """The way to one client, and one MCP session with it."""

    def write(self, frame: bytes) -> None:
        """Send one message. Never blocks; whatever is sent after the client has gone is dropped."""

    def write_parts(self, parts: tuple[bytes | memoryview, ...]) -> None:
        """Send one message that is given in parts, without copying them."""

    def hold(self, hold: bool) -> None:
        """Deliver nothing more of the client (True), or go on: a large message of its is being worked on."""
