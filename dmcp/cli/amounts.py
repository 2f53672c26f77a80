"""How the commands write numbers for people: bytes, tokens, counts."""

from __future__ import annotations

from typing import Any, Final

from pydantic_core import to_json

BYTES_PER_TOKEN: Final = 4
"""A rule of thumb for English and JSON; every model counts differently."""


def size(definitions: Any) -> int:
    """Bytes of tool definitions as compact JSON, which is about what an assistant puts before its model."""
    return len(to_json(definitions))


def tokens(number_of_bytes: int) -> int:
    """About how many tokens these bytes are."""
    return round(number_of_bytes / BYTES_PER_TOKEN)


def count(number: int, thing: str) -> str:
    """For example "1 tool", "12 tools"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
