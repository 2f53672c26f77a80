"""Collects an upstream's paged listing until it is complete, whatever the upstream makes of paging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

Kind: TypeAlias = Literal["tools", "resources", "templates", "prompts"]
KINDS: Final[tuple[Kind, ...]] = ("tools", "resources", "templates", "prompts")

MAX_PAGES: Final = 1000
METHODS: Final[dict[Kind, str]] = {
    "tools": "tools/list",
    "resources": "resources/list",
    "templates": "resources/templates/list",
    "prompts": "prompts/list",
}
MEMBERS: Final[dict[Kind, str]] = {
    "tools": "tools",
    "resources": "resources",
    "templates": "resourceTemplates",
    "prompts": "prompts",
}
KEY: Final[dict[Kind, str]] = {
    "tools": "name",
    "resources": "uri",
    "templates": "uriTemplate",
    "prompts": "name",
}
"""The member of an entry that identifies it."""


class Collector:
    """One listing on its way. Feed it results until ``take`` returns ``None``.

    Attributes:
        entries: what has been collected; entries without a usable key, and second ones with the same key, are left out.
        remarks: what was wrong with the listing, as finished phrases for the log.
    """

    __slots__ = ("_cursors", "_keys", "entries", "kind", "remarks")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.entries: list[JsonObject] = []
        self.remarks: list[str] = []
        self._keys: set[str] = set()
        self._cursors: set[str] = set()

    def __repr__(self) -> str:
        return f"<Collector {self.kind} {len(self.entries)} entries, {len(self._cursors)} pages>"

    def take(self, result: Any) -> str | None:
        """Take one page and return the cursor of the next one, ``None`` when the listing is complete."""
        if not isinstance(result, dict):
            self.remarks.append(f"answered {METHODS[self.kind]} with something that is not an object")
            return None
        entries = result.get(MEMBERS[self.kind])
        if isinstance(entries, list):
            for entry in entries:
                self._add(entry)
        else:
            self.remarks.append(f"answered {METHODS[self.kind]} without a list of {MEMBERS[self.kind]}")
        return self._follow(result.get("nextCursor"))

    def _add(self, entry: Any) -> None:
        key = entry.get(KEY[self.kind]) if isinstance(entry, dict) else None
        if not isinstance(key, str) or not key:
            self.remarks.append(f"lists one of its {self.kind} without a {KEY[self.kind]}; left out")
        elif key in self._keys:
            self.remarks.append(f"lists {key!r} twice among its {self.kind}; the first one counts")
        else:
            self._keys.add(key)
            self.entries.append(entry)

    def _follow(self, cursor: Any) -> str | None:
        if not isinstance(cursor, str):
            return None
        if cursor in self._cursors or len(self._cursors) >= MAX_PAGES:
            self.remarks.append(
                f"pages {METHODS[self.kind]} without an end; cut after {len(self._cursors) + 1} pages"
            )
            return None
        self._cursors.add(cursor)
        return cursor
