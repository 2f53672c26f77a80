"""Typed access to a tool's table for one server.

``Entry`` takes keys out of the table one by one; keys that nothing took are reported as not converted. A value of the
wrong type raises ``BadEntry`` where the server cannot work without it; elsewhere it is noted and left out. No I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dmcp.cli.coding_tools.model import NotConverted
from dmcp.cli.coding_tools.references import convert, foreign
from dmcp.config.durations import seconds

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.references import Syntax

_SHORTEST = 1.0  # seconds; a duration in milliseconds that is shorter was meant otherwise
_NO_ADVICE = "nothing to do, unless the server depends on it"
_ADVICE = (
    (re.compile(r"(?i)timeout|delay"), "timeout in dmcp's file has connect and tools"),
    (
        re.compile(r"(?i)tool"),
        "tools.include and tools.exclude in dmcp's file choose the tools that are shown",
    ),
    (
        re.compile(r"(?i)auth|token|api_?key|credential|secret"),
        "a token goes into headers or env of dmcp's file; where the server asks for a sign-in, dmcp signs in",
    ),
    (re.compile(r"(?i)header|^env|environ|^cwd|director"), "dmcp's file has headers, env and cwd for that"),
)
BY_HAND = "correct it there and import again, or add it to dmcp's configuration by hand"


class BadEntry(Exception):  # noqa: N818 - never leaves this package
    """This server cannot be imported; the others can. The texts say why, without its values, and what to do."""

    def __init__(self, why: str, advice: str = "correct it in the tool's file and import again") -> None:
        super().__init__(why)
        self.advice = advice


class Entry:
    """A tool's table for one server, and the notes made while reading it.

    Args:
        name: the server's name.
        raw: the table.
        syntax: how the tool refers to environment variables.
        variables: the variables that the tool defines itself.
    """

    def __init__(
        self, name: str, raw: Mapping[str, Any], syntax: Syntax, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.raw = raw
        self.notes: list[NotConverted] = []
        self._syntax = syntax
        self._variables = variables
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"<Entry {self.name!r}: {len(self._taken)} of {len(self.raw)} keys taken>"

    def note(self, what: str, advice: str) -> None:
        """Note that something is not converted."""
        self.notes.append(NotConverted(self.name, what, advice))

    def take(self, key: str | None) -> Any:
        """Return the value as it is; ``None`` when there is none."""
        if key is None:
            return None
        self._taken.add(key)
        return self.raw.get(key)

    def convert(self, text: str, *, of_shell: bool = False) -> str:
        """Return a value in dmcp's spelling of references; ``of_shell``: it may be a script for a shell."""
        converted, problems = convert(text, self._syntax, self._variables)
        for problem in problems:
            self.note(problem.what, problem.advice)
        found = None if of_shell and " " in text else foreign(text, self._syntax)
        if found is not None and not (of_shell and found == "$HOME"):  # which is named with "~/"
            self.note(
                f"{found} is no reference for that tool, and none for dmcp",
                "it stays as it is; if a variable is meant, write ${NAME} into dmcp's file",
            )
        return converted

    def expand_home(self, text: str) -> str:
        """Return a value with the home directory in place of a ``~`` at its beginning."""
        return self._variables["userHome"] + text[1:] if text == "~" or text.startswith("~/") else text

    def text(self, key: str | None) -> str | None:
        """Return a value that has to be a text.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a text belongs')
        return self.convert(value)

    def texts(self, key: str | None) -> tuple[str, ...]:
        """Return a list of texts; numbers and truth values are written as the tool would pass them on.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):  # YAML's spelling of nothing comes as an empty text: see ``formats``
            return ()
        if not isinstance(value, list) or any(isinstance(item, list | Mapping | None) for item in value):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a list of texts belongs')
        return tuple(self.convert(scalar(item), of_shell=True) for item in value)

    def table(self, key: str | None) -> dict[str, str]:
        """Return a table of texts, as ``env`` and ``headers`` are.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):
            return {}
        if not isinstance(value, Mapping):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a table belongs')
        converted = {}
        for name, item in value.items():
            if isinstance(item, list | Mapping | None):
                self.note(f'"{key}.{name}" is {kind_of(item)} where a text belongs', BY_HAND)
            else:
                converted[str(name)] = self.convert(scalar(item))
        return converted

    def flag(self, key: str | None) -> bool | None:
        """Return a truth value; anything else is noted and left out."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"  # YAML is read as texts: see ``formats``
        if value is None or isinstance(value, bool):
            return value
        self.note(f'"{key}" is {kind_of(value)} where true or false belongs', BY_HAND)
        return None

    def seconds(self, key: tuple[str, float] | None) -> float | None:
        """Return a duration in seconds, by its key and unit; what is no likely number is noted and left out."""
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
        """Return a list of tool names, without references; anything else is noted and left out."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.note(f'"{key}" is not a list of names', BY_HAND)
            return ()
        return tuple(value)

    def ignore(self, *keys: str) -> None:
        """Ignore keys that mean nothing outside that tool."""
        self._taken.update(keys)

    def note_rest(self, unsupported: Mapping[str, str]) -> None:
        """Note every key without an equivalent, and every unknown one."""
        for key in self.raw:
            if key in unsupported and self.raw[key] not in (None, False, [], {}):
                self.note(f'"{key}"', unsupported[key])
            elif key not in self._taken and key not in unsupported:
                advice = next((text for sign, text in _ADVICE if sign.search(key)), _NO_ADVICE)
                self.note(f'"{key}" has no equivalent', advice)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar(value: Any) -> str:
    """Return a number or truth value as the tools, which are written in JavaScript, hand it to a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def kind_of(value: Any) -> str:
    """Return what a value is, in words; never the value itself, which may be secret."""
    names = (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")
