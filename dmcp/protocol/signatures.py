r"""Write a tool's definition as one line that can be called from.

``create(title*: str, body: str = "", labels: [str] ~)  Create a ticket.``

| written | means |
|---|---|
| ``name*`` | required |
| ``str`` ``int`` ``num`` ``bool`` ``null`` ``any`` ``object`` | any value of the type |
| ``"a"\|"b"`` | one of these |
| ``[str]`` ``{a*: int, b: str}`` | a list of such values, an object with these members |
| ``int 1..9`` ``num >0`` | within this range |
| ``str date-time`` | a text of this format |
| ``= 5`` | what counts when it is left out |
| ``~`` | simplified: the schema says more |

What a schema says and this notation does not is marked with ``~``, behind the parameter or behind them all. Schemas are
strangers': nothing in one raises, and work and length are bounded (``dmcp.protocol.limits``).
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.protocol.limits import (
    MAX_ENUM_SHOWN,
    MAX_SIGNATURE,
    MAX_SIGNATURE_PARAMETERS,
    MAX_SIGNATURE_STEPS,
    MAX_SUMMARY,
    MAX_TOOL_NAME,
)
from dmcp.protocol.schemas import referred
from dmcp.text import ELLIPSIS, printable, sentence_end, word_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dmcp.protocol.jsonrpc import JsonObject

_TYPES: Final = {
    "string": "str",
    "integer": "int",
    "number": "num",
    "boolean": "bool",
    "null": "null",
    "array": "array",
    "object": "object",
}
# What of a schema does not restrict its values.
_ANNOTATIONS: Final = word_set("""
    title description default examples example deprecated readOnly writeOnly $schema $id $comment $defs definitions
    contentMediaType contentEncoding x-order order
""")
_OF_STRING: Final = frozenset({"type", "format", "enum", "const"})
_OF_NUMBER: Final = frozenset(
    {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"}
)
_OF_OBJECT: Final = frozenset({"type", "properties", "required", "additionalProperties"})
_PLAIN_NAME: Final = re.compile(r"[\w.$@/-]+", re.ASCII)
_LONGEST_VALUE: Final = 40  # characters of a default or of a value of an enum
_LONGEST_KEY: Final = 64  # characters of a parameter's name
_LONGEST_PATH: Final = 8  # levels that a reference may lead down
_DEEPEST: Final = 2  # a parameter that is an object shows its members, and they show none
_MOST_OPTIONS: Final = 4  # of a union


class _Type(NamedTuple):
    """A value's type in the notation, and whether the schema says more."""

    text: str
    simplified: bool = False


_ANY: Final = _Type("any", simplified=True)


def signature(tool: JsonObject, prefix: str = "") -> str:
    """Return the line for a tool, at most ``MAX_SIGNATURE`` characters of it. Never raises.

    Args:
        tool: its definition; it has a name.
        prefix: stands before the name: the group and a slash.
    """
    name = printable(prefix + tool["name"], 2 * MAX_TOOL_NAME)
    parameters, simplified = _Reader(tool.get("inputSchema")).parameters(
        MAX_SIGNATURE - len(name) - MAX_SUMMARY
    )
    about = summary(tool)
    return f"{name}({parameters}){' ~' if simplified else ''}{'  ' if about else ''}{about}"


def summary(tool: JsonObject, limit: int = MAX_SUMMARY) -> str:
    """Return the first sentence of a tool's description, cut at a word's end; its title where it has none."""
    for text in (tool.get("description"), tool.get("title")):
        if isinstance(text, str) and (text := text[: 4 * limit].strip()):
            sentence = " ".join(text[: sentence_end(text)].split())
            if len(sentence) > limit:
                sentence = sentence[: limit - 1].rsplit(" ", 1)[0] + ELLIPSIS
            return printable(sentence)
    return ""


