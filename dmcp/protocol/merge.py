"""Merges the listings of all groups into one, and keeps apart what two groups call the same.

The group that stands first in the configuration keeps the plain name. In every later group the entry gets its long
name (``dmcp.protocol.naming``). A group that is down at the moment keeps its claim, so that names do not wander while a
server restarts. The long form is understood for every entry, whether it collides or not.
Nothing is copied or computed for all entries at once: a merged listing is a view on the groups' own listings, and what
an entry is called is found out when it is shown or asked for. So a change costs the same for ten entries or ten
thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from dmcp.protocol.listing import KEY
from dmcp.protocol.naming import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind


class Contribution(Struct, frozen=True):
    """One group's part of a merged listing. Entries of an invisible group only hold their names."""

    group: str
    entries: tuple[JsonObject, ...]
    visible: bool


class Layer:
    """One group's part, with its names to be looked up.

    Attributes:
        index: the server's names, in its order.
    """

    __slots__ = ("entries", "group", "index", "visible")

    def __init__(self, kind: Kind, part: Contribution, before: Layer | None = None) -> None:
        self.group, self.visible = part.group, part.visible
        # If they are the same as before, perhaps in a new tuple, the next comparison finds that out by identity.
        self.entries = part.entries
        self.index: dict[str, None] = (
            before.index
            if before is not None and same(before.entries, part.entries)
            else dict.fromkeys(entry[KEY[kind]] for entry in part.entries)
        )

    def __repr__(self) -> str:
        return f"<Layer {self.group} {len(self.entries)} entries>"

    def is_like(self, other: Layer) -> bool:
        """Return whether the client sees the same of both."""
        return (self.group, self.visible) == (other.group, other.visible) and self.index is other.index


class Merged:
    """One kind's merged listing: what the client sees, and whose entry each name is.

    It is a sequence of entries in the order of the configuration, then of the server: it has a length and slices, in
    which ``None`` stands for an entry that has no name to be shown under.
    """

    __slots__ = ("_kind", "_layers", "_names")

    def __init__(self, kind: Kind, layers: tuple[Layer, ...] = (), names: Names | None = None) -> None:
        self._kind = kind
        self._layers = layers
        self._names = names or Names(layer.group for layer in layers)

    def __repr__(self) -> str:
        return f"<Merged {len(self)} {self._kind} of {len(self._layers)} groups>"

    def __len__(self) -> int:
        return sum(len(layer.entries) for layer in self._layers if layer.visible)

    def __getitem__(self, where: slice) -> tuple[JsonObject | None, ...]:
        start, stop, _ = where.indices(len(self))
        return tuple(self._between(start, stop))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Merged)
            and len(self._layers) == len(other._layers)
            and self._names.groups.keys() == other._names.groups.keys()
            and all(one.is_like(two) for one, two in zip(self._layers, other._layers, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]  # compared, never a key

    @property
    def entries(self) -> tuple[JsonObject, ...]:
        """All entries the client sees."""
        return tuple(entry for entry in self[:] if entry is not None)

    @property
    def routes(self) -> Mapping[str, tuple[str, str]]:
        """Return the client's name of each entry -> (group, the server's name of it)."""
        return dict(self._routes())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the groups' parts, in order."""
        return self._layers

    def changed(self, parts: Iterable[Contribution], names: Names) -> Merged:
        """Return the merged listing of these parts. What is the same as in this one is taken over."""
        before = {layer.group: layer for layer in self._layers}
        layers = tuple(Layer(self._kind, part, before.get(part.group)) for part in parts)
        return Merged(self._kind, layers, names)

    def owner(self, name: str) -> str | None:
        """Return the group that is known to the client under this plain name: the first that lists it."""
        if self._names.imitates(self._kind, name):
            return None
        return next((layer.group for layer in self._layers if name in layer.index), None)

    def names(self) -> Iterator[str]:
        """Give the client's names of all entries, in order."""
        return (name for name, _ in self._routes())

    def _between(self, start: int, stop: int) -> Iterator[JsonObject | None]:
        key, place = KEY[self._kind], 0
        for position, layer in enumerate(self._layers):
            if not layer.visible:
                continue
            begin, end = max(0, start - place), min(len(layer.entries), stop - place)
            place += len(layer.entries)
            for entry in layer.entries[begin:end] if begin < end else ():
                shown = self._shown(position, entry[key])
                if shown is None:
                    yield None
                else:
                    yield entry if shown == entry[key] else {**entry, key: shown}

    def _routes(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for position, layer in enumerate(self._layers):
            for own in layer.index:
                shown = self._shown(position, own)
                if shown is not None:
                    yield shown, (layer.group, own)

    def _shown(self, position: int, own: str) -> str | None:
        taken = any(own in layer.index for layer in self._layers[:position])
        return self._names.shown(self._kind, self._layers[position].group, own, taken=taken)


def same(one: tuple[JsonObject, ...], two: tuple[JsonObject, ...]) -> bool:
    """Return whether two listings are equal; unequal if they nest too deeply to be compared."""
    try:
        return one is two or one == two
    except RecursionError:
        return False


def merge(kind: Kind, contributions: Iterable[Contribution]) -> Merged:
    """Merge one kind of listing."""
    parts = list(contributions)
    return Merged(kind).changed(parts, Names(part.group for part in parts))
