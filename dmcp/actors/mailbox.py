"""Turns what a link says into messages to the actor that owns it, and decides whether a server is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages.events import ServerOutput
from dmcp.messages.frontend import ClientFrames, ClientGone, Writable
from dmcp.messages.upstream import FrameArrived, InvalidOutput, LinkClosed, RequestFailed
from dmcp.protocol.limits import LONG_FRAME, MAX_UNHANDLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.actors.runtime import LoopInbox
    from dmcp.messages import Address
    from dmcp.protocol.link import Link, LinkFault

_BEHIND: Final = "behind"  # the reason not to read on: more waits for the actor than it has handled

SLOW_CLIENT: Final = "slow client"
"""The reason not to read on that the client does not keep up with reading."""

LARGE_MESSAGE: Final = "large message"
"""The reason not to read on that a large message of the server is being worked on (``dmcp.actors.slices``)."""


class ReadGate:
    """Whether a link is read from: while nobody has a reason against it. On the loop.

    Attributes:
        reasons: not to read on; changed by ``close`` and ``open`` only.
    """

    __slots__ = ("_link", "reasons")

    def __init__(self) -> None:
        self._link: Link | None = None
        self.reasons: set[str] = set()

    def __repr__(self) -> str:
        return f"<ReadGate {sorted(self.reasons) or 'open'}>"

    def __contains__(self, reason: str) -> bool:
        return reason in self.reasons

    def attach(self, link: Link) -> None:
        """Take the link; it is open from now on."""
        self._link = link
        if self.reasons:
            link.pause()

    def detach(self) -> None:
        """Forget the link: it is being closed."""
        self._link = None

    def close(self, reason: str) -> None:
        """Stop reading for this reason."""
        if not self.reasons and self._link is not None:
            self._link.pause()
        self.reasons.add(reason)

    def open(self, reason: str) -> None:
        """Read on, unless there is another reason not to."""
        if reason in self.reasons:
            self.reasons.discard(reason)
            if not self.reasons and self._link is not None:
                self._link.resume()


class LinkMailbox:
    """``LinkEvents`` of one connection. What an old one still says is dropped by its number.

    A server that writes faster than its actor handles is read no further until the actor has caught up.

    Args:
        owner: the actor.
        number: of the connection.
        group: for the log.
        in_use: see ``LinkEvents.is_in_use``.
        inbox: the actor's; looked at to see what waits.
        gate: closed when too much waits.
    """

    __slots__ = ("_gate", "_group", "_in_use", "_inbox", "_number", "_owner")

    def __init__(
        self,
        owner: Address,
        number: int,
        group: str,
        in_use: Callable[[], bool],
        *,
        inbox: LoopInbox,
        gate: ReadGate,
    ) -> None:
        self._owner = owner
        self._number = number
        self._group = group
        self._in_use = in_use
        self._inbox = inbox
        self._gate = gate

    def __repr__(self) -> str:
        return f"<LinkMailbox {self._group}>"

    def on_frame(self, frame: bytes, during: int | None = None) -> None:
        """See ``LinkEvents``."""
        post(self._owner, FrameArrived(self._number, frame, during))
        if len(self._inbox.messages) > MAX_UNHANDLED or len(frame) > LONG_FRAME:
            self._fall_behind()

    def on_noise(self, text: str) -> None:
        """See ``LinkEvents``."""
        post(self._owner, InvalidOutput(self._number, text))
        if len(self._inbox.messages) > MAX_UNHANDLED:
            self._fall_behind()

    def _fall_behind(self) -> None:
        """Read no more until the actor has handled what waits."""
        self._gate.close(_BEHIND)
        self._inbox.when_low.add(self._catch_up)

    def _catch_up(self) -> None:
        self._gate.open(_BEHIND)

    def on_stderr(self, line: str) -> None:
        """See ``LinkEvents``."""
        if log.enabled("debug"):  # written past the audit actor: there may be thousands a second
            event = ServerOutput(self._group, line)
            log.event(event, "debug", lambda: line, f"{self._group} stderr", last=line)

    def on_failed(self, request_id: int, fault: LinkFault) -> None:
        """See ``LinkEvents``."""
        post(self._owner, RequestFailed(self._number, request_id, fault))

    def on_closed(self, fault: LinkFault) -> None:
        """See ``LinkEvents``."""
        post(self._owner, LinkClosed(self._number, fault))

    def is_in_use(self) -> bool:
        """See ``LinkEvents``. Reads the owner's state: both run on the loop, and nothing is changed."""
        return self._in_use()


class ClientMailbox:
    """``ClientEvents`` of one client: turns what its link says into messages to its frontend.

    Attributes:
        frontend: set as soon as there is one; the link says nothing before.
    """

    __slots__ = ("frontend",)

    frontend: Address

    def on_frames(self, frames: tuple[bytes | None, ...]) -> None:
        """See ``ClientEvents``."""
        post(self.frontend, ClientFrames(frames))

    def on_gone(self, reading: bool) -> None:
        """See ``ClientEvents``."""
        post(self.frontend, ClientGone(reading))

    def on_writable(self, writable: bool) -> None:
        """See ``ClientEvents``."""
        post(self.frontend, Writable(writable))
