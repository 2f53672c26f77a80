"""Turn a text into the terms it is searched by: words, stop words, stems. Pure; linear in the text.

Not here: which words mean the same (``synonyms``), and how terms are weighed (``index``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dmcp.text import word_set

if TYPE_CHECKING:
    from collections.abc import Iterator

# Scripts without spaces between words (Chinese, Japanese, Thai ...) are searched by pairs of characters.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
# Each alternative begins at a place of its own and takes one run: linear whatever the text.
_PARTS: Final = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[^\W\dA-Z_]+|[A-Z]|\d+")
_LONGEST: Final = 32  # characters of a word that count

STOP_WORDS: Final = word_set("""
    a about above across actually after again all also am an and any anybody anyone anything are aren around as at
    be because been before being below between both but by can cannot could did do does doesn doing don done down
    during each either else etc every everything few for from further had has have having he her here hers him his
    how however i if in into is isn it its itself just kindly let like ll make many may maybe me might mine more
    most much must my myself need needs no nor not now of off ok on once one only onto or other others our ours out
    over own per please provide provided quite rather re really same shall she should so some somebody someone
    something somewhere such sure than thank thanks that the their theirs them then there these they thing things
    this those through thus to too under until up upon us use used user user's using ve very via want wants was
    we well were what whatever when where whether which while who whoever whom whose why will with within without
    would yes yet you your yours yourself hello hi hey help helps able able allow allows given give gives tell tells
    know knows looking wondering wonder interested possible various based including include includes
    assistant tool tools function server mcp
""")
"""Words that say nothing about what a tool is for."""

_AS_THEY_ARE: Final = word_set("""
    news series species analysis basis status canvas access address process business progress gas bus plus alias
    atlas bias chaos class compass corpus focus https aws ios css dns sms gps ops sas os is was this its us yes lens
    physics mathematics economics politics graphics statistics analytics genetics electronics mechanics
    during thing king ring sing bring spring string wing being ping something nothing anything everything
    need feed seed speed embed red bed shed bleed breed weed exceed proceed succeed hundred
""")
_STEMS: Final = {
    "analyses": "analysi", "analyze": "analysi", "analyzes": "analysi", "analyzing": "analysi", "analyzed": "analysi",
    "analyse": "analysi", "analysing": "analysi", "analysed": "analysi", "analysis": "analysi", "analyzer": "analysi",
    "indices": "index", "indexes": "index", "vertices": "vertex", "matrices": "matrix", "people": "person",
    "children": "child", "men": "man", "women": "woman", "media": "media", "data": "data", "criteria": "criterion",
    "wrote": "write", "written": "write", "sent": "send", "found": "find", "got": "get", "made": "make",
    "bought": "buy", "sold": "sell", "ran": "run", "running": "run", "built": "build", "drew": "draw", "drawn": "draw",
    "chosen": "choose", "chose": "choose", "taken": "take", "took": "take", "shown": "show", "seen": "see",
    "paid": "pay", "said": "say", "spoken": "speak", "spoke": "speak", "taught": "teach", "thought": "think",
    "kept": "keep", "held": "hold", "began": "begin", "begun": "begin", "broken": "break", "lives": "life",
}  # fmt: skip
_VOWELS: Final = frozenset("aeiouy")


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return the stem of a lower-case word: endings of inflection are taken off, and a few of derivation.

    Light on purpose: "news" is not "new", and words of other languages than English stay what they are.
    """
    known = _STEMS.get(word)
    if known is not None:
        return known
    if len(word) <= 3 or word in _AS_THEY_ARE or not word.isascii() or not word.isalpha():  # noqa: PLR2004
        return word
    return _without_e(_uninflected(word))


def _uninflected(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base is not word and base != word and len(base) >= 3 and not _VOWELS.isdisjoint(base):  # noqa: PLR2004
            return _undoubled(base)
    return word


def _undoubled(base: str) -> str:
    if base[-1] == base[-2] and base[-1] not in "lsz":
        return base[:-1]
    return base[:-1] + "y" if base.endswith("i") else base


def _without_e(word: str) -> str:
    for ending, instead in _DERIVED:
        if word.endswith(ending) and len(word) - len(ending) >= 4:  # noqa: PLR2004
            return word[: -len(ending)] + instead
    return word[:-1] if word.endswith("e") and len(word) > 4 else word  # noqa: PLR2004


_DERIVED: Final = (
    ("ization", "iz"),
    ("isation", "is"),
    ("ational", "at"),
    ("ation", "at"),
    ("ator", "at"),
    ("ations", "at"),
    ("ating", "at"),
    ("ement", ""),
    ("ment", ""),
    ("ness", ""),
    ("ction", "ct"),
    ("ption", "pt"),
    ("ition", "it"),
    ("ly", ""),
)


def words(text: str) -> Iterator[str]:
    """Yield the lower-case words of a text, those of a ``camelCase`` or ``snake_case`` name one by one."""
    for found in _WORD.findall(text):
        if found.isascii():
            if found.islower():
                yield found[:_LONGEST]
            else:
                for part in _PARTS.findall(found):
                    yield part[:_LONGEST].lower()
        elif _is_unspaced(found):
            yield from (found[n : n + 2] for n in range(max(1, len(found) - 1)))
        else:
            yield found[:_LONGEST].lower()


_is_unspaced = re.compile(f"[{_UNSPACED}]").match


def terms(text: str) -> list[str]:
    """Return the terms of a text, in order: stems of its words, without those that say nothing."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]
