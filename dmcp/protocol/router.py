"""Finds whose resource or prompt something is: by its long name, by listing, by what was seen, by template."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from dmcp.protocol.limits import (
    MAX_HINT_NAMES,
    MAX_LEARNED,
    MAX_LEARNED_URI,
    MAX_SUBSCRIBED,
    MAX_TEMPLATE,
    MAX_TEMPLATE_WORK,
)
from dmcp.protocol.merge import Merged
from dmcp.protocol.naming import Names, qualified
from dmcp.protocol.uri_templates import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dmcp.protocol.listing import Kind
    from dmcp.protocol.merge import Contribution, Layer
    from dmcp.protocol.routes import ResourceRef

MERGED: Final[tuple[Kind, ...]] = ("resources", "templates", "prompts")
"""The listings that are merged over the groups. Tools are not: they are asked for by group."""


class Router:
    """The merged listings, and what results and subscriptions have taught beyond them."""

    __slots__ = ("_learned", "_learned_of", "_listeners", "_merged", "_names", "_subscribed")

    def __init__(self) -> None:
        self._names = Names()
        self._merged: dict[Kind, Merged] = {kind: Merged(kind) for kind in MERGED}
        self._learned: dict[str, str] = {}  # URI -> the first group whose result named it
        self._learned_of: dict[str, OrderedDict[str, None]] = {}  # the same by group, the oldest first
        self._subscribed: dict[int, OrderedDict[tuple[str, str], None]] = {}  # by client, the oldest first
        self._listeners: dict[
            tuple[str, str], dict[int, str]
        ] = {}  # the same the other way: what each calls it

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(merged)} {kind}" for kind, merged in self._merged.items())
        return f"<Router {counts}, {len(self._learned)} learned>"

    def rename(self, groups: Iterable[str]) -> None:
        """Take note of which groups there are. What is known of others is forgotten."""
        self._names = Names(groups)
        for group in [group for group in self._learned_of if group not in self._names.groups]:
            for uri in self._learned_of.pop(group):
                del self._learned[uri]
        for group, own in [key for key in self._listeners if key[0] not in self._names.groups]:
            for client in list(self._listeners[group, own]):
                self.unsubscribe(client, group, own)

    def merge(self, kind: Kind, contributions: Iterable[Contribution]) -> Merged:
        """Put a merged listing in force and return what the client sees of it."""
        self._merged[kind] = self._merged[kind].changed(contributions, self._names)
        return self._merged[kind]

    def some_prompts(self) -> list[str]:
        """Return the names of prompts, as many as are compared with a mistyped one."""
        return list(islice(self._merged["prompts"].names(), MAX_HINT_NAMES))

    def shown_by_group(self, kind: Kind, group: str, own: str) -> str:
        """Return what a listing of one group calls an entry: its own name, unless that could be another group's."""
        return qualified(kind, group, own) if self._names.imitates(kind, own) else own

    def learn(self, group: str, uris: Sequence[str]) -> None:
        """Take note that a result of this group named these resources. The first group that did so counts."""
        known = self._learned_of.setdefault(group, OrderedDict())
        for uri in uris[-MAX_LEARNED:]:
            if len(uri) > MAX_LEARNED_URI or self._names.imitates("resources", uri):
                continue
            if self._learned.setdefault(uri, group) == group:
                known[uri] = None
                known.move_to_end(uri)
        while len(known) > MAX_LEARNED:
            del self._learned[known.popitem(last=False)[0]]

    def resolve(self, ref: ResourceRef, only: str | None) -> tuple[str, str] | None:
        """Return whose it is, and what its server calls it; ``None`` when nobody is known to have it.

        A long name is its group's, always. Then the first that lists it, that named it in a result, that has a template
        for it; last the only one there is to ask.

        Args:
            ref: what the client asks for.
            only: the only group that has resources at all, if it is the only one.
        """
        found = self._names.split(ref.kind, ref.name)
        if ref.group is not None:
            return found if found is not None and found[0] == ref.group else (ref.group, ref.name)
        if found is not None or self._names.imitates(ref.kind, ref.name):
            return found
        group = self._owner(ref)
        if group is None and ref.kind == "resources":
            group = self._learned.get(ref.name) or self._by_template(ref.name) or only
        return (group, ref.name) if group else None

    def _owner(self, ref: ResourceRef) -> str | None:
        kinds: tuple[Kind, ...] = ("prompts",)
        if ref.kind == "resources":
            kinds = ("templates", "resources") if ref.is_template else ("resources", "templates")
        return next((owner for kind in kinds if (owner := self._merged[kind].owner(ref.name))), None)

    # Subscriptions ------------------------------------------------------------------------------------------------

    def subscribe(self, client: int, group: str, own: str, shown: str) -> None:
        """Take note that a client wants to know of a resource's changes, and what it calls the resource.

        So many are remembered of each client; the oldest is forgotten.
        """
        subscribed = self._subscribed.setdefault(client, OrderedDict())
        subscribed[group, own] = None
        subscribed.move_to_end((group, own))
        self._listeners.setdefault((group, own), {})[client] = shown
        if len(subscribed) > MAX_SUBSCRIBED:
            self.unsubscribe(client, *next(iter(subscribed)))

    def unsubscribe(self, client: int, group: str, own: str) -> None:
        """Forget that."""
        key = group, own
        listeners = self._listeners.get(key, {})
        if listeners.pop(client, None) is None:
            return
        if not listeners:
            del self._listeners[key]
        del self._subscribed[client][key]
        if not self._subscribed[client]:
            del self._subscribed[client]

    def drop_client(self, client: int) -> None:
        """Forget all subscriptions of a client."""
        for group, own in list(self._subscribed.get(client, ())):
            self.unsubscribe(client, group, own)

    def updated(self, group: str, uri: str) -> list[tuple[int, str]]:
        """Return the clients that want to know that a resource of this group has changed, and what each calls it.

        Part of what was subscribed to counts (MCP, resources/updated: "a sub-resource of the one that the client
        actually subscribed to"), unless another group lists it.
        """
        found = dict(self._listeners.get((group, uri), {}))
        if self._listeners and len(uri) <= MAX_LEARNED_URI:
            for part in _containing(uri):
                for client, shown in self._listeners.get((group, part), {}).items():
                    if client not in found:
                        found[client] = self._part_shown(group, uri, plain=shown == part)
        return list(found.items())

    def _part_shown(self, group: str, uri: str, *, plain: bool) -> str:
        """Return what a part of a resource is called to a client to which the whole has its plain name or not."""
        plain = plain and not self._names.imitates("resources", uri)
        return (
            uri
            if plain and self._merged["resources"].owner(uri) in (None, group)
            else qualified("resources", group, uri)
        )

    # Templates ----------------------------------------------------------------------------------------------------

    def _by_template(self, uri: str) -> str | None:
        """Return the group whose template says most of this URI. Each may cost its share of the work, no more."""
        layers = [layer for layer in self._merged["templates"].layers if layer.index]
        subject, left = Subject(uri), 0
        best: tuple[int, str] | None = None
        for layer in layers:
            left += MAX_TEMPLATE_WORK // len(layers)
            weight, left = _specificity(layer, subject, left)
            if weight is not None and (best is None or weight > best[0]):
                best = (weight, layer.group)
        return best[1] if best else None


def _specificity(layer: Layer, subject: Subject, left: int) -> tuple[int | None, int]:
    """Return how well a group's best template matches, and what is left of the work it may cost."""
    best: int | None = None
    for template in layer.index:
        left -= 1
        if left < 0:
            break
        if len(template) > MAX_TEMPLATE or not subject.uri.startswith(template[: template.find("{")]):
            continue
        left -= len(template) // 4
        weight = subject.specificity(template)
        if weight is not None and (best is None or weight > best):
            best = weight
    return best, max(0, left)


def _containing(uri: str) -> Iterable[str]:
    """Give what a URI is a part of: it without its fragment, its query, the last segments of its path; 64 at most."""
    end = len(uri)
    for _ in range(64):
        end = max(uri.rfind(mark, 0, end) for mark in "/?#")
        if end < 0:
            return
        yield uri[:end]
        yield uri[: end + 1]
