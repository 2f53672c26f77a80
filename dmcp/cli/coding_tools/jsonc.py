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
    from collections.abc import Iterator, Mapping

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|//[^\n\r]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"\'/]+|/', re.DOTALL
)

_REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\r\n]*?\*/[ \t]*)*(?://[^\r\n]*)?")


@dataclass(slots=True)
class _Table:
    """An object in the text: its members by key, where it opens, where its last member and the comma after it end.

    ``spans`` has for each member where its key and its value begin and where its value ends.
    """

    opened: int
    members: dict[str, _Table | None] = field(default_factory=dict)
    spans: dict[str, tuple[int, int, int]] = field(default_factory=dict)
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
    signs = (match for match in _TOKEN.finditer(text) if not match.group().startswith(("//", "/*")))
    first = next(signs, None)
    table = _read(first, signs)[0] if first is not None else None
    if table is None:
        raise ValueError("the text is no table")
    return table


def _read(sign: re.Match[str], signs: Iterator[re.Match[str]]) -> tuple[_Table | None, int]:
    """Return the object that begins with this sign, or ``None`` for any other value, and where the value ends."""
    opening = sign.group()
    if opening not in "{[":
        return None, sign.end()
    table = _Table(sign.start())
    for member in signs:
        word = member.group()
        if word in "}]":
            return (table if opening == "{" else None), member.end()
        if word == ",":
            table.comma = member.end()
            continue
        value = member
        if opening == "{":
            next(signs, None)  # the colon
            value = next(signs, member)
        inner, end = _read(value, signs)
        key = _unquoted(word) if opening == "{" else ""
        table.members[key], table.spans[key] = inner, (member.start(), value.start(), end)
        table.last_end, table.comma = end, 0
    raise ValueError("the braces do not match")


def _unquoted(key: str) -> str:
    if key.startswith('"'):
        found = from_json(key)
        return found if isinstance(found, str) else key
    return key.strip("'")
