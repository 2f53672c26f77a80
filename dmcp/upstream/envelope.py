"""What an HTTP transport has to see of a message: whether it answers a given request.

Not here: its method and its content, which are none of a transport's business.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

from dmcp.protocol import jsonrpc

_ANSWER_HEAD: Final = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?(\d{1,18}), ?"(?:result|error)":')
_NO_ANSWER: Final = (b'{"jsonrpc":"2.0","method":', b'{"method":', b'{"jsonrpc": "2.0", "method":')
"""How the notifications and requests of most servers begin: they need not be parsed to see that they answer nothing."""
_RESULT_FIRST: Final = re.compile(rb'\{"(?:result|error)":')
_ID_LAST: Final = re.compile(rb'"id":(\d{1,18})\}$')
_TAIL: Final = 40
_TURN: Final = 0.005  # seconds of reading before the loop has its turn
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
_BOM: Final = b"\xef\xbb\xbf"


def one_line(body: bytes) -> bytes:
    """The body as a frame: raw line ends stand only between JSON tokens, so a space does as well."""
    if b"\n" in body or b"\r" in body:
        body = body.translate(_LINE_ENDS)
    return body.removeprefix(_BOM).strip()


def answers(frame: bytes, request_id: int) -> bool:
    """Whether the frame holds the answer to this request; ``False`` also where finding out would take too long."""
    return request_id in (answered_ids(frame) or ())


async def answers_in_slices(frame: bytes, request_id: int) -> bool:
    """The same for a frame of any size, over several turns of the loop where that is needed."""
    found = answered_ids(frame)
    if found is None:
        reading = jsonrpc.read_in_slices(frame)
        until = time.perf_counter() + _TURN
        while True:
            try:
                next(reading)
            except StopIteration as done:
                found = _ids_of(done.value)
                break
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + _TURN
    return request_id in found


def answered_ids(frame: bytes) -> tuple[int, ...] | None:
    """The ids of ours that the messages of a frame answer; ``None`` where finding out would take too long.

    The two spellings that the official SDKs write are told by their first and last bytes, which is exact for
    valid JSON: nothing but the envelope can stand there. Everything else, batches included, is read.
    """
    if (head := _ANSWER_HEAD.match(frame)) is not None:
        return (int(head[1]),)
    if _RESULT_FIRST.match(frame) and (tail := _ID_LAST.search(frame[-_TAIL:])) is not None:
        return (int(tail[1]),)
    if frame.startswith(_NO_ANSWER):
        return ()
    message = jsonrpc.read_at_once(frame)
    return None if message is None else _ids_of(message)


def _ids_of(message: jsonrpc.Message) -> tuple[int, ...]:
    messages = message.messages if isinstance(message, jsonrpc.Batch) else (message,)
    found = (_answered_id(each) for each in messages)
    return tuple(number for number in found if number is not None)


def _answered_id(message: jsonrpc.Single) -> int | None:
    """The id of the request whose answer its owner takes a message for, be it a bad one."""
    if isinstance(message, jsonrpc.Response):
        return jsonrpc.own_number(message.id)
    if isinstance(message, jsonrpc.Malformed) and not (
        message.is_request or message.is_notification or message.is_foreign
    ):
        return jsonrpc.own_number(message.id)
    return None
