"""A page of a server's listing, decoded: small ones at once, large ones in slices, and no more than the limits.

Not here: what becomes of the entries (``listing``), and the pages dmcp itself gives the client (``pages``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dmcp.protocol import scan
from dmcp.protocol.limits import KIB, MAX_VALUES
from dmcp.protocol.wire import decode_bounded, weight

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

_AT_ONCE: Final = 256 * KIB  # bytes
_AT_ONCE_VALUES: Final = MAX_VALUES // 5


def is_light(page: bytes) -> bool:
    """Return whether the page can be decoded in one turn of the loop."""
    return len(page) <= _AT_ONCE and weight(page) <= _AT_ONCE_VALUES


def decode(page: bytes, member: str, most: int) -> scan.Steps[JsonObject | str]:
    """Return the page decoded, or why it cannot be. Never raises.

    Args:
        page: a result, as bytes.
        member: its member that holds the entries.
        most: entries; of more the page holds one more than that, so that whoever counts them sees it.
    """
    try:
        return (yield from _decode(page, member, most))
    except ValueError as error:
        return str(error)


def _decode(page: bytes, member: str, most: int) -> scan.Steps[JsonObject]:
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
