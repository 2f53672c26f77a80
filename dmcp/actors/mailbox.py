"""Turns what a link says into messages to the actor that owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages.upstream import FrameArrived, LinkClosed, NoiseArrived, RequestFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.messages import Address
    from dmcp.protocol.link import LinkFault


class LinkMailbox:
    """``LinkEvents`` of one life of one upstream. After its actor has ended everything is dropped."""

    __slots__ = ("_group", "_in_use", "_owner")

    def __init__(self, owner: Address, group: str, in_use: Callable[[], bool]) -> None:
        self._owner = owner
        self._group = group
        self._in_use = in_use

    def __repr__(self) -> str:
        return f"<LinkMailbox {self._group}>"

    def on_frame(self, frame: bytes) -> None:
        """See ``LinkEvents``."""
        post(self._owner, FrameArrived(frame))

    def on_noise(self, text: str) -> None:
        """See ``LinkEvents``."""
        post(self._owner, NoiseArrived(text))

    def on_stderr(self, line: str) -> None:
        """See ``LinkEvents``."""
        log.debug(line, f"{self._group} stderr")

    def on_failed(self, request_id: int, fault: LinkFault) -> None:
        """See ``LinkEvents``."""
        post(self._owner, RequestFailed(request_id, fault))

    def on_closed(self, fault: LinkFault) -> None:
        """See ``LinkEvents``."""
        post(self._owner, LinkClosed(fault))

    def is_in_use(self) -> bool:
        """See ``LinkEvents``. Reads the owner's state: both run on the loop, and nothing is changed."""
        return self._in_use()
