"""Merges the listings of all groups into one, and keeps apart what two groups call the same.

The group that stands first in the configuration keeps the plain name. In every later group the entry gets a name
with the group in it: ``group/name`` for a prompt, ``dmcp://group/URI`` for a resource or a template. A group that is
down at the moment keeps its claim, so that names do not wander while a server restarts. The long form is understood
for every entry, whether it collides or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from dmcp.protocol.listing import KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind

_SCHEME: Final = "dmcp://"


@dataclass(frozen=True, slots=True)
class Contribution:
    """One group's part of a merged listing. Entries of an invisible group only hold their names."""

    group: str
    entries: tuple[JsonObject, ...]
    visible: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """One kind's merged listing: what the client sees, and whose entry each name is.

    Attributes:
        entries: in the order of the configuration, then of the server.
        routes: the client's name of an entry -> (group, the server's name of it).
    """

    entries: tuple[JsonObject, ...] = ()
    routes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def merge(kind: Kind, contributions: Iterable[Contribution]) -> Merged:
    """Merge one kind of listing."""
    key = KEY[kind]
    entries: list[JsonObject] = []
    routes: dict[str, tuple[str, str]] = {}
    for part in contributions:
        for entry in part.entries:
            own = entry[key]
            name = own if own not in routes else qualified(kind, part.group, own)
            if name in routes:
                continue
            routes[name] = (part.group, own)
            if part.visible:
                entries.append(entry if name == own else {**entry, key: name})
    return Merged(tuple(entries), routes)


def qualified(kind: Kind, group: str, name: str) -> str:
    """The name of an entry with its group in it."""
    if kind == "prompts":
        return f"{group}/{name}"
    return f"{_SCHEME}{quote(group, safe='')}/{name}"


def split_qualified(kind: Kind, name: str, groups: Iterable[str]) -> tuple[str, str] | None:
    """Take a qualified name apart into (group, the server's name); ``None`` when it is not one of these groups'."""
    if kind == "prompts":
        found = [group for group in groups if name.startswith(f"{group}/")]
        group = max(found, key=len, default="")
        return (group, name[len(group) + 1 :]) if group else None
    if not name.startswith(_SCHEME):
        return None
    group, slash, rest = name[len(_SCHEME) :].partition("/")
    group = unquote(group)
    return (group, rest) if slash and group in groups else None