class _Reader:
    """Reads one schema, with a bounded number of steps."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._steps = MAX_SIGNATURE_STEPS

    def parameters(self, room: int) -> tuple[str, bool]:
        """Return the parameters in the notation and whether more is to be known of them as a whole.

        Required ones come first. Of the others those that do not fit into so many characters are left out.
        """
        schema = self._resolved(self._root)
        if not isinstance(schema, dict):
            return "", schema is not None
        written, complete = self._members(schema, 1, room)
        simplified = not complete or self._is_open(schema) or not self._is_within(schema, _OF_OBJECT)
        return written, simplified

    def _members(self, schema: Mapping[str, Any], depth: int, room: int) -> tuple[str, bool]:
        """Return the properties of an object, and whether they are all."""
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        needed = {key for key in required if isinstance(key, str)} if isinstance(required, list) else set()
        written: list[str] = []
        complete = True
        names = sorted(islice(properties, MAX_SIGNATURE_STEPS), key=lambda key: key not in needed)
        for number, name in enumerate(names):
            text = self._member(name, properties[name], depth, required=name in needed)
            room -= len(text) + 2
            if number >= MAX_SIGNATURE_PARAMETERS or room < 0:
                complete = False
                break
            written.append(text)
        if not complete:
            written.append(ELLIPSIS)
        return ", ".join(written), complete and needed <= properties.keys() and len(properties) == len(names)

    def _member(self, name: str, schema: Any, depth: int, *, required: bool) -> str:
        kind = self._type(schema, depth)
        shown = (
            name if _PLAIN_NAME.fullmatch(name) and len(name) <= _LONGEST_KEY else _value(name, _LONGEST_KEY)
        )
        text = f"{shown or '…'}{'*' if required else ''}: {kind.text}"
        default = schema.get("default") if isinstance(schema, dict) else None
        written = _value(default) if default is not None and not required else None
        return f"{text}{f' = {written}' if written else ''}{' ~' if kind.simplified or shown is None else ''}"

    def _resolved(self, schema: Any) -> Any:
        """Follow references within the schema. One that leads nowhere, or round and round, is ``None``."""
        while isinstance(schema, dict) and "$ref" in schema:
            self._steps -= 1
            path = schema["$ref"]
            found = (
                referred(self._root, path, _LONGEST_PATH)
                if self._steps >= 0 and isinstance(path, str)
                else None
            )
            if not isinstance(found, dict):
                return None
            beside = {key: value for key, value in islice(schema.items(), 20) if key != "$ref"}
            schema = {**found, **beside} if beside.keys() <= _ANNOTATIONS else {**found, "allOf": []}
        return schema

    def _type(self, schema: Any, depth: int) -> _Type:  # noqa: PLR0911 - one for each form of schema
        self._steps -= 1
        schema = self._resolved(schema)
        if schema is True or schema == {}:
            return _Type("any")
        if self._steps < 0 or not isinstance(schema, dict):
            return _ANY
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._choice(schema, key, depth)
        if "const" in schema:
            written = _value(schema["const"])
            return _Type(written, not self._is_within(schema, _OF_STRING)) if written else _ANY
        if "enum" in schema:
            return self._enum(schema)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._join(
                [self._type({**schema, "type": one}, depth) for one in kind[:_MOST_OPTIONS]],
                more=len(kind) > _MOST_OPTIONS,
            )
        return self._of_type(kind, schema, depth)

    def _of_type(self, kind: Any, schema: JsonObject, depth: int) -> _Type:  # noqa: PLR0911 - one for each type
        match kind:
            case "string":
                form = schema.get("format")
                known = isinstance(form, str) and _PLAIN_NAME.fullmatch(form) and len(form) <= _LONGEST_VALUE
                return _Type(f"str {form}" if known else "str", not self._is_within(schema, _OF_STRING))
            case "integer" | "number":
                limits, exact = _range(schema)
                text = _TYPES[kind] + (f" {limits}" if limits else "")
                return _Type(text, not exact or not self._is_within(schema, _OF_NUMBER))
            case "boolean" | "null":
                return _Type(_TYPES[kind], not self._is_within(schema, {"type"}))
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
            case None if self._is_within(schema, frozenset()):
                return _Type("any")
            case None if "properties" in schema:
                return self._object(schema, depth)._replace(simplified=True)
        return _ANY

    def _enum(self, schema: JsonObject) -> _Type:
        values = schema["enum"]
        exact = self._is_within(schema, _OF_STRING)
        if isinstance(values, list) and 0 < len(values) <= MAX_ENUM_SHOWN:
            written = [_value(value) for value in values]
            if all(written):
                return _Type("|".join(filter(None, written)), not exact)
        shown = _TYPES.get(str(schema.get("type")), "any")
        return _Type(shown, simplified=True)

    def _choice(self, schema: JsonObject, key: str, depth: int) -> _Type:
        options = schema[key]
        beside = {name: value for name, value in islice(schema.items(), 20) if name != key}
        if not isinstance(options, list) or not options or not self._is_within(beside, {"type"}):
            return _ANY
        return self._join(
            [self._type(option, depth) for option in options[:_MOST_OPTIONS]],
            more=len(options) > _MOST_OPTIONS,
        )

    @staticmethod
    def _join(kinds: Iterable[_Type], *, more: bool) -> _Type:
        found = list(kinds)
        texts = dict.fromkeys(kind.text for kind in found)
        if "any" in texts or not texts:
            return _ANY
        return _Type("|".join(texts), more or any(kind.simplified for kind in found))

    def _array(self, schema: JsonObject, depth: int) -> _Type:
        items = schema.get("items", True)
        each = self._type(items, depth) if depth <= _DEEPEST else _ANY
        least = schema.get("minItems", 0)
        exact = self._is_within(schema, {"type", "items", "minItems"}) and least in (0, 1)
        return _Type(f"[{each.text}]", each.simplified or not exact)

    def _object(self, schema: JsonObject, depth: int) -> _Type:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            exact = (
                self._is_within(schema, _OF_OBJECT)
                and not schema.get("required")
                and not self._is_open(schema)
            )
            return _Type("object", not exact)
        if depth >= _DEEPEST:
            return _Type("object", simplified=True)
        written, complete = self._members(schema, depth + 1, MAX_SIGNATURE // 4)
        exact = complete and self._is_within(schema, _OF_OBJECT) and not self._is_open(schema)
        return _Type("{" + written + "}", not exact)

    @staticmethod
    def _is_open(schema: Mapping[str, Any]) -> bool:
        """Return whether members beyond the properties have a schema of their own."""
        return isinstance(schema.get("additionalProperties"), dict) and bool(schema["additionalProperties"])

    @staticmethod
    def _is_within(schema: Mapping[str, Any], keys: Iterable[str]) -> bool:
        """Return whether nothing else of a schema restricts its values."""
        return len(schema) <= 30 and all(key in keys or key in _ANNOTATIONS for key in schema)  # noqa: PLR2004


def _range(schema: JsonObject) -> tuple[str, bool]:
    """Return the range of a number in the notation, and whether that is all its limits say."""
    limits: dict[str, Any] = {}
    exact = True
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        value = schema.get(key)
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            exact = False
        elif isinstance(value, (int, float)):
            if abs(value) >= 2**53 - 1:
                continue  # says that it is an integer
            limits[key] = json.dumps(value)
        elif key in schema:
            exact = False
    least, most = limits.pop("minimum", None), limits.pop("maximum", None)
    if least is not None and most is not None and not limits:
        return f"{least}..{most}", exact
    signs = {
        ">=": least,
        "<=": most,
        ">": limits.get("exclusiveMinimum"),
        "<": limits.get("exclusiveMaximum"),
    }
    return " ".join(f"{sign}{value}" for sign, value in signs.items() if value is not None), exact


def _value(value: Any, limit: int = _LONGEST_VALUE) -> str | None:
    """Return a value as JSON; ``None`` for one that is too long to be shown, or that hides something."""
    if isinstance(value, (dict, list)) and value:
        return None
    if isinstance(value, str) and len(value) > limit:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > 1e15:  # noqa: PLR2004
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        return None
    return text if printable(text, None) == text else None
