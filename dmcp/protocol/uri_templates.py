"""Tells whether a URI could come from a URI template (RFC 6570): enough to find whose resource it is."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_EXPRESSION = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")
_PATTERN: Final = {
    "": r"[^/?#]+",
    "+": r".+",
    "#": r"(?:#.*)?",
    ".": r"(?:\.[^/?#]*)?",
    "/": r"(?:/[^?#]*)?",
    ";": r"(?:;[^/?#]*)?",
    "?": r"(?:\?[^#]*)?",
    "&": r"(?:&[^#]*)?",
}


@lru_cache(maxsize=4096)
def _compile(template: str) -> tuple[re.Pattern[str], int]:
    pattern, literal, at = "", 0, 0
    for match in _EXPRESSION.finditer(template):
        one = re.escape(template[at : match.start()]) + _PATTERN[match[1]]
        # Several of a kind in a row are as good as one, and no match would cost time exponential in their number.
        pattern += "" if match.start() == at and pattern.endswith(one) else one
        literal += match.start() - at
        at = match.end()
    literal += len(template) - at
    return re.compile(pattern + re.escape(template[at:]) + r"\Z", re.DOTALL), literal


def specificity(template: str, uri: str) -> int | None:
    """How many literal characters of the template the URI has; ``None`` when it does not match.

    Where several templates match, the one with the most literal characters is meant.
    """
    pattern, literal = _compile(template)
    return literal if pattern.match(uri) else None
