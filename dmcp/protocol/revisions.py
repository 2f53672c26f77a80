"""The revisions of the protocol dmcp speaks, and what depends on them. The only place that compares versions."""

from __future__ import annotations

from typing import Final

KNOWN: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST: Final = KNOWN[-1]


def negotiate(asked: str) -> str:
    """The revision to answer a client with: the one it asked for if known, else the latest."""
    return asked if asked in KNOWN else LATEST


def is_known(revision: object) -> bool:
    """Whether dmcp can speak what an upstream answered with."""
    return revision in KNOWN


def allows_batches(revision: str) -> bool:
    """Only 2025-03-26 has JSON-RPC batching."""
    return revision == "2025-03-26"


def declares_completions(revision: str) -> bool:
    """The ``completions`` capability appeared in 2025-03-26; before, completion needed no declaration."""
    return revision != "2024-11-05"
