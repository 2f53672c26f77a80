"""Tell whether a URI could come from a URI template (RFC 6570): enough to find whose resource it is.

The templates and the URI were written by strangers, and every server's templates are looked at for one URI. So there is
no regular expression here and nothing is tried twice: all places of the URI that a part of the template can end at are
one integer, bit by bit, and each part moves all of them at once. The work is proportional to the product of both
lengths over 64, and both are limited (``MAX_MATCHED_URI``, ``MAX_TEMPLATE``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from dmcp.protocol.limits import MAX_MATCHED_URI, MAX_TEMPLATE

_OPERATORS: Final = "+#./;?&"


class _Expression(NamedTuple):
    """What the values of one expression may look like.

    Attributes:
        lead: the character they begin with; empty: none, and then they are not optional either.
        stop: the characters they have none of.
    """

    lead: str
    stop: str


_EXPRESSIONS: Final = {
    "": _Expression("", "/?#"),
    "+": _Expression("", ""),
    "#": _Expression("#", ""),
    ".": _Expression(".", "/?#"),
    "/": _Expression("/", "?#"),
    ";": _Expression(";", "/?#"),
    "?": _Expression("?", "#"),
    "&": _Expression("&", "#"),
}


class Template(NamedTuple):
    """A template taken apart.

    Attributes:
        parts: literal text and expressions, in order; expressions of a kind in a row are as good as one.
        literal: how many characters of literal text there are.
    """

    parts: tuple[str | _Expression, ...]
    literal: int


class Subject:
    """One URI that templates are tried on."""

    __slots__ = ("_all", "_at", "uri")

    def __init__(self, uri: str) -> None:
        self.uri = uri[: MAX_MATCHED_URI + 1]
        self._all = 0
        self._at: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Subject of {len(self.uri)} characters>"

    def specificity(self, template: str) -> int | None:
        """Return how many literal characters of the template the URI has, ``None`` when it does not match.

        Where several templates match, the one with the most literal characters is meant. A URI or a template
        beyond its limit matches nothing.
        """
        if len(self.uri) > MAX_MATCHED_URI or len(template) > MAX_TEMPLATE:
            return None
        parts, literal = _parse(template)
        first, last = (parts[0], parts[-1]) if parts else ("", "")
        if isinstance(first, str) and not self.uri.startswith(first):
            return None
        if isinstance(last, str) and not self.uri.endswith(last):
            return None
        ends = 1  # bit n: the parts so far can end before character n
        for part in parts:
            ends = self._literal(ends, part) if isinstance(part, str) else self._expression(ends, part)
            if not ends:
                return None
        return literal if ends >> len(self.uri) & 1 else None

    def _literal(self, ends: int, text: str) -> int:
        for character in text:
            ends = (ends & self._places(character)) << 1
            if not ends:
                return 0
        return ends

    def _expression(self, ends: int, expression: _Expression) -> int:
        begins = (ends & self._places(expression.lead)) << 1 if expression.lead else ends
        allowed = self._all_places()
        for character in expression.stop:
            allowed &= ~self._places(character)
        inside = begins & allowed
        # Adding carries each beginning to the end of its run of allowed characters (as in Myers' algorithm).
        reached = ((inside + allowed) ^ allowed | inside) & allowed
        if expression.lead:
            return ends | begins | reached << 1  # optional, and perhaps nothing but its first character
        return reached << 1

    def _places(self, character: str) -> int:
        self._all_places()
        return self._at.get(character, 0)

    def _all_places(self) -> int:
        if not self._all and self.uri:
            self._all = (1 << len(self.uri)) - 1
            for place, character in enumerate(self.uri):
                self._at[character] = self._at.get(character, 0) | 1 << place
        return self._all


@lru_cache(maxsize=4096)
def _parse(template: str) -> Template:
    """Take a template apart. Braces that belong to no expression are literal text. One pass."""
    parts: list[str | _Expression] = []
    literal, at = 0, 0
    while (start := template.find("{", at)) >= 0:
        end = template.find("}", start)
        if end < 0:
            break
        start = template.rfind("{", start, end)  # "{{a}": the first one is text
        if start > at:
            parts.append(template[at:start])
            literal += start - at
        operator = template[start + 1 : start + 2]
        expression = _EXPRESSIONS[operator if operator in _OPERATORS else ""]
        if not parts or parts[-1] != expression:
            parts.append(expression)
        at = end + 1
    if at < len(template):
        parts.append(template[at:])
        literal += len(template) - at
    return Template(tuple(parts), literal)


def specificity(template: str, uri: str) -> int | None:
    """Return how many literal characters of the template the URI has; see ``Subject.specificity``."""
    return Subject(uri).specificity(template)
