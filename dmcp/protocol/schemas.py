"""What a tool's schema says of arguments, as far as dmcp has to know: which values it takes, and which ones do not fit.

A part of JSON Schema, decided without running anything of a server's: types, ``required``, ``properties``,
``additionalProperties``, ``items``, ``enum``, ``const``, bounds, ``anyOf``/``oneOf``/``allOf`` and references within
the schema. Patterns and formats are not applied, other documents never fetched, and what is not understood allows
everything. Work is bounded, nothing raises. Why no library does it is in docs/architecture.md.
"""

from __future__ import annotations

import re
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from dmcp.protocol.limits import MAX_CHECK_STEPS
from dmcp.protocol.tools import is_suspect
from dmcp.protocol.wire import decode, encode, is_raw, members, use_fast_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dmcp.protocol.jsonrpc import JsonObject

_ALL: Final = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
_DEEPEST: Final = 32  # levels of a schema and of arguments
_MOST_VALUES: Final = 1000  # of an enumeration
_MOST_SHOWN: Final = 8  # misfits
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?")


class Misfit(NamedTuple):
    """What does not fit.

    Attributes:
        path: where, the names of members and numbers of list entries from the outside in.
        problem: "missing", "unknown" (a name the schema does not have), or a sentence about the value.
        known: the names the schema has there.
    """

    path: tuple[str | int, ...]
    problem: str
    known: tuple[str, ...] = ()


# What a schema takes --------------------------------------------------------------------------------------------------


