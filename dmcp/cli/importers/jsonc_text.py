"""Adding to a JSON or JSONC file without touching anything else in it: comments, order and spacing stay.

Pure: text in, text out. It scans, it does not check: the caller parses the text before and after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|//[^\n\r]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"\'/]+|/', re.DOTALL
)

_REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\r\n]*?\*/[ \t]*)*(?://[^\r\n]*)?")


@dataclass(slots=True)
class _Table:
    """An object in the text: its members by key, where it opens, where its last member and the comma after it end."""

    opened: int
    members: dict[str, _Table | None] = field(default_factory=dict)
    last_end: int = 0
    comma: int = 0


def with_member(text: str, path: tuple[str, ...], key: str, value: Any) -> str:
    """The text with one more member at the end of the object at ``path``; missing objects are made.

    Args:
        text: a JSON or JSONC file that parses to an object.
        path: the keys that lead to the object.
        key: the new member's key; it must not be there yet.
        value: its value.

    Raises:
        ValueError: the text cannot be followed to ``path``.
    """
    table = _scan(text)
    for depth, step in enumerate(path):
        inner = table.members.get(step)
        if inner is None:
            if step in table.members:
                raise ValueError(f'"{step}" is no table')
            for missing in reversed((*path[depth + 1 :], key)):
                value = {missing: value}
            return _inserted(text, table, step, value, depth + 1)
        table = inner
    return _inserted(text, table, key, value, len(path) + 1)


def _inserted(text: str, table: _Table, key: str, value: Any, depth: int) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = _indent(text, table, depth)
    step = indent[: max(1, len(indent) // depth)]
    lines = to_json(value, indent=2).decode().split("\n")
    body = [to_json(key).decode() + ": " + lines[0], *(_reindented(line, indent, step) for line in lines[1:])]
    member = indent + newline.join(body)
    at = table.comma or table.last_end or table.opened + 1
    comma = "," if table.last_end and not table.comma else ""
    rest = text[at:]
    # What follows the last member on its line, such as a comment, stays with that member.
    follows = _REST_OF_LINE.match(rest) if table.last_end else None
    kept = follows.group() if follows else ""
    after = rest[len(kept) :]
    closing = "" if re.match(r"[ \t]*[\r\n]", after) else newline + indent[len(step) :]
    return f"{text[:at]}{comma}{kept}{newline}{member}{closing}{after}"


def _reindented(line: str, indent: str, step: str) -> str:
    stripped = line.lstrip(" ")
    return indent + step * ((len(line) - len(stripped)) // 2) + stripped


def _indent(text: str, table: _Table, depth: int) -> str:
    """The white space before the members of a table: that of its last one, or two spaces a level."""
    if table.members:
        first = re.compile(r"[ \t]*(?=[\"'\w$])").match
        for line in re.finditer(r"\n", text[table.opened : table.last_end]):
            found = first(text, table.opened + line.end())
            if found is not None:
                return found.group() or "  " * depth
    return "  " * depth


def _scan(text: str) -> _Table:
    """The objects of a text, down to the bottom; arrays and plain values are passed over."""
    scanner = _Scanner()
    for match in _TOKEN.finditer(text):
        if not match.group().startswith(("//", "/*")):
            scanner.feed(match.group(), match.start(), match.end())
    if scanner.root is None or scanner.stack:
        raise ValueError("the braces do not match")
    return scanner.root


class _Scanner:
    """Where in the nesting the scan is: the open brackets, and the key whose value comes next."""

    def __init__(self) -> None:
        self.root: _Table | None = None
        self.stack: list[_Table | None] = []  # None stands for an array
        self._key: str | None = None
        self._before = ""

    def feed(self, piece: str, start: int, end: int) -> None:
        """Take the next bracket, sign, key or value."""
        if piece in "{[":
            self._open(_Table(start) if piece == "{" else None)
        elif piece in "}]":
            if not self.stack:
                raise ValueError("a bracket too many")
            self.stack.pop()
            self._ended(end)
        elif piece == ":":
            self._key = _unquoted(self._before)
        elif self.stack and (top := self.stack[-1]) is not None:
            if piece == ",":
                top.comma, self._key = end, None
            elif self._key is not None:
                top.members[self._key] = None
                self._ended(end)
        self._before = piece

    def _open(self, new: _Table | None) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and self._key is not None:
            top.members[self._key] = new
        self.root = self.root or new
        self.stack.append(new)
        self._key = None

    def _ended(self, end: int) -> None:
        """A member of the innermost table ends here."""
        if self.stack and (top := self.stack[-1]) is not None:
            top.last_end, top.comma = end, 0


def _unquoted(key: str) -> str:
    if key.startswith('"'):
        found = from_json(key)
        return found if isinstance(found, str) else key
    return key.strip("'")
