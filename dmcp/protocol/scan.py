"""Look over large JSON a slice at a time: is it valid, and where are its members?

Every function here is a generator that yields after a bounded piece of work (some milliseconds at most) and returns
what it found. Whoever drives it decides what else happens between two pieces: nothing (``at_once``), or a turn of the
loop. Nothing is built but positions, so memory stays flat whatever the text holds.

Accepted is exactly RFC 8259 in UTF-8, lone surrogates in escapes included (they are grammatical), to ``MAX_DEPTH``
levels. Not here: what the text means.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from dmcp.protocol.limits import MAX_DEPTH, MAX_MEMBERS, MAX_NUMBER, MIB

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
"""Work in pieces that returns a ``T``."""

_SLICE: Final = 16 * 1024  # bytes one search of a pattern looks at: about a millisecond in the worst case
_UTF8_SLICE: Final = MIB
_SPACE: Final = b" \t\r\n"
_SPACES: Final = frozenset({b" ", b"\t", b"\r", b"\n"})
_OPENINGS: Final = frozenset({b"[", b"{"})
_ARRAY: Final = 0x5B
_OBJECT: Final = 0x7B
_CLOSING: Final = {_ARRAY: b"]", _OBJECT: b"}"}
_MIRROR: Final = bytes.maketrans(b"[{", b"]}")
_TURNS: Final = 256  # steps from token to token before others have their turn
_LONGEST_NAME: Final = 1024  # bytes of the name of a member that means something


class Span(NamedTuple):
    """Where a value stands: from its first byte to the one after its last."""

    start: int
    end: int


class _Expected(Enum):
    """What may follow: a value; the first member, or none; another member; a comma or the end."""

    VALUE = auto()
    FIRST = auto()
    NEXT = auto()
    AFTER = auto()


class _Patterns(NamedTuple):
    items: re.Pattern[bytes]
    pairs: re.Pattern[bytes]
    opening: re.Pattern[bytes]
    closing: re.Pattern[bytes]
    space: re.Pattern[bytes]
    string: re.Pattern[bytes]
    key: re.Pattern[bytes]
    inside: re.Pattern[bytes]
    scalar: re.Pattern[bytes]
    number: re.Pattern[bytes]
    number_bytes: re.Pattern[bytes]


@cache
def _patterns() -> _Patterns:
    """Compile at the first use. Each is linear: no two repetitions in a row can match the same byte."""
    ws = rb"[ \t\r\n]*+"
    plain = rb'[^"\\\x00-\x1f]*+'
    inside = plain + rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + plain + rb")*"
    string = b'"' + inside + b'"'
    # Whatever is no number of the usual kind must not be one of the others too: two ways for one text, in a
    # repetition, would be exponentially many for a list.
    rest = rb"(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
    number = (
        rb"(?:[1-9][0-9]*+(?:(?![.eE])|(?=[.eE])"
        + rest
        + rb")|-(?:0|[1-9][0-9]*+)"
        + rest
        + b"|0"
        + rest
        + b")"
    )
    scalar = b"(?:" + string + b"|" + number + rb"|true|false|null)"
    pair = string + ws + b":" + ws
    small = (
        rb"(?:" + scalar
        + rb"|\[" + ws + b"(?:" + scalar + ws + b"(?:," + ws + scalar + ws + rb")*)?\]"
        + rb"|\{" + ws + b"(?:" + pair + scalar + ws + b"(?:," + ws + pair + scalar + ws + rb")*)?\})"
    )  # fmt: skip
    return _Patterns(
        items=re.compile(b"(?:" + ws + small + ws + b",)+"),
        pairs=re.compile(b"(?:" + ws + pair + small + ws + b",)+"),
        opening=re.compile(rb"\[++"),
        closing=re.compile(rb"(?:" + ws + rb"[\]}])+"),
        space=re.compile(ws),
        string=re.compile(string),
        key=re.compile(pair),
        inside=re.compile(inside),
        scalar=re.compile(scalar),
        number=re.compile(number),
        number_bytes=re.compile(rb"[-+.0-9eE]*+"),
    )


def at_once(steps: Steps[T]) -> T:
    """Do all the work now. For short texts, and where nobody waits."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


