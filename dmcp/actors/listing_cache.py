"""The cache of listings on disk: what lazy servers offered in earlier runs. Decides when to read and when to write.

It runs inside the catalog, has no messages of its own and touches no file: the composition root gives it a store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from dmcp.actors.dispatch import Dispatcher
from dmcp.messages.catalog import CacheLoaded
from dmcp.protocol.cached_listings import CachedListings, about, dump, fingerprint, load

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dmcp.actors.runtime import TaskResult
    from dmcp.config.model import ServerConfig


_REMEMBERED = 256  # what was written is remembered of so many, not to be written again


class Store(Protocol):
    """Where bytes are kept under a name; made by ``dmcp.store``. Neither method raises when the disk fails."""

    async def load(self, fingerprint: str) -> bytes:
        """Return what is kept under this name, empty if nothing is."""

    async def save(self, fingerprint: str, content: bytes) -> None:
        """Keep this under this name."""


class Owner(Protocol):
    """What the cache needs of the actor it runs in."""

    def spawn(
        self, work: Coroutine[Any, Any, Any], ended: Callable[[TaskResult[Any]], object] | None = None
    ) -> object:
        """See ``LoopActor.spawn``."""


class ListingCache:
    """Reads each fingerprint once when it is asked for, and writes what has changed, one write at a time for each.

    A write belongs to the dispatcher, not to the catalog: one that has begun, and what has changed since, is on the
    disk before the process ends.
    """

    def __init__(self, owner: Owner, store: Store | None) -> None:
        self._owner = owner
        self._store = store
        self._kept: dict[str, CachedListings] = {}
        self._changed: dict[str, CachedListings] = {}  # not yet written
        self._writing: set[str] = set()
        self._descriptions_written: dict[str, bytes] = {}  # names of tools that were written

    def __repr__(self) -> str:
        return f"<ListingCache of {len(self._kept)}, {len(self._writing)} being written>"

    def _keeps(self, config: ServerConfig) -> bool:
        return config.startup == "lazy" or bool(config.direct)

    def load(self, config: ServerConfig) -> str:
        """Begin to read what is kept for a server; return the fingerprint of the ``CacheLoaded`` to come, if any."""
        if self._store is None or not self._keeps(config):
            return ""
        name = fingerprint(config)
        self._owner.spawn(_read(name, self._store), lambda done: CacheLoaded(config.name, name, done.value))
        return name

    def store(self, config: ServerConfig, kept: CachedListings) -> None:
        """Write down what a server offers now, if that is worth it and new."""
        if self._store is None or not self._keeps(config):
            return
        name = fingerprint(config)
        if _same(self._kept.get(name), kept):
            return
        self._kept.pop(name, None)
        self._kept[name] = self._changed[name] = kept
        if len(self._kept) > _REMEMBERED:
            del self._kept[next(iter(self._kept))]
        if name not in self._writing:
            self._writing.add(name)
            Dispatcher.running().spawn_background(self._write(name, self._store))

    def describe(self, config: ServerConfig, names: bytes) -> None:
        """Write down what describes a server from the next start of dmcp on, if that is new."""
        name = about(config)
        if self._store is None or not names or self._descriptions_written.get(name) == names:
            return
        self._descriptions_written.pop(name, None)
        self._descriptions_written[name] = names
        if len(self._descriptions_written) > _REMEMBERED:
            del self._descriptions_written[next(iter(self._descriptions_written))]
        Dispatcher.running().spawn_background(self._store.save(name, names))

    async def _write(self, name: str, store: Store) -> None:
        """Write until nothing has changed meanwhile."""
        while (kept := self._changed.pop(name, None)) is not None:
            await store.save(name, await asyncio.to_thread(dump, name, kept))
        self._writing.discard(name)


async def _read(name: str, store: Store) -> CachedListings | None:
    """Return what a store has under a name. JSON, megabytes of it perhaps, is read in a thread."""
    return await asyncio.to_thread(load, name, await store.load(name))


def _same(one: CachedListings | None, two: CachedListings) -> bool:
    try:
        return one == two
    except RecursionError:  # nested too deeply to be compared
        return False
