"""What may be said. One module per owning actor: the messages it accepts, frozen and without logic.

The exception is ``lifecycle``: what the runtime tells whoever watches an actor.
The first line of each class's docstring is its row in the message tables of docs/architecture.md.
"""

from __future__ import annotations

from typing import Protocol


class Address(Protocol):
    """Where messages can be sent: a ``pykka.ActorRef``, or a list in disguise in a unit test."""

    def tell(self, message: object, /) -> None:
        """Send and forget. Raises ``pykka.ActorDeadError`` if the actor has ended."""
