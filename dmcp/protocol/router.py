"""Finds whose resource or prompt something is: by listing, by its qualified name, by template, by what was seen."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from dmcp.protocol.merge import Merged, merge, split_qualified
from dmcp.protocol.uri_templates import specificity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.merge import Contribution
    from dmcp.protocol.routes import Wanted

MERGED: Final[tuple[Kind, ...]] = ("resources", "templates", "prompts")
"""The listings that are merged over the groups. Tools are not: they are asked for by group."""

_MAX_LEARNED = 10_000  # URIs learned from results; the oldest are forgotten first


class Router:
    """The merged listings, and what results have taught beyond them."""

    __slots__ = ("_learned", "_merged")

    def __init__(self) -> None:
        self._merged: dict[Kind, Merged] = {kind: Merged() for kind in MERGED}
        self._learned: OrderedDict[str, str] = OrderedDict()

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(merged.routes)} {kind}" for kind, merged in self._merged.items())
        return f"<Router {counts}, {len(self._learned)} learned>"

    @property
    def prompts(self) -> Collection[str]:
        """The names of all prompts."""
        return self._merged["prompts"].routes

    def merge(self, kind: Kind, contributions: Iterable[Contribution]) -> tuple[JsonObject, ...]:
        """Put a merged listing in force and return what the client sees of it."""
        self._merged[kind] = merge(kind, contributions)
        return self._merged[kind].entries

    def learn(self, group: str, uris: Iterable[str]) -> None:
        """A result of this group named these resources."""
        for uri in uris:
            self._learned[uri] = group
            self._learned.move_to_end(uri)
        while len(self._learned) > _MAX_LEARNED:
            self._learned.popitem(last=False)

    def resolve(self, want: Wanted, groups: Collection[str], only: str | None) -> tuple[str, str] | None:
        """Whose it is, and what its server calls it; ``None`` when nobody is known to have it.

        Args:
            want: what the client asks for, without a group of its own.
            groups: the groups there are.
            only: the only group that has resources at all, if it is the only one.
        """
        listed = self._merged[want.kind].routes.get(want.name)
        if listed is None and want.kind == "resources":
            listed = self._merged["templates"].routes.get(want.name)
        found = listed or split_qualified(want.kind, want.name, groups)
        if found is not None or want.kind == "prompts":
            return found
        learned = self._learned.get(want.name)
        group = self._by_template(want.name) or (learned if learned in groups else only)
        return (group, want.name) if group else None

    def _by_template(self, uri: str) -> str | None:
        best: tuple[int, str] | None = None
        for template, (group, _) in self._merged["templates"].routes.items():
            weight = specificity(template, uri)
            if weight is not None and (best is None or weight > best[0]):
                best = (weight, group)
        return best[1] if best else None
