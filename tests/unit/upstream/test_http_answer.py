"""The answer to an HTTP request, as the links see it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import httpx
import pytest

from dmcp.upstream.responses import Response

if TYPE_CHECKING:
    from dmcp.upstream.responses import Header

pytestmark = pytest.mark.anyio


def answer_of(*headers: Header, body: bytes = b"") -> Response:
    return Response(200, headers, httpx.ByteStream(body))


def test_headers_are_found_by_their_name_in_lower_case_and_repeated_ones_are_joined() -> None:
    answer = answer_of((b"WWW-Authenticate", b"Basic"), (b"www-authenticate", b"Bearer"), (b"X", b"1"))
    assert answer.headers == {"www-authenticate": "Basic, Bearer", "x": "1"}


@pytest.mark.parametrize("value", [b"plain", "sitzung-\u00e4".encode(), b"\xff\xfe"])
def test_a_value_can_be_sent_back_byte_by_byte(value: bytes) -> None:
    held = answer_of((b"mcp-session-id", value)).headers["mcp-session-id"]
    assert held.encode("utf-8", "surrogateescape") == value


async def test_a_compressed_body_is_read_as_what_it_was() -> None:
    answer = answer_of((b"content-encoding", b"gzip"), body=gzip.compress(b"{}" * 100))
    assert not answer.is_plain
    assert b"".join([chunk async for chunk in answer.chunks()]) == b"{}" * 100