def referred(root: Any, reference: str, most: int) -> Any:
    """Return the part of a schema that a reference within it names (RFC 6901); ``None`` where there is none.

    Args:
        root: the whole schema.
        reference: one that begins with "#"; other documents are never looked at.
        most: levels it may lead down.
    """
    if not reference.startswith("#"):
        return None
    found = root
    for key in reference[1:].split("/", most)[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found


class _Reader:
    """Reads one schema; ``left`` counts down the steps it may take, after which everything is allowed.

    References may lead round in circles, and forms within forms multiply.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self.left = MAX_CHECK_STEPS

    def resolved(self, schema: Any) -> Any:
        """Return what a reference within the schema leads to; what leads elsewhere, or nowhere, takes everything."""
        for _ in range(_DEEPEST):
            self.left -= 1
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(reference, str):
                return schema
            schema = referred(self._root, reference, _DEEPEST)
        return {}

    def types(self, schema: Any, depth: int = 0) -> frozenset[str]:
        """Return the types of the values a schema takes; all where it does not say."""
        schema = self.resolved(schema)
        if not isinstance(schema, dict) or depth > _DEEPEST or self.left < 0:
            return _ALL
        found = _said(schema.get("type"))
        for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
            if isinstance(values, list) and values:
                found &= _spread(frozenset(map(type_of, values[:_MOST_VALUES])))
        for key in ("anyOf", "oneOf"):
            if _is_forms(schema.get(key)):
                found &= frozenset[str]().union(*(self.types(form, depth + 1) for form in schema[key]))
        for form in schema["allOf"] if _is_forms(schema.get("allOf")) else ():
            found &= self.types(form, depth + 1)
        return found

    def only_form(self, schema: Any, kind: str, depth: int = 0) -> JsonObject:
        """Return the one form of a schema that takes values of this type; an empty one where there are several."""
        schema = self.resolved(schema)
        if not isinstance(schema, dict) or depth > _DEEPEST or self.left < 0:
            return {}
        for key in ("anyOf", "oneOf"):
            if _is_forms(schema.get(key)):
                forms = [form for form in schema[key] if kind in self.types(form)]
                return self.only_form(forms[0], kind, depth + 1) if len(forms) == 1 else {}
        return schema

    def property(self, schema: Any, name: str) -> Any:
        """Return the schema of one member; ``None`` where nothing is said of it."""
        form = self.only_form(schema, "object")
        known = form.get("properties")
        if isinstance(known, dict) and name in known:
            return known[name]
        others = form.get("additionalProperties")
        return others if isinstance(others, dict) else None


def _said(types: Any) -> frozenset[str]:
    """Return what the key ``type`` says; all types where it says nothing that is known."""
    words = types if isinstance(types, list) else [types]
    return _spread(frozenset(word for word in words if isinstance(word, str)) & _ALL) or _ALL


def _spread(types: frozenset[str]) -> frozenset[str]:
    """Return types with what they include: a whole number is a number."""
    return types | {"integer"} if "number" in types else types


def _is_forms(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _DEEPEST


def type_of(value: Any) -> str:
    """Return the type of a value in JSON Schema's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    kinds = ((float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "")


# Texts that stand for something else --------------------------------------------------------------------------------


def repaired(arguments: Any, schema: Any) -> Any:
    """Return the arguments with texts replaced that can only stand for a value of another type; else themselves.

    Args:
        arguments: an object, decoded or as the bytes it was.
        schema: the tool's.
    """
    try:
        found = _Repair(schema).value(arguments, schema, 0)
        return arguments if found is arguments else use_fast_json().raw(encode(found))
    except (ValueError, RecursionError):  # too many values, or nested too deeply to be read
        return arguments


class _Repair(_Reader):
    """Replaces texts."""

    def value(self, value: Any, schema: Any, depth: int) -> Any:
        self.left -= 1
        if depth > _DEEPEST or self.left < 0:
            return value
        first = bytes(memoryview(value)[:1]) if is_raw(value) else b""
        if first == b"{" or isinstance(value, dict):
            return self._object(value, schema, depth)
        if first == b"[" or isinstance(value, list):
            return self._list(value, schema, depth)
        text = decode(bytes(value)) if first == b'"' else value
        if not isinstance(text, str):
            return value
        meant = self._meant(text, schema)
        return value if meant is None else meant

    def _object(self, value: Any, schema: Any, depth: int) -> Any:
        given = members(value)
        changed = {}
        for name, member in given.items() if isinstance(given, dict) else ():
            if (part := self.property(schema, name)) is not None:
                new = self.value(member, part, depth + 1)
                if new is not member:
                    changed[name] = new
        return {**given, **changed} if changed else value

    def _list(self, value: Any, schema: Any, depth: int) -> Any:
        shape = self.only_form(schema, "array").get("items")
        if not isinstance(shape, dict) or not is_suspect(value):
            return value
        given = _entries(value)
        new = [self.value(entry, shape, depth + 1) for entry in given]
        return value if all(a is b for a, b in zip(new, given, strict=True)) else new

    def _meant(self, text: str, schema: Any) -> Any:
        """Return the value a text stands for, ``None`` if the schema takes texts, or it stands for none it takes."""
        types = self.types(schema)
        if "string" in types:
            return None
        folded = text.strip()
        if folded[:1] in ("{", "["):
            kind = "object" if folded[0] == "{" else "array"
            found = _decoded(folded) if kind in types else None
            return found if type_of(found) == kind else None
        if folded.lower() in ("true", "false"):
            return folded.lower() == "true" if "boolean" in types else None
        if _NUMBER.fullmatch(folded):
            if "number" in types:
                return use_fast_json().raw(folded.encode())  # as it is spelt
            found = _decoded(folded)
            if "integer" in types and isinstance(found, int | float) and type_of(found) == "integer":
                return int(found)
        return None


def _entries(value: Any) -> list[Any]:
    if not is_raw(value):
        return list(value)
    return msgspec.json.decode(value, type=list[msgspec.Raw])


def _decoded(text: str) -> Any:
    try:
        return decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None


# What does not fit ----------------------------------------------------------------------------------------------------


def misfits(arguments: JsonObject, schema: Any) -> list[Misfit]:
    """Return what of the arguments does not fit the schema, the first of it; nothing where there is too much to see."""
    check = _Check(schema)
    try:
        found = list(_few(check.value(arguments, schema, (), 0)))
    except RecursionError:
        return []
    return found if check.left > 0 else []


def _few(found: Iterator[Misfit]) -> Iterator[Misfit]:
    for _, misfit in zip(range(_MOST_SHOWN), found, strict=False):
        yield misfit


class _Check(_Reader):
    """Finds what does not fit."""

    def value(self, value: Any, schema: Any, path: tuple[str | int, ...], depth: int) -> Iterator[Misfit]:
        self.left -= 1
        schema = self.resolved(schema)
        if schema is False:
            yield Misfit(path, "is not allowed")
        if not isinstance(schema, dict) or depth > _DEEPEST or self.left < 0:
            return
        kind = type_of(value)
        if (wrong := self._wrong(value, kind, schema)) is not None:
            yield Misfit(path, wrong)
            return
        for key in ("anyOf", "oneOf"):
            if _is_forms(schema.get(key)):
                yield from self._best(value, schema[key], path, depth)
        for form in schema["allOf"] if _is_forms(schema.get("allOf")) else ():
            yield from self.value(value, form, path, depth + 1)
        if kind == "object":
            yield from self._members(value, schema, path, depth)
        elif kind == "array" and isinstance(schema.get("items"), dict):
            for number, entry in enumerate(value):
                yield from self.value(entry, schema["items"], (*path, number), depth + 1)

    def _wrong(self, value: Any, kind: str, schema: JsonObject) -> str | None:
        types = _said(schema.get("type"))
        if kind not in types:
            return f"must be {_spelt(types)}, not {_article(kind)}"
        values = schema.get("enum")
        if (
            isinstance(values, list)
            and values
            and not any(_equal(value, one) for one in values[:_MOST_VALUES])
        ):
            return f"must be one of {', '.join(_short(one) for one in values[:_MOST_SHOWN])}" + (
                f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
            )
        if "const" in schema and not _equal(value, schema["const"]):
            return f"must be {_short(schema['const'])}"
        return _out_of_bounds(value, kind, schema)

    def _best(
        self, value: Any, forms: Sequence[Any], path: tuple[str | int, ...], depth: int
    ) -> Iterator[Misfit]:
        """Give what does not fit in the form that fits best; nothing where one fits."""
        best: list[Misfit] | None = None
        for form in forms:
            found = list(_few(self.value(value, form, path, depth + 1)))
            if not found:
                return
            if best is None or (found[0].path != path, -len(found)) > (best[0].path != path, -len(best)):
                best = found
        if best is not None and all(misfit.path == path for misfit in best) and len(forms) > 1:
            kinds = frozenset[str]().union(*(self.types(form) for form in forms))
            kind = type_of(value)
            if kind not in kinds:
                best = [Misfit(path, f"must be {_spelt(kinds)}, not {_article(kind)}")]
        yield from best or ()

    def _members(
        self, value: JsonObject, schema: JsonObject, path: tuple[str | int, ...], depth: int
    ) -> Iterator[Misfit]:
        known = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
        names = tuple(known or ())
        required = schema.get("required")
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str) and name not in value:
                yield Misfit((*path, name), "missing", names)
        others = schema.get("additionalProperties")
        for name, member in value.items():
            if known and name in known:
                yield from self.value(member, known[name], (*path, name), depth + 1)
            elif others is False and not schema.get("patternProperties"):
                yield Misfit((*path, name), "unknown", names)
            elif isinstance(others, dict):
                yield from self.value(member, others, (*path, name), depth + 1)


