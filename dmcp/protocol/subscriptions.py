"""Which client is subscribed to which resource of one server.

The server is asked once for all: to subscribe when the first client does, to unsubscribe when the last one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dmcp.protocol.limits import MAX_URI

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEPTH: Final = 32  # parts of a path that are looked at for a subscription to what contains it


class Subscription(NamedTuple):
    """A client's subscription to a resource, under the URI the server knows it by."""

    client: int
    uri: str


class Subscriptions:
    """The subscriptions the server has confirmed, by URI."""

    __slots__ = ("_clients",)

    def __init__(self) -> None:
        self._clients: dict[str, set[int]] = {}

    def __repr__(self) -> str:
        return f"<Subscriptions to {len(self._clients)} resources>"

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, uri: object) -> bool:
        return uri in self._clients

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients)

    def covers(self, uri: str, unconfirmed: Iterable[str] = ()) -> bool:
        """Return whether a client is subscribed to a resource, or is about to be, or to one that contains it.

        The server may tell of a part of what was subscribed to (MCP: notifications/resources/updated).

        Args:
            uri: of the resource that has changed.
            unconfirmed: the subscriptions in flight: the first update may be faster than the answer.
        """
        if uri in self._clients:
            return True
        known = {*self._clients, *unconfirmed}
        return bool(known) and any(whole in known for whole in _containing(uri))

    def add(self, client: int, uri: str) -> bool:
        """Add one; returns whether nobody was subscribed to this resource before."""
        clients = self._clients.setdefault(uri, set())
        clients.add(client)
        return len(clients) == 1

    def update(self, subscriptions: Iterable[Subscription]) -> list[str]:
        """Add several; returns the resources nobody was subscribed to before."""
        new = dict.fromkeys(one.uri for one in subscriptions if one.uri not in self._clients)
        for client, uri in subscriptions:
            self.add(client, uri)
        return list(new)

    def discard(self, client: int, uri: str) -> bool:
        """Remove one; returns whether nobody is subscribed to this resource any more."""
        clients = self._clients.get(uri)
        if clients is not None:
            clients.discard(client)
            if not clients:
                del self._clients[uri]
        return not clients

    def drop(self, client: int) -> list[str]:
        """Remove all of a client that has left; returns the resources nobody is subscribed to any more."""
        return [
            uri for uri in list(self._clients) if client in self._clients[uri] and self.discard(client, uri)
        ]

    def others(self, client: int, uri: str) -> bool:
        """Return whether another client is subscribed to this resource."""
        clients = self._clients.get(uri)
        return clients is not None and bool(clients - {client})

    def all(self) -> frozenset[Subscription]:
        """Return all of them."""
        return frozenset(
            Subscription(client, uri) for uri, clients in self._clients.items() for client in clients
        )


def _containing(uri: str) -> Iterator[str]:
    """Yield the URI and those of what may contain it: up to each slash, and without its query and fragment."""
    yield uri
    end = min(len(uri), MAX_URI)
    for _ in range(_DEPTH):
        end = max(uri.rfind(mark, 0, end) for mark in "/#?")
        if end <= 0:
            return
        yield uri[:end]
        yield uri[: end + 1]
