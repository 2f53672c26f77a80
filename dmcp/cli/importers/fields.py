"""The table a tool has for one server, and how values are taken out of it.

``Entry`` takes keys out of the tool's table one by one; what nobody took is reported as not carried. No I/O.
A value of the wrong type raises ``BadEntry`` where the server cannot work without it;
elsewhere it is left behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.model import NotCarried
from dmcp.cli.importers.references import rewritten
from dmcp.config.durations import seconds

if TYPE_CHECKING:
    from dmcp.cli.importers.tool import CodingTool

_SHORTEST = 1.0  # seconds; a duration in milliseconds that is shorter was meant otherwise
BY_HAND = "correct it there and import again, or add it to dmcp's configuration by hand"


class BadEntry(Exception):  # noqa: N818 - says what was found, and never leaves the importers
    """This one server cannot be imported; the others can. The texts say why, without its values, and what to do."""

    def __init__(self, why: str, advice: str = "correct it in the tool's file and import again") -> None:
        super().__init__(why)
        self.advice = advice


class Entry:
    """A tool's table for one server, and the notes made while reading it."""

    def __init__(
        self, name: str, raw: Mapping[str, Any], tool: CodingTool, predefined: Mapping[str, str]
    ) -> None:
        self.name = name
        self.raw = raw
        self.notes: list[NotCarried] = []
        self._tool = tool
        self._predefined = predefined
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"<Entry {self.name!r} of {self._tool.name}: {len(self._taken)} of {len(self.raw)} keys taken>"

    def note(self, what: str, advice: str) -> None:
        """Something is left behind."""
        self.notes.append(NotCarried(self.name, what, advice))

    def take(self, key: str | None) -> Any:
        """The value as it is; ``None`` when there is none."""
        if key is None:
            return None
        self._taken.add(key)
        return self.raw.get(key)

    def carry(self, text: str) -> str:
        """A value in dmcp's spelling of references."""
        carried, problems = rewritten(text, self._tool.syntax, self._predefined)
        for problem in problems:
            self.note(problem.what, problem.advice)
        return carried

    def at_home(self, text: str) -> str:
        """A value with the home directory for a ``~`` at its beginning."""
        return self._predefined["userHome"] + text[1:] if text == "~" or text.startswith("~/") else text

    def text(self, key: str | None) -> str | None:
        """A value that has to be a text.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a text belongs')
        return self.carry(value)

    def texts(self, key: str | None) -> tuple[str, ...]:
        """A list of texts; numbers and truth values are written as the tool would pass them on.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):  # YAML's spelling of nothing comes as an empty text: see ``documents``
            return ()
        if not isinstance(value, list) or any(isinstance(item, list | Mapping | None) for item in value):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a list of texts belongs')
        return tuple(self.carry(scalar(item)) for item in value)

    def table(self, key: str | None) -> dict[str, str]:
        """A table of texts, as ``env`` and ``headers`` are.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):
            return {}
        if not isinstance(value, Mapping):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a table belongs')
        carried = {}
        for name, item in value.items():
            if isinstance(item, list | Mapping | None):
                self.note(f'"{key}.{name}" is {kind_of(item)} where a text belongs', BY_HAND)
            else:
                carried[str(name)] = self.carry(scalar(item))
        return carried

    def flag(self, key: str | None) -> bool | None:
        """A truth value; anything else is noted and left behind."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"  # YAML is read as texts: see ``documents``
        if value is None or isinstance(value, bool):
            return value
        self.note(f'"{key}" is {kind_of(value)} where true or false belongs', BY_HAND)
        return None

    def seconds(self, key: tuple[str, float] | None) -> float | None:
        """A duration, by its key and unit; anything but a positive number of a likely size is noted and left behind."""
        if key is None or (value := self.take(key[0])) is None:
            return None
        number = _number(value)
        if number is None and isinstance(value, str):
            with suppress(ValueError):
                return seconds(value)  # with a unit of its own: "30s"
        if number is None or not 0 < number * key[1] < math.inf:
            self.note(
                f'"{key[0]}" is no duration',
                "dmcp's own default applies; see timeout in docs/configuration.md",
            )
            return None
        if key[1] < 1 and number * key[1] < _SHORTEST:
            # A file whose tool is guessed may be of one that counts seconds; and no call ends in a moment.
            self.note(
                f'"{key[0]}" would be {number:g} ms, in which no server answers',
                f"dmcp's own default applies; if seconds are meant, write {number:g}s into timeout of dmcp's file",
            )
            return None
        return number * key[1]

    def names(self, key: str | None) -> tuple[str, ...]:
        """A list of tool names, without references; anything else is noted and left behind."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.note(f'"{key}" is not a list of names', BY_HAND)
            return ()
        return tuple(value)

    def leave(self, *keys: str) -> None:
        """These keys mean nothing outside that tool."""
        self._taken.update(keys)

    def finish(self, cannot: Mapping[str, str]) -> None:
        """Note every key with no equivalent, and every one that nobody knows."""
        for key in self.raw:
            if key in cannot and self.raw[key] not in (None, False, [], {}):
                self.note(f'"{key}"', cannot[key])
            elif key not in self._taken and key not in cannot:
                self.note(f'"{key}" has no equivalent', "nothing to do, unless the server depends on it")


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar(value: Any) -> str:
    """A number or truth value as the tools, which are written in JavaScript, hand it to a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def kind_of(value: Any) -> str:
    """What a value is, in a person's words; never the value itself, which may be secret."""
    names = (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")
