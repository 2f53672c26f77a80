"""The clients one server serves: what they want of it together, and which of them something is for.

Part of an upstream. What is common to all changes when a client comes, goes or changes its mind, never with a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from dmcp.protocol.eras.handshake import LATEST
from dmcp.protocol.operations import LOG_LEVELS, ClientProfile

if TYPE_CHECKING:
    from collections.abc import Iterable

A = TypeVar("A")

EVERYTHING: Final = ClientProfile(
    LATEST,
    {
        "roots": {"listChanged": True},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
    },
)
"""What a connection is initialised with that several clients use: all that dmcp can pass on to a client.

What the client of a call has not declared its frontend refuses.
"""


class Client(NamedTuple, Generic[A]):
    """One client as a server's side knows it.

    Attributes:
        address: of its frontend.
        profile: what it said of itself.
        log_level: the one it wants log messages from, if it has said so.
        paused: whether it does not keep up with reading.
    """

    address: A
    profile: ClientProfile
    log_level: str | None = None
    paused: bool = False


class Clients(Generic[A]):
    """The clients by number."""

    __slots__ = ("_clients", "log_level", "paused")

    def __init__(self) -> None:
        self._clients: dict[int, Client[A]] = {}
        self.log_level: str | None = None
        """The most verbose that any of them wants; ``None`` while nobody has said."""
        self.paused = False
        """Whether nothing is to be read from the server: there are clients, and none of them keeps up."""

    def __repr__(self) -> str:
        return f"<Clients {sorted(self._clients)}, log level {self.log_level}, paused {self.paused}>"

    def __len__(self) -> int:
        return len(self._clients)

    def put(self, number: int, client: Client[A]) -> None:
        """Add a client, or take what it says instead of what it said before."""
        self._clients[number] = client
        self._combine()

    def set_log_level(self, number: int, level: str) -> None:
        """Take the log level a client wants. Nothing happens for one that is not here."""
        self._replace(number, log_level=level)

    def set_paused(self, number: int, *, paused: bool) -> None:
        """Take whether a client keeps up with reading; likewise."""
        self._replace(number, paused=paused)

    def remove(self, number: int) -> None:
        """Remove a client that has left; likewise."""
        if self._clients.pop(number, None) is not None:
            self._combine()

    @property
    def profile(self) -> ClientProfile | None:
        """Return what to initialize a connection with: the only client's profile, or ``EVERYTHING``; else ``None``."""
        if len(self._clients) > 1:
            return EVERYTHING
        return next((client.profile for client in self._clients.values()), None)

    def get(self, number: int) -> A | None:
        """Return where a client is."""
        client = self._clients.get(number)
        return client.address if client is not None else None

    def all(self) -> list[A]:
        """Return where all of them are."""
        return [client.address for client in self._clients.values()]

    def asked_by(self, call: int | None, calling: Iterable[int]) -> int | None:
        """Return the client a request of the server is for; ``None`` where that cannot be known.

        Args:
            call: the client of the call the request belongs to, if that is known.
            calling: the clients of all calls it may belong to otherwise; of none, when it may belong to no call.
        """
        if call is None and len(self._clients) == 1:
            call = next(iter(self._clients))
        elif call is None:
            known = set(calling)
            call = known.pop() if len(known) == 1 else None
        return call if call in self._clients else None

    def _replace(self, number: int, **changes: str | bool) -> None:
        client = self._clients.get(number)
        if client is not None:
            self._clients[number] = client._replace(**changes)  # type: ignore[arg-type]  # the two methods above
            self._combine()

    def _combine(self) -> None:
        clients = self._clients.values()
        self.log_level = min(
            (c.log_level for c in clients if c.log_level), key=LOG_LEVELS.index, default=None
        )
        self.paused = bool(clients) and all(client.paused for client in clients)
