"""Sizes as people write them, in bytes. Pure; not here: what a size limits."""

from __future__ import annotations

import re
from typing import Final

SPELLING: Final = r"^\s*([0-9]+(\.[0-9]+)?\s*([bB]|[kKmMgG][iI]?[bB])?\s*)?$"
"""The accepted texts, as a regular expression for JSON schema (ECMA 262)."""

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "kib": 1024,
    "mb": 1000**2,
    "mib": 1024**2,
    "gb": 1000**3,
    "gib": 1024**3,
}
_TEXT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]{0,3})", re.ASCII)
_LONGEST: Final = 40  # characters of a text that is looked at
_WRITE: Final = 'write "64MiB", "512KiB", "8MB", "900kB" or a number of bytes'


def size(value: object) -> int | None:
    """Return the size in bytes.

    Args:
        value: "64MiB", "512 KiB", "8MB", "900kB", "1GiB", "65536" or a number of bytes. kB, MB and GB are powers of
            1000, KiB, MiB and GiB of 1024; case does not matter. ``None`` and the empty text mean "the default".

    Returns:
        Whole bytes, at least 1, or ``None`` for the default.

    Raises:
        ValueError: it is none of these; the text says what is accepted.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip().lower()) if len(value) <= _LONGEST else None
        if match is None or match[2] not in _UNITS:
            raise ValueError(f"is not a size: {_WRITE}")
        found = int(float(match[1]) * _UNITS[match[2]])
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        raise ValueError('must be a size such as "64MiB", or a whole number of bytes')  # noqa: TRY004 - a file's fault
    if found < 1:
        raise ValueError("must be a size of at least one byte")
    return found


def format_size(count: int) -> str:
    """Return the shortest usual way to write so many bytes: 8388608 is "8MiB", 1000 is "1000B"."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    return f"{count}B"
