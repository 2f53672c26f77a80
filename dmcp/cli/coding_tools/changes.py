"""One change to a coding tool's file: which value was where, and which is there now, so that it can be undone.

Pure. Not here: finding the changes (``replaced``), making them in a text (``formats``), keeping them (``install``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
"""Stands for a value that is not there."""
Step = tuple[tuple[str, ...], Any]
"""The keys that lead to a value, and the value that is to be there, or ``ABSENT``."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value of a file, before and after.

    Attributes:
        file: the file.
        keys: the keys that lead to the value.
        before: the value dmcp found, or ``ABSENT``.
        after: the value dmcp put there, or ``ABSENT`` where it took the value out.
        made: how many of the tables above the value dmcp made; all of ``keys`` when it made the file.
    """

    file: Path
    keys: tuple[str, ...]
    before: Any = field(repr=False)
    after: Any = field(repr=False)
    made: int = 0

    def added(self) -> list[Any]:
        """Return what dmcp put into a list."""
        earlier = self.before if isinstance(self.before, list) else []
        return [item for item in self.after if item not in earlier] if isinstance(self.after, list) else []

    def as_json(self) -> dict[str, Any]:
        """Return the change as the record keeps it: an absent value has no key."""
        sides = {"before": self.before, "after": self.after}
        known = {side: value for side, value in sides.items() if value is not ABSENT}
        return {"file": str(self.file), "keys": list(self.keys), "made": self.made, **known}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Change:
        """Return the change from what ``as_json`` wrote. Raises ``KeyError, TypeError``: something else wrote it."""
        sides = (kept.get("before", ABSENT), kept.get("after", ABSENT))
        return cls(Path(kept["file"]), tuple(kept["keys"]), *sides, made=int(kept["made"]))


def value_at(contents: Any, keys: tuple[str, ...]) -> Any:
    """Return the value these keys lead to, or ``ABSENT``."""
    for key in keys:
        if not isinstance(contents, Mapping) or key not in contents:
            return ABSENT
        contents = contents[key]
    return contents


def with_value_at(contents: Mapping[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy with another value there; ``ABSENT`` removes it."""
    key, *rest = keys
    result = dict(contents)
    if rest:
        inner = result.get(key)
        if not isinstance(inner, Mapping):
            if value is ABSENT:
                return result
            inner = {}
        result[key] = with_value_at(inner, tuple(rest), value)
    elif value is ABSENT:
        result.pop(key, None)
    else:
        result[key] = value
    return result


def planned(file: Path, contents: Mapping[str, Any] | None, keys: tuple[str, ...], after: Any) -> Change:
    """Return the change that puts a value there. ``contents`` is ``None`` for a file that is not there yet."""
    if contents is None:
        return Change(file, keys, ABSENT, after, made=len(keys))
    above = range(1, len(keys))
    made = sum(value_at(contents, keys[:depth]) is ABSENT for depth in above)
    return Change(file, keys, value_at(contents, keys), after, made=made)


def undone(change: Change, contents: Mapping[str, Any]) -> list[Step] | None:
    """Return the steps that undo the change; ``None`` when the value was changed by somebody else since."""
    now, value = value_at(contents, change.keys), change.before
    if now == change.before:
        return []
    if now != change.after:
        if not (isinstance(now, list) and isinstance(change.after, list)):
            return None
        # A list that has grown or shrunk since: only what dmcp put in comes out.
        value = [item for item in now if item not in change.added()]
    steps: list[Step] = [(change.keys, value)]
    rest = with_value_at(contents, change.keys, value)
    for depth in range(len(change.keys) - 1, max(0, len(change.keys) - 1 - change.made), -1):
        if value is not ABSENT or value_at(rest, change.keys[:depth]) != {}:
            break
        steps.append((change.keys[:depth], ABSENT))
        rest = with_value_at(rest, change.keys[:depth], ABSENT)
    return steps
