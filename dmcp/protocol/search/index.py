"""The index of all groups' tools, and the ranking over it (BM25F). Pure; runs in any thread, one call at a time.

The tools of a group are made into a ``Segment`` once for each listing; an ``Index`` is put together out of segments.
What the words of a tool weigh does not depend on other tools, so a listing that changes costs its own words only.
The texts are strangers': each is cut before it is searched (``dmcp.protocol.limits``), and nothing is quadratic in one.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from heapq import nlargest
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.protocol.limits import (
    MAX_QUERY,
    MAX_QUERY_TERMS,
    MAX_SEARCHED_DESCRIPTION,
    MAX_SEARCHED_NAME,
    MAX_SEARCHED_PARAMETER,
    MAX_SEARCHED_PARAMETERS,
)
from dmcp.protocol.search.synonyms import synonyms
from dmcp.protocol.search.words import STOP_WORDS, stem, terms, words
from dmcp.text import sentence_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sized

    from dmcp.protocol.jsonrpc import JsonObject


class _Field(NamedTuple):
    """What a word of a field weighs: ``weight`` in a text of as many words as are ``usual``, less in a longer one.

    The usual length is fixed, not the average of what is there, so that one tool's weights hold whatever others say.
    """

    weight: float
    usual: int
    b: float


_NAME: Final = _Field(2.0, 3, 0.5)
_FIRST_SENTENCE: Final = _Field(1.0, 9, 0.3)
_REST: Final = _Field(0.6, 30, 0.7)
_PARAMETERS: Final = _Field(0.2, 4, 0.3)
_PARAMETER_TEXTS: Final = _Field(0.6, 20, 0.3)
_SERVER: Final = _Field(1.0, 3, 0.3)
_SERVER_TEXT: Final = _Field(0.25, 15, 0.7)

_K1: Final = 0.75
_STEP: Final = 1 / 24  # a weight is kept as a number of these in a byte
_SYNONYM: Final = 0.65
_SIMILAR: Final = 0.6  # a word that begins alike, or has one letter wrong
_GRAMS: Final = 0.3  # a word that is found in a name by its groups of three letters
_GRAMS_ENOUGH: Final = 0.75
_PROPER: Final = 0.6  # a capitalised word within a sentence: it is rather the value of an argument
_WHOLE_NAME: Final = 0.25  # the more of a tool's name is wanted, the better
_NEIGHBOURS: Final = 0.05  # two words of a query that stand side by side in a tool's name too
_RERANKED: Final = 60  # tools whose names are compared
_SHORTEST: Final = 4  # letters of a word that similar ones are looked for
_MOST_SIMILAR: Final = 8
_ENUM_VALUES: Final = 8
_CAPITALISED: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_SATURATED: Final = tuple(weight / (weight + _K1 / _STEP) for weight in range(256))


class Segment(NamedTuple):
    """The searchable texts of one group.

    Attributes:
        vocabulary: the terms of its tools.
        terms: for each tool the places of its terms in the vocabulary.
        weights: for each tool what these weigh, a byte each.
        names: for each tool the places of the terms of its name.
        grams: for each tool the groups of three letters in its name.
    """

    vocabulary: tuple[str, ...]
    terms: tuple[array[int], ...]
    weights: tuple[bytes, ...]
    names: tuple[array[int], ...]
    grams: tuple[frozenset[str], ...]


def segment(group: str, about: str, tools: Iterable[JsonObject]) -> Segment:
    """Return the searchable texts of a group: some 70 us a tool.

    Args:
        group: its name.
        about: its description.
        tools: as the server gave them; each has a name.
    """
    places: dict[str, int] = {}
    shared: dict[str, float] = defaultdict(float)
    _add(shared, terms(group[:MAX_SEARCHED_NAME]), _SERVER)
    _add(shared, terms(about[:MAX_SEARCHED_DESCRIPTION]), _SERVER_TEXT)
    rows = []
    for tool in tools:
        name = tool["name"][:MAX_SEARCHED_NAME]
        named = terms(name)
        weights = defaultdict(float, shared)
        _add(weights, named, _NAME)
        _add_texts(weights, tool)
        own = array("I", [places.setdefault(term, len(places)) for term in weights])
        grams = _grams("".join(words(name)))
        rows.append((own, _as_bytes(weights.values()), array("I", [places[term] for term in named]), grams))
    columns = tuple(zip(*rows, strict=True)) or ((), (), (), ())
    return Segment(tuple(places), *columns)


def _add_texts(weights: dict[str, float], tool: JsonObject) -> None:
    description = tool.get("description")
    if isinstance(description, str):
        text = description[:MAX_SEARCHED_DESCRIPTION].strip()
        cut = sentence_end(text)
        _add(weights, terms(text[:cut]), _FIRST_SENTENCE)
        _add(weights, terms(text[cut:]), _REST)
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(properties, dict) and properties:
        shown = list(islice(properties.items(), MAX_SEARCHED_PARAMETERS))
        _add(weights, [term for name, _ in shown for term in terms(name[:MAX_SEARCHED_NAME])], _PARAMETERS)
        about = [term for _, value in shown for text in _texts(value) for term in terms(text)]
        _add(weights, about, _PARAMETER_TEXTS)


def _texts(parameter: Any) -> Iterator[str]:
    """Yield what a parameter says of itself: its description, and the first values it may have."""
    if isinstance(parameter, dict):
        values = parameter.get("enum")
        for text in (
            parameter.get("description"),
            *(values[:_ENUM_VALUES] if isinstance(values, list) else ()),
        ):
            if isinstance(text, str):
                yield text[:MAX_SEARCHED_PARAMETER]


def _add(weights: dict[str, float], found: list[str], field: _Field) -> None:
    if found:
        each = field.weight / (1 - field.b + field.b * len(found) / field.usual)
        for term in found:
            weights[term] += each


def _as_bytes(weights: Iterable[float]) -> bytes:
    return bytes(min(255, max(1, round(weight / _STEP))) for weight in weights)


def _grams(name: str) -> frozenset[str]:
    return frozenset(name[n : n + 3] for n in range(len(name) - 2))


class Hit(NamedTuple):
    """A tool that was found. ``place`` is its place in the listing of its group."""

    group: str
    place: int
    score: float


class _Query(NamedTuple):
    """The words of a query, each once and in order: their terms, and how much each counts."""

    words: list[str]
    terms: list[str]
    factors: list[float]


class Index:
    """All groups' tools, to be searched.

    Args:
        segments: by group.
    """

    def __init__(self, segments: Mapping[str, Segment]) -> None:
        self._tools: list[tuple[str, int]] = []
        self._names: list[list[str]] = []
        self._postings: dict[str, tuple[list[int], bytearray]] = {}
        self._grams: dict[str, list[int]] = {}
        self._alike: dict[tuple[str, int], list[str]] = defaultdict(list)  # terms by first letter and length
        for group, one in segments.items():
            self._take(group, one)
        for term in self._postings:
            if term.isascii():
                self._alike[term[0], len(term)].append(term)

    def __repr__(self) -> str:
        return f"<Index of {len(self._tools)} tools, {len(self._postings)} terms>"

    def _take(self, group: str, one: Segment) -> None:
        postings = [self._postings.setdefault(term, ([], bytearray())) for term in one.vocabulary]
        for place, row in enumerate(zip(one.terms, one.weights, one.names, one.grams, strict=True)):
            own, weights, named, grams = row
            tool = len(self._tools)
            self._tools.append((group, place))
            self._names.append([one.vocabulary[number] for number in named])
            for number, weight in zip(own, weights, strict=True):
                tools, all_weights = postings[number]
                tools.append(tool)
                all_weights.append(weight)
            for gram in grams:
                self._grams.setdefault(gram, []).append(tool)

    def search(self, text: str, most: int, group: str | None = None) -> list[Hit]:
        """Return the tools that fit best, the best first; none that has nothing in common with the query.

        Args:
            text: what is wanted, in words.
            most: tools to return.
            group: search this one only.
        """
        query = _read(text)
        scores: dict[int, float] = defaultdict(float)
        for term, factor in dict(zip(query.terms, query.factors, strict=True)).items():
            for tool, score in self._scores_of_term(term).items():
                scores[tool] += factor * score
        for word, factor in zip(query.words, query.factors, strict=True):
            for tool, score in self._scores_of_grams(word):
                scores[tool] += factor * score
        if group is not None:
            scores = {tool: score for tool, score in scores.items() if self._tools[tool][0] == group}
        best = nlargest(max(most, _RERANKED), scores.items(), key=lambda pair: (pair[1], -pair[0]))
        return [Hit(*self._tools[tool], score) for tool, score in self._reranked(query, best)[:most]]

    def _idf(self, tools: Sized) -> float:
        return math.log(1 + (len(self._tools) - len(tools) + 0.5) / (len(tools) + 0.5))

    def _scores_of_term(self, term: str) -> dict[int, float]:
        """Return what a term and its like give to the tools: to each what the best of them gives."""
        best: dict[int, float] = {}
        alternatives = [(term, 1.0), *((other, _SYNONYM) for other in synonyms(term))]
        if term not in self._postings:
            alternatives += ((other, _SIMILAR) for other in islice(self._similar(term), _MOST_SIMILAR))
        for other, factor in alternatives:
            if other in self._postings:
                tools, weights = self._postings[other]
                most = factor * self._idf(tools)
                for tool, weight in zip(tools, weights, strict=True):
                    score = most * _SATURATED[weight]
                    if score > best.get(tool, 0.0):
                        best[tool] = score
        return best

    def _similar(self, term: str) -> Iterator[str]:
        """Yield known terms one of which begins with the other, then those with one letter wrong."""
        size = len(term)
        if size < _SHORTEST or not term.isascii():
            return
        for length in range(size + 1, size + 8):
            yield from (known for known in self._of_length(term, length) if known.startswith(term))
        for length in range(size - 1, max(_SHORTEST, size - 4) - 1, -1):
            yield from (known for known in self._of_length(term, length) if term.startswith(known))
        for length in range(size - 1, size + 2):
            yield from (known for known in self._of_length(term, length) if _is_typo(term, known))

    def _of_length(self, term: str, length: int) -> Iterable[str]:
        return self._alike.get((term[0], length), ())

    def _scores_of_grams(self, word: str) -> Iterator[tuple[int, float]]:
        """Yield what a word gives to tools in whose names it is, written together with others or a little wrong."""
        own = _grams(word) if len(word) >= _SHORTEST and word.isascii() else frozenset()
        counts: dict[int, int] = defaultdict(int)
        for gram in own:
            for tool in self._grams.get(gram, ()):
                counts[tool] += 1
        found = [(tool, number) for tool, number in counts.items() if number >= _GRAMS_ENOUGH * len(own)]
        weight = _GRAMS * self._idf(found)
        for tool, number in found:
            yield tool, weight * number / len(own)

    def _reranked(self, query: _Query, best: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Return the tools in the order that counts how much of their names is wanted."""
        wanted = dict.fromkeys((other for term in query.terms for other in synonyms(term)), _SYNONYM)
        wanted.update(dict.fromkeys(query.terms, 1.0))
        neighbours = set(pairwise(query.terms))

        def score(pair: tuple[int, float]) -> float:
            name = self._names[pair[0]]
            weights = [(term, self._idf(self._postings[term][0])) for term in name]
            whole = sum(weight for _, weight in weights)
            part = sum(weight * wanted.get(term, 0.0) for term, weight in weights) / whole if whole else 0.0
            beside = sum((a, b) in neighbours or (b, a) in neighbours for a, b in pairwise(name))
            return pair[1] * (1 + _WHOLE_NAME * part + _NEIGHBOURS * beside)

        return sorted(((pair[0], score(pair)) for pair in best), key=lambda pair: (-pair[1], pair[0]))


def _read(text: str) -> _Query:
    """Return what counts of a query. One of nothing but words that say nothing is taken as it is."""
    text = text[:MAX_QUERY]
    found = list(dict.fromkeys(words(text)))
    telling = [word for word in found if word not in STOP_WORDS and not _is_a_number(word)] or found
    proper = {word.lower() for word in _CAPITALISED.findall(text)}
    chosen = telling[:MAX_QUERY_TERMS]
    return _Query(chosen, list(map(stem, chosen)), [_PROPER if word in proper else 1.0 for word in chosen])


def _is_a_number(word: str) -> bool:
    """Return whether a word is a small number or a single letter: values of arguments, not names of anything."""
    return word.isascii() and (len(word) == 1 or (word.isdigit() and len(word) <= 3))  # noqa: PLR2004


def _is_typo(one: str, two: str) -> bool:
    """Return whether one letter more, less or another, or two swapped, make one word the other. Linear."""
    if abs(len(one) - len(two)) > 1:
        return False
    start = next(
        (n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
    )
    one, two = one[start:], two[start:]
    if len(one) == len(two):
        return one[1:] == two[1:] or (one[:2] == two[1::-1] and one[2:] == two[2:])
    return one[1:] == two if len(one) > len(two) else two[1:] == one
