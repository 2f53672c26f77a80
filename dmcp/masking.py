"""Hide secrets in what people read: known values, and what stands in URLs. Pure but for the set of known values.

Every scan here is linear in the text, whatever the text and however many values are known: no regular expression with
nested or overlapping repetition, no search once per occurrence of something. Texts that are only shown are cut first.
Not here: which values of a configuration are secrets (``dmcp.config.redaction``).
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, quote_plus

from dmcp.protocol.limits import MAX_KNOWN_SECRETS, MAX_MASKED_TEXT
from dmcp.text import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK: Final = "***"
SHORTEST_SECRET: Final = 4
"""Characters. Shorter values are not hidden: they would take harmless words out of every text."""

_WORDLIKE: Final = (
    8  # shorter secrets are hidden where they stand alone, not inside of a longer word or number
)
_HEAD: Final = SHORTEST_SECRET
_MAX_LENGTHS: Final = 24  # that are tried at one place of a text
_GREEDY: Final = 8  # characters by which the others are known
_FEW: Final = 500_000  # secrets x characters up to which one plain search for each secret is faster
_URL_END: Final = re.compile(r"[\s\"'`<>\\]")
_TAIL: Final = re.compile(r"[?#]")
_PUNCTUATION: Final = ".,;:!)]}|"
_SCHEME: Final = re.compile(r"\b(Bearer|Basic) ([A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
_ESCAPES: Final = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+|(?:\\x[0-9A-Fa-f]{2})+|(?:\\(?:u[0-9A-Fa-f]{4}|[\"\\/bfnrt]))+"
)
_LONGEST_ESCAPE: Final = 6  # characters of an escape for one character
_CUTS: Final = (ELLIPSIS, " [...]")
_MAX_CUTS: Final = 4  # places where a text was cut that are looked at
_SHORTEST_REST: Final = 6  # characters of a secret's beginning before such a place
_LONGEST_REST: Final = 4096
_CERTAIN: Final = 24  # characters from which what follows "Bearer" is a token even without a digit


class _Head(NamedTuple):
    """The secrets that begin with the same few characters.

    Attributes:
        lengths: of the values, the longest first.
        values: the secrets.
        greedy: beginnings of further ones, of too many lengths to try each: what begins so is hidden to its end.
    """

    lengths: tuple[int, ...]
    values: frozenset[str]
    greedy: frozenset[str]


class _Known:
    """The values to hide. Those of the configuration stay; of those learned since, the newest stay."""

    def __init__(self) -> None:
        self._configured: dict[str, None] = {}
        self._learned: dict[str, None] = {}
        self._table: tuple[tuple[str, ...], dict[str, _Head], int] | None = None

    def __repr__(self) -> str:
        return f"<_Known {len(self._configured)} configured, {len(self._learned)} learned>"

    def add(self, values: Iterable[str], *, configured: bool) -> None:
        target = self._configured if configured else self._learned
        for value in values:
            for spelling in _spellings(value) | (_encoded(value) if configured else set()):
                if spelling not in self._configured and spelling not in self._learned:
                    target[spelling] = None
                    self._table = None
        while len(self._learned) > MAX_KNOWN_SECRETS:
            del self._learned[next(iter(self._learned))]
            self._table = None

    def table(self) -> tuple[tuple[str, ...], dict[str, _Head], int]:
        """Return all values, the same by their beginnings, and the length of the longest."""
        if self._table is None:
            values = (*tuple(self._configured), *tuple(self._learned))
            self._table = (values, _heads(values), max(map(len, values), default=0))
        return self._table


_known = _Known()


def hide(secrets: Iterable[str], *, configured: bool = False) -> None:
    """Mask these values from now on, in their usual spellings too (in a URL, in JSON). Callable from any thread.

    Args:
        secrets: the values; those under four characters are left out.
        configured: they are the user's and are never forgotten. Of others the newest are kept.
    """
    _known.add(secrets, configured=configured)


def mask(text: str, limit: int | None = MAX_MASKED_TEXT) -> str:
    """Return the text without known secrets, tokens after "Bearer", and the credentials and queries of URLs in it.

    Linear in what is kept. Runs anywhere.

    Args:
        text: what is about to be shown.
        limit: characters kept; a longer text is cut before it is searched, and ends with an ellipsis.
    """
    cut = limit is not None and len(text) > limit
    text = _without_secrets(text, limit if cut else None)
    text = _SCHEME.sub(_without_token, text)
    return _without_credentials(text, cut=cut) + (ELLIPSIS if cut else "")


def _without_secrets(text: str, limit: int | None) -> str:
    values, heads, longest = _known.table()
    if not values:
        return text if limit is None else text[:limit]
    # What begins before the limit may go on behind it, an escape for each of its characters.
    window = text if limit is None else text[: limit + longest * _LONGEST_ESCAPE]
    end = len(window) if limit is None else limit
    spans = sorted((*_spans(window, values, heads), *_find_cut(window, heads)))
    parts: list[str] = []
    done = 0
    for start, stop in spans:
        if start >= end:
            break
        if start >= done:
            parts += (window[done:start], MASK)
        done = max(done, stop)
    parts.append(window[done:end])
    return "".join(parts)


def _spans(
    text: str, values: tuple[str, ...], heads: dict[str, _Head], rounds: int = 2
) -> list[tuple[int, int]]:
    """Find all secrets, those written with escapes too, and with escapes of escapes."""
    few = len(values) * len(text) <= _FEW
    spans = list(_find_each(text, values) if few else _find_all(text, heads))
    if rounds and (plain := _Unescaped.of(text)) is not None:
        spans += (plain.source(*span) for span in _spans(plain.text, values, heads, rounds - 1))
    return spans


class _Unescaped(NamedTuple):
    r"""A text with its escapes undone: those of URLs, of JSON and of programs (``\x41``).

    Attributes:
        text: without them.
        ends: where in it each run of escapes ends.
        runs: where each of them is: its beginning in this text, its beginning and end in the text before.
    """

    text: str
    ends: list[int]
    runs: list[tuple[int, int, int]]

    @classmethod
    def of(cls, text: str) -> _Unescaped | None:
        """Undo the escapes; ``None``: there are none."""
        if "%" not in text and "\\" not in text:
            return None
        parts: list[str] = []
        ends: list[int] = []
        runs: list[tuple[int, int, int]] = []
        done = at = 0
        for match in _ESCAPES.finditer(text):
            start, end = match.span()
            written = _unescape(match.group())
            at += start - done
            runs.append((at, start, end))
            parts += (text[done:start], written)
            at += len(written)
            ends.append(at)
            done = end
        return cls("".join((*parts, text[done:])), ends, runs) if runs else None

    def source(self, start: int, stop: int) -> tuple[int, int]:
        """Return where something in this text stands in the text before; runs of escapes count as a whole."""
        return self.position(start, at_end=False), self.position(stop, at_end=True)

    def position(self, at: int, *, at_end: bool) -> int:
        """Return where a place of this text is in the text before."""
        number = bisect_left(self.ends, at) if at_end else bisect_right(self.ends, at)
        if number < len(self.runs):
            begin, start, end = self.runs[number]
            if at > begin or (at == begin and not at_end):
                return end if at_end else start
        if not number:
            return at
        return at - self.ends[number - 1] + self.runs[number - 1][2]


def _unescape(run: str) -> str:
    kind = run[:2]
    if kind[0] == "%" or kind == "\\x":
        return bytes.fromhex(run.replace("%", "").replace("\\x", "")).decode("utf-8", "replace")
    written: str = json.loads(f'"{run}"')
    return written


def _find_each(text: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    for value in values:
        start = text.find(value)
        while start >= 0:
            stop = start + len(value)
            if len(value) >= _WORDLIKE or _stands_alone(text, start, stop):
                yield start, stop
            start = text.find(value, stop)


def _find_all(text: str, heads: dict[str, _Head]) -> Iterator[tuple[int, int]]:
    at, last = 0, len(text) - _HEAD
    while at <= last:
        head = heads.get(text[at : at + _HEAD])
        length = 0 if head is None else _longest_at(text, at, head)
        if length:
            yield at, at + length
        at += length or 1


def _find_cut(text: str, heads: dict[str, _Head]) -> Iterator[tuple[int, int]]:
    """Find where a secret begins that goes on behind the place where a text was cut before it came here."""
    for sign in _CUTS:
        stop = text.rfind(sign)
        for _ in range(_MAX_CUTS):
            if stop < 0:
                break
            for at in range(max(0, stop - _LONGEST_REST), stop - _SHORTEST_REST + 1):
                head = heads.get(text[at : at + _HEAD])
                if head is not None and any(value.startswith(text[at:stop]) for value in head.values):
                    yield at, stop
                    break
            stop = text.rfind(sign, 0, stop)


def _longest_at(text: str, at: int, head: _Head) -> int:
    """Return the length of the longest secret that stands here; 0 if none does."""
    if head.greedy and text[at : at + _GREEDY] in head.greedy:
        end = _URL_END.search(text, at)
        return (len(text) if end is None else end.start()) - at
    for length in head.lengths:
        if text[at : at + length] in head.values and (
            length >= _WORDLIKE or _stands_alone(text, at, at + length)
        ):
            return length
    return 0


def _stands_alone(text: str, start: int, stop: int) -> bool:
    return not (start and text[start - 1].isalnum()) and not (stop < len(text) and text[stop].isalnum())


def _heads(values: Iterable[str]) -> dict[str, _Head]:
    found: dict[str, set[str]] = {}
    for value in values:
        found.setdefault(value[:_HEAD], set()).add(value)
    return {head: _head(members) for head, members in found.items()}


def _head(values: set[str]) -> _Head:
    lengths = sorted({len(value) for value in values})
    tried = set(lengths[:_MAX_LENGTHS])
    greedy = frozenset(value[:_GREEDY] for value in values if len(value) not in tried)
    return _Head(tuple(sorted(tried, reverse=True)), frozenset(v for v in values if len(v) in tried), greedy)


def _spellings(value: str) -> set[str]:
    """Return a secret as it is, and as URLs and JSON spell it."""
    if len(value.strip()) < SHORTEST_SECRET:
        return set()
    if value.isalnum() and value.isascii():
        return {value}
    safe = value.encode("utf-8", "surrogatepass")
    return {
        value,
        value.strip(),
        quote(safe, safe=""),
        quote(safe),
        quote_plus(safe),
        json.dumps(value)[1:-1],
    }


def _encoded(value: str) -> set[str]:
    """Return a secret in other case, in hex, and in Base64 wherever it stands ("Basic" credentials: behind a name)."""
    plain = value.encode("utf-8", "surrogatepass")
    if len(plain) < _WORDLIKE:
        return set()
    found = {value.upper(), value.lower(), plain.hex(), plain.hex().upper()}
    for shift in range(3):
        # The characters at the ends say something of the neighbours too.
        first, last = (shift * 8 + 5) // 6, (shift + len(plain)) * 8 // 6
        for altchars in (b"+/", b"-_"):
            found.add(base64.b64encode(bytes(shift) + plain, altchars).decode()[first:last])
    return found


def _without_token(match: re.Match[str]) -> str:
    token = match.group(2)
    certain = len(token) >= _CERTAIN or any(sign.isdigit() for sign in token)
    return f"{match.group(1)} {MASK}" if certain else match.group()


def _without_credentials(text: str, *, cut: bool) -> str:
    at = text.find("://")
    if at < 0:
        return text
    parts: list[str] = []
    done = 0
    while at >= 0:
        found = _URL_END.search(text, at)
        end = len(text) if found is None else found.start()
        parts += (
            text[done : at + 3],
            _without_userinfo_and_query(text[at + 3 : end], cut=cut and found is None),
        )
        done = end
        at = text.find("://", end)
    parts.append(text[done:])
    return "".join(parts)


def _without_userinfo_and_query(rest: str, *, cut: bool) -> str:
    """Return what follows the "://" of a URL, masked. ``cut``: the text went on behind it."""
    found = _TAIL.search(rest)
    body, tail = (rest, "") if found is None else (rest[: found.start()], rest[found.start() :])
    kept = tail.rstrip(_PUNCTUATION)
    if len(kept) > 1 and (kept[0] == "?" or "=" in kept):
        tail = f"{kept[0]}{MASK}{tail[len(kept) :]}"
    pieces = body.split("://")
    last = len(pieces) - 1
    masked = [_without_userinfo(piece, cut=cut and not tail and n == last) for n, piece in enumerate(pieces)]
    return "://".join(masked) + tail


def _without_userinfo(piece: str, *, cut: bool) -> str:
    authority, slash, path = piece.partition("/")
    user, at, host = authority.rpartition("@")
    if at and user != "git":
        return f"{MASK}@{host}{slash}{path}"
    if cut and not at and not slash and ":" in authority:  # a password may have begun: its "@" was cut off
        return MASK
    return piece
