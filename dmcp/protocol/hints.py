"""Which names a mistyped one may have meant.

The names are strangers': how many are looked at, and how much of each, is limited.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from dmcp.protocol.limits import MAX_HINT_NAME, MAX_HINT_NAMES
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
_OFFERED: Final = 3
_COMPARED: Final = 40  # names that are compared closely, after those with other letters are sorted out
_CUTOFF: Final = 0.5  # half of the letters and pairs of letters are the same


def close_matches(name: str, names: Iterable[str], cutoff: float = _CUTOFF) -> list[str]:
    """Return up to three of the names that are most like ``name``, letter case aside, the best first.

    About a microsecond for each of at most ``MAX_HINT_NAMES`` names. A longer name than ``MAX_HINT_NAME`` is not
    offered, and for one nothing is.

    Args:
        name: the mistyped one.
        names: those there are.
        cutoff: from 0 to 1, how much they must have in common.
    """
    if len(name) > MAX_HINT_NAME:
        return []
    wanted, folded = name.casefold(), dict[str, str]()
    for known in islice(names, MAX_HINT_NAMES):
        if len(known) <= MAX_HINT_NAME:
            folded.setdefault(known.casefold(), known)
    if wanted in folded:
        return [folded[wanted]]
    scored = [(_likeness(wanted, candidate), candidate) for candidate in _likely(wanted, folded)]
    scored.sort(key=lambda pair: -pair[0])
    return [folded[candidate] for score, candidate in scored[:_OFFERED] if score >= cutoff]


def _likely(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the names that share the most letters with the one that is wanted: few enough to be compared closely."""
    letters = set(wanted)
    scored = []
    for name in names:
        share = len(letters.intersection(name)) / (len(letters) + 1 + abs(len(name) - len(wanted)) / 4)
        scored.append((share + (name[:3] == wanted[:3]), name))
    scored.sort(key=lambda pair: -pair[0])
    return [name for _, name in scored[:_COMPARED]]


def _likeness(one: str, two: str) -> float:
    """Return from 0 to 1 how much two names have in common (Dice's coefficient of letters and of pairs of letters).

    Unlike difflib's ratio it is linear, whatever the names.
    """
    letters = _common(Counter(one), Counter(two))
    pairs = _common(_pairs(one), _pairs(two))
    return (letters + pairs) / 2


def _pairs(name: str) -> Counter[tuple[str, str]]:
    """Return its pairs of letters; the ends count as letters, so that a name of one letter has pairs too."""
    return Counter(pairwise(f"\n{name}\n"))


def _common(one: Counter[T], two: Counter[T]) -> float:
    return 2 * (one & two).total() / max(1, one.total() + two.total())


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return "Did you mean 'a' or 'b'?", empty if no name is like it."""
    close = close_matches(name, names)
    return f"Did you mean {' or '.join(map(quoted, close))}?" if close else ""


def quoted(name: str) -> str:
    """Return a name somebody gave, in quotes and short enough for a sentence."""
    return f"'{printable(name, MAX_HINT_NAME)}'"
