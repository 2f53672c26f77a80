"""What an HTTP transport has to see of a message: whether it answers a given request.

Not here: its method and its content, which are none of a transport's business.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic_core import from_json

_ANSWER_HEAD: Final = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?(\d{1,18}), ?"(?:result|error)":')
_NO_ANSWER: Final = (b'{"jsonrpc":"2.0","method":', b'{"method":', b'{"jsonrpc": "2.0", "method":')
"""How the notifications and requests of most servers begin: they need not be parsed to see that they answer nothing."""
_RESULT_FIRST: Final = re.compile(rb'\{"(?:result|error)":')
_ID_LAST: Final = re.compile(rb'"id":(\d{1,18})\}$')
_TAIL: Final = 40
_MOST_DIGITS: Final = 18
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
_BOM: Final = b"\xef\xbb\xbf"


def one_line(body: bytes) -> bytes:
    """The body as a frame: raw line ends stand only between JSON tokens, so a space does as well."""
    if b"\n" in body or b"\r" in body:
        body = body.translate(_LINE_ENDS)
    return body.removeprefix(_BOM).strip()


def answers(frame: bytes, request_id: int) -> bool:
    """Whether the frame holds the answer to this request.

    The two spellings that the official SDKs write are told by their first and last bytes, which is exact for
    valid JSON: nothing but the envelope can stand there. Everything else, batches included, is parsed.
    """
    if (head := _ANSWER_HEAD.match(frame)) is not None:
        return int(head[1]) == request_id
    if _RESULT_FIRST.match(frame) and (tail := _ID_LAST.search(frame[-_TAIL:])) is not None:
        return int(tail[1]) == request_id
    if frame.startswith(_NO_ANSWER):
        return False
    try:
        content = from_json(frame)
    except ValueError:
        return False
    messages = content if isinstance(content, list) else [content]
    return any(_is_answer(message, request_id) for message in messages)


def answered_ids(frame: bytes) -> tuple[int, ...]:
    """The ids of ours that the messages of a frame answer; usually none or one."""
    if frame.startswith(_NO_ANSWER):
        return ()
    if (head := _ANSWER_HEAD.match(frame)) is not None:
        return (int(head[1]),)
    try:
        content = from_json(frame)
    except ValueError:
        return ()
    messages = content if isinstance(content, list) else [content]
    # Some servers give a number back as text, or with a fraction of zero.
    found = [
        message.get("id") for message in messages if isinstance(message, dict) and "method" not in message
    ]
    return tuple(number for each in found if (number := _number(each)) is not None)


def _number(found: object) -> int | None:
    if isinstance(found, str):
        found = found.removesuffix(".0")
        return int(found) if found.isascii() and found.isdecimal() and len(found) < _MOST_DIGITS else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return int(found) if found == found // 1 and abs(found) < 10**_MOST_DIGITS else None


def _is_answer(message: object, request_id: int) -> bool:
    if not isinstance(message, dict) or "method" in message:
        return False
    return _number(message.get("id")) == request_id
