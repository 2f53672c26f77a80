"""What dmcp reads out of a server's error, and what it makes of it."""

from __future__ import annotations

import pytest

from dmcp.protocol import jsonrpc, upstream_errors


@pytest.mark.parametrize(
    ("spelt", "code"),
    [
        (b"-32042", -32042),
        (b"-32042.0", -32042),
        (b"-3.2042e4", -32042),
        (b"-320420E-1", -32042),
        (b'"-32042"', None),
        (b"null", None),
    ],
)
def test_the_code_of_an_error_is_read_however_it_is_spelt(spelt: bytes, code: float | None) -> None:
    answer = jsonrpc.read(b'{"jsonrpc":"2.0","id":1,"error":{"message":"m","code" : %b}}' % spelt)
    assert isinstance(answer, jsonrpc.Response)
    assert upstream_errors.error_code(answer) == code


def test_of_codes_that_stand_twice_the_last_one_counts_as_for_the_client() -> None:
    answer = jsonrpc.read(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"code":-32042,"message":"m"}}')
    assert isinstance(answer, jsonrpc.Response)
    assert upstream_errors.error_code(answer) == -32042
