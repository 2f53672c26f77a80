"""Change a member of a JSON file with comments and nothing else in it: comments, order and spacing stay.

No library among the dependencies edits JSON without losing comments. It scans and does not validate: the caller parses
the text before and after. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|//[^\n\r]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"\'/]+|/', re.DOTALL
)

_REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\r\n]*?\*/[ \t]*)*(?://[^\r\n]*)?")


@dataclass(slots=True)
class _Table:
    """An object in the text: its members by key, where it opens, where its last member and the comma after it end.

    ``spans`` has for each member where its key and its value begin and where its value ends; ``coming`` is the member
    whose value is being read.
    """

    opened: int
    members: dict[str, _Table | None] = field(default_factory=dict)
    spans: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    coming: tuple[str, int, int] = ("", 0, 0)
    last_end: int = 0
    comma: int = 0


def with_members(text: str, path: tuple[str, ...], members: Mapping[str, Any]) -> str:
    """Return the text with more members at the end of the object at ``path``; missing objects are made.

    Args:
        text: a JSON or JSONC file that parses to an object.
        path: the keys that lead to the object.
        members: the new members; their keys must not be there yet.

    Raises:
        ValueError: the text cannot be followed to ``path``.
    """
    table = _scan(text)
    for depth, step in enumerate(path):
        inner = table.members.get(step)
        if inner is None:
            if step in table.members:
                raise ValueError(f'"{step}" is no table')
            for missing in reversed(path[depth + 1 :]):
                members = {missing: members}
            return _inserted(text, table, {step: members}, depth + 1)
        table = inner
    return _inserted(text, table, members, len(path) + 1)


def with_value(text: str, path: tuple[str, ...], key: str, value: Any) -> str:
    """Return the text with another value for a member; one that is not there yet is added. See ``with_members``."""
    table = _at(text, path)
    if table is None or key not in table.spans:
        return with_members(text, path, {key: value})
    at, start, end = table.spans[key]
    line = text[text.rfind("\n", 0, at) + 1 : at]
    indent = line[: len(line) - len(line.lstrip())]
    newline = "\r\n" if "\r\n" in text else "\n"
    first, *rest = to_json(value, indent=2).decode().split("\n")
    return text[:start] + newline.join([first, *(indent + line for line in rest)]) + text[end:]


def without_member(text: str, path: tuple[str, ...], key: str) -> str:
    """Return the text without a member; a line that held nothing else goes with it. One that is not there is no error.

    Raises:
        ValueError: the text cannot be followed.
    """
    table = _at(text, path)
    if table is None or key not in table.spans:
        return text
    start, _, end = table.spans[key]
    comma = _comma_after(text, end)
    if comma:
        end = comma
    else:
        before = [span[2] for span in table.spans.values() if span[2] < start]
        comma = _comma_after(text, max(before)) if before else 0
        if comma:
            text = text[: comma - 1] + text[comma:]
            start, end = start - 1, end - 1
    line = text.rfind("\n", 0, start)
    alone = re.compile(r"[ \t]*(?=\r?\n|\Z)").match(text, end)
    if line >= 0 and not text[line + 1 : start].strip() and alone is not None:
        start = line - (text[line - 1] == "\r")
        end = alone.end()
    elif text[line + 1 : start].strip():
        start = len(text[:start].rstrip(" \t"))
    return text[:start] + text[end:]


def _comma_after(text: str, at: int) -> int:
    """Return where the comma behind a value ends; 0 if the next sign is another."""
    for match in _TOKEN.finditer(text, at):
        if not match.group().startswith(("//", "/*")):
            return match.end() if match.group() == "," else 0
    return 0


def _at(text: str, path: tuple[str, ...]) -> _Table | None:
    """Return the object under these keys, if there is one."""
    table: _Table | None = _scan(text)
    for step in path:
        table = table.members.get(step) if table is not None else None
    return table


def _inserted(text: str, table: _Table, members: Mapping[str, Any], depth: int) -> str:
    at = table.comma or table.last_end or table.opened + 1
    if _on_one_line(text, table):
        each = (f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in members.items())
        member = ",".join(each)
        return text[:at] + (f"{member}," if table.comma else f",{member}") + text[at:]
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = _indent(text, table, depth)
    step = indent[: max(1, len(indent) // depth)]
    bodies = []
    for key, value in members.items():
        first, *others = to_json(value, indent=2).decode().split("\n")
        lines = [f"{to_json(key).decode()}: {first}", *(_reindented(line, indent, step) for line in others)]
        bodies.append(indent + newline.join(lines))
    # A table that ends with a comma does so after these members, too.
    member = f",{newline}".join(bodies) + ("," if table.comma else "")
    comma = "," if table.last_end and not table.comma else ""
    rest = text[at:]
    # What follows the last member on its line, such as a comment, stays with that member.
    follows = _REST_OF_LINE.match(rest) if table.last_end else None
    kept = follows.group() if follows else ""
    after = rest[len(kept) :]
    closing = "" if re.match(r"[ \t]*[\r\n]", after) else newline + indent[len(step) :]
    return f"{text[:at]}{comma}{kept}{newline}{member}{closing}{after}"


def _on_one_line(text: str, table: _Table) -> bool:
    """Return whether an object has members, and all of them and its end on the line it begins on."""
    end = table.comma or table.last_end
    closing = re.compile(r"[ \t]*}").match(text, end)
    return table.last_end > 0 and closing is not None and "\n" not in text[table.opened : end]


def _reindented(line: str, indent: str, step: str) -> str:
    stripped = line.lstrip(" ")
    return indent + step * ((len(line) - len(stripped)) // 2) + stripped


def _indent(text: str, table: _Table, depth: int) -> str:
    """Return the white space before the members of a table: that of its last one, or two spaces a level."""
    if table.members:
        first = re.compile(r"[ \t]*(?=[\"'\w$])").match
        for line in re.finditer(r"\n", text[table.opened : table.last_end]):
            found = first(text, table.opened + line.end())
            if found is not None:
                return found.group() or "  " * depth
    return "  " * depth


def _scan(text: str) -> _Table:
    """Return the objects of a text, nested ones included; arrays and plain values are skipped."""
    scanner = _Scanner()
    for match in _TOKEN.finditer(text):
        if not match.group().startswith(("//", "/*")):
            scanner.feed(match.group(), match.start(), match.end())
    if scanner.root is None or scanner.stack:
        raise ValueError("the braces do not match")
    return scanner.root


class _Scanner:
    """The state of the scan: the open brackets, and the key whose value comes next."""

    def __init__(self) -> None:
        self.root: _Table | None = None
        self.stack: list[_Table | None] = []  # None stands for an array
        self._key: str | None = None
        self._before = ""
        self._before_at = 0

    def feed(self, piece: str, start: int, end: int) -> None:
        """Take the next bracket, sign, key or value."""
        if piece in "{[":
            self._open(_Table(start) if piece == "{" else None, start)
        elif piece in "}]":
            if not self.stack:
                raise ValueError("a bracket too many")
            self.stack.pop()
            self._ended(end)
        elif piece == ":":
            self._key = _unquoted(self._before)
            if self.stack and (top := self.stack[-1]) is not None:
                top.coming = (self._key, self._before_at, 0)
        elif self.stack and (top := self.stack[-1]) is not None:
            if piece == ",":
                top.comma, self._key = end, None
            elif self._key is not None:
                top.members[self._key] = None
                top.coming = (*top.coming[:2], start)
                self._ended(end)
        self._before, self._before_at = piece, start

    def _open(self, new: _Table | None, start: int) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and self._key is not None:
            top.members[self._key] = new
            top.coming = (*top.coming[:2], start)
        self.root = self.root or new
        self.stack.append(new)
        self._key = None

    def _ended(self, end: int) -> None:
        """Note that a member of the innermost table ends here."""
        if self.stack and (top := self.stack[-1]) is not None:
            top.last_end, top.comma = end, 0
            key, at, start = top.coming
            top.spans[key] = (at, start, end)


def _unquoted(key: str) -> str:
    if key.startswith('"'):
        found = from_json(key)
        return found if isinstance(found, str) else key
    return key.strip("'")
