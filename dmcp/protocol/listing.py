"""A server's paged listing: its pages decoded, small ones at once and large ones in slices, and put together.

Not here: the pages dmcp itself gives the client (``pages``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dmcp.protocol import scan
from dmcp.protocol.limits import BYTES_A_VALUE, KIB, MAX_PAGES, MAX_REMARKS, MAX_VALUES
from dmcp.protocol.wire import decode_bounded, weight
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.config.model import Limits
    from dmcp.protocol.jsonrpc import JsonObject

Kind: TypeAlias = Literal["tools", "resources", "templates", "prompts"]
KINDS: Final[tuple[Kind, ...]] = ("tools", "resources", "templates", "prompts")

_AT_ONCE: Final = 256 * KIB  # bytes
_AT_ONCE_VALUES: Final = MAX_VALUES // 5

_SHOWN: Final = 100  # characters of a key in a remark
LABELS: Final[dict[Kind, str]] = {
    "tools": "tools/list",
    "resources": "resources/list",
    "templates": "resources/templates/list",
    "prompts": "prompts/list",
}
"""What listing each kind is called, as in the specification."""
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
        warnings: what was odd about the listing, as finished phrases for the log; the first ones, and a count.
        cut: why no more pages were asked for, likewise; empty when they ended by themselves.
        problem: why the listing cannot be used, as a finished phrase; empty while nothing is wrong.
        too_large: whether that is because of a limit: asking again does not help.
        values: how many values its pages have, at most.
    """

    __slots__ = (
        "_bytes",
        "_count",
        "_cursors",
        "_keys",
        "_limits",
        "_odd",
        "cut",
        "entries",
        "kind",
        "problem",
        "too_large",
        "values",
        "warnings",
    )

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.kind = kind
        self.entries: list[JsonObject] = []
        self.warnings: list[str] = []
        self.problem = ""
        self.cut = ""  # why pages were not asked for any more
        self.too_large = False
        self.values = 0
        self._limits = limits
        self._keys: set[str] = set()
        self._cursors: set[str] = set()
        self._count = 0
        self._bytes = 0
        self._odd = 0

    def __repr__(self) -> str:
        return f"<Collector {self.kind} {len(self.entries)} entries, {len(self._cursors)} pages>"

    def exceeds(self, page: bytes) -> bool:
        """Count the bytes and values of one more page; whether they are too many, so that it need not be decoded."""
        self._bytes += len(page)
        most = self._limits.listing_bytes
        if self._bytes > most:
            self._exceed(f"is longer than {most} bytes", "listing_bytes")
        else:
            self.values += weight(page)
            if self.values > most // BYTES_A_VALUE:
                self._exceed(f"has more than {most // BYTES_A_VALUE:,} values", "listing_bytes")
        return bool(self.problem)

    def take(self, result: Any) -> str | None:
        """Take one page and return the cursor of the next one, ``None`` when there is no more to ask for.

        Args:
            result: of the request for the page; ``exceeds`` has seen its bytes.
        """
        method = LABELS[self.kind]
        if not isinstance(result, dict):
            self._fail(f"answered {method} with something that is not an object")
            return None
        entries = result.get(MEMBERS[self.kind])
        if not isinstance(entries, list):
            self._fail(f"answered {method} without a list of {MEMBERS[self.kind]}")
            return None
        self._count += len(entries)
        if self._count > self._limits.listing_entries:
            self._exceed(f"has more than {self._limits.listing_entries} entries", "listing_entries")
        else:
            for entry in entries:
                self._add(entry)
            return self._follow(result.get("nextCursor"))
        return None

    def finish(self) -> None:
        """No page follows: say how many more oddities there were than warnings."""
        if self._odd > len(self.warnings):
            self.warnings.append(
                f"and {self._odd - len(self.warnings)} more like these in {LABELS[self.kind]}"
            )

    def _fail(self, problem: str, *, too_large: bool = False) -> None:
        self.problem = problem
        self._warn(problem)
        if too_large:
            self.too_large = True
            self.entries.clear()  # a part of what is too large would be a part nobody chose

    def _exceed(self, what: str, key: str) -> None:
        text = f"its {LABELS[self.kind]} {what}: raise limits.{key} in its configuration to see it"
        self._fail(text, too_large=True)

    def _warn(self, text: str) -> None:
        self._odd += 1
        if len(self.warnings) < MAX_REMARKS:
            self.warnings.append(text)

    def _add(self, entry: Any) -> None:
        key = entry.get(KEY[self.kind]) if isinstance(entry, dict) else None
        if not isinstance(key, str) or not key:
            self._warn(f"lists one of its {self.kind} without a {KEY[self.kind]}; left out")
        elif key in self._keys:
            if "" in self._cursors:
                return  # see ``_follow``
            shown = printable(key, _SHOWN)
            self._warn(f"lists {shown!r} twice among its {self.kind}; the first one counts")
        else:
            self._keys.add(key)
            self.entries.append(entry)

    def _follow(self, cursor: Any) -> str | None:
        if not isinstance(cursor, str):
            return None
        if cursor in self._cursors and "" in self._cursors:
            return None  # "" is a cursor like any other, but for this server it meant that no page follows
        pages = len(self._cursors) + 1
        if cursor in self._cursors or len(self._cursors) >= MAX_PAGES:
            self.cut = f"pages {LABELS[self.kind]} without an end; cut after {pages} pages"
            return None
        self._cursors.add(cursor)
        return cursor


def is_light_page(page: bytes) -> bool:
    """Return whether the page can be decoded in one turn of the loop."""
    return len(page) <= _AT_ONCE and weight(page) <= _AT_ONCE_VALUES


def decode_page(page: bytes, member: str, most: int) -> scan.Steps[JsonObject | str]:
    """Return the page decoded, or why it cannot be. Never raises.

    Args:
        page: a result, as bytes.
        member: its member that holds the entries.
        most: entries; of more the page holds one more than that, so that whoever counts them sees it.
    """
    try:
        return (yield from _decode_page(page, member, most))
    except ValueError as error:
        return str(error)


def _decode_page(page: bytes, member: str, most: int) -> scan.Steps[JsonObject]:
    decoded: JsonObject = {}
    for name, span in (yield from scan.members(page, 0)).spans.items():
        if name == member and page[span.start : span.start + 1] == b"[":
            entries: list[Any] = []
            for start, end in (yield from scan.elements(page, span.start, most)).spans:
                entries.append(decode_bounded(page[start:end]))
                yield
            decoded[name] = entries
        else:
            decoded[name] = decode_bounded(page[span.start : span.end])
            yield
    return decoded
