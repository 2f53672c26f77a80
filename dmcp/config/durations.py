"""Durations as people write them, in seconds. Pure; not here: what a duration is for."""

from __future__ import annotations

import math
import re
from typing import Final

SPELLING: Final = r"^\s*([0-9]+(\.[0-9]+)?\s*([mM][sS]|[sS]|[mM]([iI][nN])?|[hH])?\s*)?$"
"""The accepted texts, as a regular expression for JSON schema (ECMA 262)."""

_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_TEXT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)?", re.ASCII)


def seconds(value: object) -> float | None:
    """Return the duration in seconds.

    Args:
        value: "500ms", "30s", "2m", "1min", "1h", "30" or a number of seconds. ``None`` and the empty text
            mean "the default", as they do for the predecessor.

    Returns:
        Seconds, finite and greater than zero, or ``None`` for the default.

    Raises:
        ValueError: it is none of these; the text says what is accepted.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip().lower())
        if match is None:
            raise ValueError('is not a duration: write "30s", "500ms", "2m", "1h" or a number of seconds')
        result = float(match[1]) * _UNITS[match[2] or ""]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
    else:
        raise ValueError('must be a duration such as "30s", or a number of seconds')  # noqa: TRY004 - a file's fault
    if not math.isfinite(result) or result <= 0:
        raise ValueError("must be a duration greater than zero")
    return result


def format_duration(duration: float) -> str:
    """Return the shortest usual way to write a duration given in seconds: 0.5 is "500ms", 120 is "2m"."""
    for unit in ("h", "m", "s"):
        count = duration / _UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{duration * 1000:g}ms" if duration < 1 else f"{duration:g}s"
