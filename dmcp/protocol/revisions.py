"""The revisions of the protocol dmcp speaks, and what depends on them. The only place that compares versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

KNOWN: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST: Final = KNOWN[-1]
_BEFORE: Final = (
    "2024-10-07"  # never released, and yet spoken by old servers; nothing differs from 2024-11-05 for us
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSUPPORTED: Final = -32022  # UnsupportedProtocolVersion, of later revisions
_READ: Final = 8192  # characters of a refusal that are looked through


def negotiate(asked: str) -> str:
    """The revision to answer a client with: the one it asked for if known, else the latest."""
    return asked if asked in KNOWN else LATEST


def is_known(revision: object) -> bool:
    """Whether dmcp can speak what an upstream answered with."""
    return revision in KNOWN or revision == _BEFORE


def next_offer(offered: Collection[str], code: object, said: str) -> str | None:
    """Return the revision to ask a server with next that has refused the last one in an error, ``None`` for none.

    The newest that it names, else the next older one; each at most once, so there are few.

    Args:
        offered: what it has refused.
        code: of its last error.
        said: the error's message and data, as text.
    """
    said = said[:_READ]
    named, lower = set(_DATE.findall(said)), said.lower()
    about = code == _UNSUPPORTED or "version" in lower or "revision" in lower or bool(named)
    left = [revision for revision in (*reversed(KNOWN), _BEFORE) if revision not in offered]
    if not about or not left:
        return None
    known = (revision for revision in left if revision in named)
    return next(known, left[0] if left[0] != _BEFORE else None)


def allows_batches(revision: str) -> bool:
    """Only 2025-03-26 has JSON-RPC batching."""
    return revision == "2025-03-26"


def declares_completions(revision: str) -> bool:
    """The ``completions`` capability appeared in 2025-03-26; before, completion needed no declaration."""
    return revision != "2024-11-05"
