"""What is kept of a lazy server between its runs: its listings as bytes, and the fingerprint they are kept under.

Bytes that are not exactly what this version of dmcp writes are worth nothing: a listing that is in doubt is asked for.
Not here: where the bytes are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from dmcp.protocol.listing import KEY, KINDS, Kind
from dmcp.protocol.wire import decode, encode

if TYPE_CHECKING:
    from dmcp.config.model import ServerConfig
    from dmcp.protocol.jsonrpc import JsonObject

VERSION: Final = 1
"""Of the format. Another one is not read."""


class CachedListings(NamedTuple):
    """The listings of a server as it gave them last.

    Attributes:
        listings: complete ones only; a kind that is missing was not offered, or could not be listed.
        offered: the kinds the server has the capability for.
    """

    listings: Mapping[Kind, tuple[JsonObject, ...]]
    offered: frozenset[Kind]


def fingerprint(config: ServerConfig) -> str:
    """Names what a server offers under this configuration: two that differ in it may offer different things.

    How it is started, who signs in to it, and what is switched on count; timeouts, the description and the name do
    not. Values of the environment and headers go in too, because an account can decide what is offered; they cannot
    be had back out of the digest.
    """
    relevant = [VERSION, type(config.target).__name__, config.target, config.features, config.tools]
    text = repr([_plain(value) for value in relevant])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def about(config: ServerConfig) -> str:
    """Names what is kept of a server beside its listings: names of tools that describe it from the next start on."""
    return f"about-{fingerprint(config)}"


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return [(name, _plain(getattr(value, name))) for name in value.__struct_fields__]
    if isinstance(value, Mapping):
        return sorted(value.items())
    return value


def dump(name: str, cached: CachedListings) -> bytes:
    """Return the bytes that keep these listings under a fingerprint; none if they nest too deeply to be written."""
    content = {
        "version": VERSION,
        "fingerprint": name,
        "offered": sorted(cached.offered),
        "listings": {kind: list(entries) for kind, entries in cached.listings.items()},
    }
    try:
        return encode(content)
    except ValueError:
        return b""


def load(name: str, content: bytes) -> CachedListings | None:
    """Return the listings in these bytes; ``None`` if they are not exactly what ``dump`` makes for this fingerprint."""
    try:
        value = decode(content)
    except ValueError:
        return None
    if not isinstance(value, dict) or (value.get("version"), value.get("fingerprint")) != (VERSION, name):
        return None
    offered, listings = value.get("offered"), value.get("listings")
    if not isinstance(offered, list) or not isinstance(listings, dict):
        return None
    if not all(kind in KINDS for kind in (*offered, *listings)):
        return None
    if not all(_is_listing(kind, entries) for kind, entries in listings.items()):
        return None
    return CachedListings({kind: tuple(entries) for kind, entries in listings.items()}, frozenset(offered))


def _is_listing(kind: Kind, entries: Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get(KEY[kind]), str) for entry in entries
    )