def check_utf8(text: bytes) -> Steps[None]:
    """Raise ``ValueError`` unless the text is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(text), _UTF8_SLICE):
        piece = text[at : at + _UTF8_SLICE]
        try:
            if not piece.isascii() or decoder.getstate()[0]:
                decoder.decode(piece, final=at + _UTF8_SLICE >= len(text))
        except UnicodeDecodeError:
            raise ValueError("not valid UTF-8") from None
        yield


def space(text: bytes, at: int) -> Steps[int]:
    """Return the position of the next byte that is no white space."""
    while text[at : at + 1] and text[at] in _SPACE:
        found = _patterns().space.match(text, at, at + _SLICE)
        at = found.end() if found else at
        yield
    return at


def whole(text: bytes) -> Steps[Span]:
    """Return where the only value of a text stands.

    Raises:
        ValueError: the text is not one JSON value.
    """
    start = yield from space(text, 0)
    end = yield from value(text, start)
    yield from finish(text, end)
    return Span(start, end)


def finish(text: bytes, at: int) -> Steps[None]:
    """Raise ``ValueError`` if anything but white space follows."""
    if (yield from space(text, at)) != len(text):
        raise ValueError("something follows its end")


def value(text: bytes, at: int, depth: int = 0) -> Steps[int]:  # noqa: C901, PLR0912 - one state machine
    """Return the position after the value that begins at ``at``.

    Args:
        text: valid UTF-8.
        at: of its first byte.
        depth: the levels it stands in already.

    Raises:
        ValueError: it is not JSON, nests too deeply, or holds a number that is too long.
    """
    # Tokens that stand where they should are not worth a generator each.
    patterns, stack, expected, steps = _patterns(), bytearray(), _Expected.VALUE, 0
    while True:
        steps += 1
        if steps % _TURNS == 0:
            yield
        if expected is _Expected.AFTER:
            if not stack:
                return at
            byte = text[at : at + 1]
            if byte in _SPACES:
                at = yield from space(text, at)
                byte = text[at : at + 1]
            if byte == b",":
                at, expected = at + 1, _Expected.NEXT
            else:
                at = _close(text, at, stack)
            continue
        if expected is not _Expected.VALUE:
            run = (patterns.items if stack[-1] == _ARRAY else patterns.pairs).match(text, at, at + _SLICE)
            if run is not None:
                at, expected, steps = run.end(), _Expected.NEXT, 0
                yield
                continue
            if text[at : at + 1] in _SPACES:
                at = yield from space(text, at)
            if expected is _Expected.FIRST and text[at : at + 1] == _CLOSING[stack[-1]]:
                at, expected = _close(text, at, stack), _Expected.AFTER
                continue
            if stack[-1] == _OBJECT:
                key = patterns.key.match(text, at, at + _SLICE)
                at = (
                    key.end() if key is not None else (yield from _colon(text, (yield from string(text, at))))
                )
                if text[at : at + 1] in _SPACES:
                    at = yield from space(text, at)
        byte = text[at : at + 1]
        if byte in _OPENINGS:
            nest = patterns.opening.match(text, at, at + MAX_DEPTH)
            openings = nest[0] if nest is not None else byte
            stack += openings
            at, expected = at + len(openings), _Expected.FIRST
            if len(stack) + depth > MAX_DEPTH:
                raise ValueError("nested too deeply")
        else:
            at, expected = (yield from _scalar(text, at)), _Expected.AFTER


def string(text: bytes, at: int) -> Steps[int]:
    """Return the position after the string that begins at ``at``.

    Raises:
        ValueError: there is none.
    """
    found = _patterns().string.match(text, at, at + _SLICE)
    if found is not None:
        return found.end()
    if text[at : at + 1] != b'"':
        raise _unexpected(text, at)
    at += 1
    while True:
        # It always matches, perhaps nothing; cut short it ends before a whole escape or character.
        found = _patterns().inside.match(text, at, at + _SLICE)
        end = found.end() if found is not None else at
        if text[end : end + 1] == b'"':
            return end + 1
        if end == at:
            raise _unexpected(text, at)
        at = end
        yield


class Elements(NamedTuple):
    """An array: where it ends (-1: not looked at), and where its elements stand."""

    end: int
    spans: list[Span]


def elements(text: bytes, at: int, most: int, depth: int = 0) -> Steps[Elements]:
    """Return where the elements of the array that begins at ``at`` stand, and check it up to there.

    Args:
        text: valid UTF-8.
        at: of the opening bracket.
        most: elements; when there are more, one more is returned and the rest is not looked at.
        depth: the levels the array stands in already.

    Raises:
        ValueError: it is no valid array.
    """
    spans: list[Span] = []
    at = yield from space(text, at + 1)
    if text[at : at + 1] == b"]":
        return Elements(at + 1, spans)
    while True:
        end = yield from value(text, at, depth + 1)
        spans.append(Span(at, end))
        end = yield from space(text, end)
        if text[end : end + 1] == b"]":
            return Elements(end + 1, spans)
        if len(spans) > most:
            return Elements(-1, spans)
        if text[end : end + 1] != b",":
            raise _unexpected(text, end)
        at = yield from space(text, end + 1)


def members(
    text: bytes,
    at: int,
    wanted: Collection[str] | None = None,
    depth: int = 0,
    into: dict[str, Span] | None = None,
) -> Steps[Members]:
    """Return where the members of the object that begins at ``at`` stand (of a repeated one, the last).

    Args:
        text: valid UTF-8.
        at: of the opening bracket.
        wanted: the names that are looked for; ``None`` for all.
        depth: the levels the object stands in already.
        into: takes the members as they are found, for who wants to know of an invalid object what there was. One
            that is not valid itself is there as an empty span.

    Raises:
        ValueError: it is no valid object, or has more than ``MAX_MEMBERS`` members.
    """
    spans: dict[str, Span] = {} if into is None else into
    if text[at : at + 1] != b"{":
        raise _unexpected(text, at)
    at = yield from space(text, at + 1)
    if text[at : at + 1] == b"}":
        return Members(at + 1, spans)
    for _ in range(MAX_MEMBERS):
        after = yield from string(text, at)
        name = _name(text[at:after]) if after - at <= _LONGEST_NAME else ""
        start = yield from _colon(text, after)
        known = wanted is None or name in wanted
        if known:
            spans[name] = Span(start, start)
        end = yield from value(text, start, depth + 1)
        if known:
            spans[name] = Span(start, end)
        at = yield from space(text, end)
        if text[at : at + 1] == b"}":
            return Members(at + 1, spans)
        if text[at : at + 1] != b",":
            raise _unexpected(text, at)
        at = yield from space(text, at + 1)
    raise ValueError(f"an object with more than {MAX_MEMBERS:,} members where only a few have a meaning")


class Members(NamedTuple):
    """An object: where it ends, and where the values of its members stand."""

    end: int
    spans: dict[str, Span]


def _name(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted[1:-1].decode()
    from json import loads  # noqa: PLC0415 - nobody escapes what needs no escaping

    name: str = loads(quoted)
    return name


def _close(text: bytes, at: int, stack: bytearray) -> int:
    """Take closing brackets off the stack, as many as stand together."""
    found = _patterns().closing.match(text, at, at + MAX_DEPTH)
    closing = found[0].translate(None, _SPACE) if found is not None else text[at : at + 1]
    expected = bytes(reversed(stack[-len(closing) :])).translate(_MIRROR)
    if not closing or not expected.startswith(closing[: len(expected)]):
        raise _unexpected(text, at)
    if len(closing) > len(stack):  # the last ones belong to what stands around the value: one by one
        closing = text[at : at + 1]
        stack.pop()
        return at + 1
    del stack[-len(closing) :]
    return found.end() if found is not None else at + 1


def _colon(text: bytes, at: int) -> Steps[int]:
    at = yield from space(text, at)
    if text[at : at + 1] != b":":
        raise _unexpected(text, at)
    return (yield from space(text, at + 1))


def _scalar(text: bytes, at: int) -> Steps[int]:
    found = _patterns().scalar.match(text, at, at + _SLICE)
    # What ends before the slice does is whole; a number that ends with it may go on.
    if found is not None and found.end() < at + _SLICE:
        return found.end()
    if text[at : at + 1] == b'"':
        return (yield from string(text, at))
    end = at
    while (found := _patterns().number_bytes.match(text, end, end + _SLICE)) and found.end() > end:
        end = found.end()
        if end - at > MAX_NUMBER:
            raise ValueError(f"a number of more than {MAX_NUMBER // MIB} MiB")
        yield
    if not _patterns().number.fullmatch(text, at, end):
        raise _unexpected(text, at)
    return end


def _unexpected(text: bytes, at: int) -> ValueError:
    if at >= len(text):
        return ValueError("it ends too early")
    return ValueError(f"unexpected {text[at : at + 1]!r} at byte {at}")