_BOUNDS: Final[tuple[tuple[str, str, Callable[[Any, Any], bool]], ...]] = (
    ("minimum", "at least", ge),
    ("maximum", "at most", le),
    ("exclusiveMinimum", "more than", gt),
    ("exclusiveMaximum", "less than", lt),
)
_SIZES: Final = {
    "string": ("minLength", "maxLength", "characters"),
    "array": ("minItems", "maxItems", "entries"),
    "object": ("minProperties", "maxProperties", "members"),
}


def _out_of_bounds(value: Any, kind: str, schema: Mapping[str, Any]) -> str | None:
    if kind in ("integer", "number"):
        for key, words, holds in _BOUNDS:
            bound = schema.get(key)
            if isinstance(bound, int | float) and not isinstance(bound, bool) and not holds(value, bound):
                return f"must be {words} {_short(bound)}"
    elif kind in _SIZES:
        least, most, what = _SIZES[kind]
        for key, words, holds in ((least, "at least", ge), (most, "at most", le)):
            bound = schema.get(key)
            if isinstance(bound, int) and not isinstance(bound, bool) and not holds(len(value), bound):
                return f"must have {words} {bound} {what}"
    return None


def _equal(one: Any, two: Any) -> bool:
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)


def _article(kind: str) -> str:
    return {"null": "null", "array": "a list", "integer": "a number"}.get(
        kind, f"{'an' if kind[:1] in 'aio' else 'a'} {kind}"
    )


def _spelt(types: frozenset[str]) -> str:
    shown = sorted(types - ({"integer"} if "number" in types else frozenset()))
    return " or ".join("a whole number" if kind == "integer" else _article(kind) for kind in shown)


def _short(value: Any) -> str:
    text = encode(value).decode("utf-8", "replace")
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004 - what fits into a sentence
