"""The fastest way to read a large result that is one text without escapes, and little else.

pydantic_core reads plain text four times as fast as msgspec passes over it, but does not say where members are. It is
asked whether the frame is JSON, and the members are found by msgspec in the same frame with a mark in place of the
text. A mark is letters and digits, which are valid JSON only within a string: where the one frame has the mark, the
other has the text, and everything around it is the same. Not here: any other message (``jsonrpc``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from dmcp.protocol.limits import KIB
from dmcp.protocol.wire import careful_reader

if TYPE_CHECKING:
    from dmcp.protocol.wire import Engine

_AROUND: Final = 4 * KIB
"""Bytes that a message may have besides its text."""
_MARK: Final = b"x" + os.urandom(16).hex().encode()
"""Stands for the text. Nobody else knows it."""


class Plain(NamedTuple):
    """What was found.

    Attributes:
        id: as it stands in the frame.
        result: likewise; a view, because copying costs as much as reading.
    """

    id: bytes
    result: memoryview


def find(frame: bytes, fast: Engine) -> Plain | None:
    """Find the members of such a response; ``None`` for any other frame, be it JSON or not.

    Args:
        frame: of at most ``MAX_AT_ONCE`` bytes: it is read in one turn of the loop.
        fast: the library.
    """
    middle = len(frame) // 2
    start, end = frame.rfind(b'"', 0, middle) + 1, frame.find(b'"', middle)
    if end - start < len(frame) - _AROUND or frame.find(b"\\", start, end) >= 0:
        return None
    around = b"".join((frame[:start], _MARK, frame[end:]))
    try:
        found = fast.envelope(around)
        identifier, result = bytes(found.id), bytes(found.result)
        if isinstance(found.method, str) or bytes(found.error) or not identifier or around.count(_MARK) != 1:
            return None
        careful_reader()(frame, allow_inf_nan=False, cache_strings="none")
    except fast.refused:
        return None
    at = result.find(_MARK)
    if at < 0 or b"\n" in result or b"\r" in result:
        return None
    rest = len(result) - at - len(_MARK)
    return Plain(identifier, memoryview(frame)[start - at : end + rest])
