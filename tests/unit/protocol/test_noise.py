"""Messages with terminal control around them, and the lines of stderr that say what went wrong."""

from __future__ import annotations

import pytest

from dmcp.protocol.noise import message_in, telling
from harness.measured import processor_time

MESSAGE = b'{"jsonrpc":"2.0","id":1,"result":{"a":"\\u001b[0m ]}"}}'


@pytest.mark.parametrize(
    "before",
    [
        *(b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b" \t\r", b"\x00\x00", b"\x07\x08"),
        *(
            b"\x1b[0m",
            b"\x1b[38;5;120m",
            b"\x1b[?25l\x1b[2K\x1b[1G",
            b"\x1b]0;a {title}\x07",
            b"\x1b]2;t\x1b\\",
        ),
        *(b"\x1bc", b"\x1b(B", b"\x1b=", b"\x1bP1$r\x1b\\", b"\r\x1b[K\xef\xbb\xbf\x1b[32m"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "after", [b"", b"\r", b" ", b"\x1b[0m", b"\x1b[0m\x1b]0;x]\x07\r", b"\x00"], ids=repr
)
def test_control_around_a_message_is_taken_away(before: bytes, after: bytes) -> None:
    found = message_in(before + MESSAGE + after)
    assert found is not None
    assert found.rstrip(b"\r ") == MESSAGE


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"   ",
            b"started",
            b"sent: " + MESSAGE,
            b"[INFO] started",
            b"[2026-01-01] x",
            b"[",
            b"\x1b[",
            b"\x1b",
        ),
        *(
            b"\x1b]0;a title without an end" + MESSAGE,
            b"\xff\xfe",
            b"\x1b[32mINFO\x1b[0m " + MESSAGE,
            b'"text"',
            b"12",
        ),
    ],
    ids=repr,
)
def test_a_line_with_no_message_or_a_text_before_it_is_none(line: bytes) -> None:
    assert message_in(line) is None


def test_a_batch_is_a_message_and_what_is_no_json_is_left_to_the_parser() -> None:
    assert message_in(b"[" + MESSAGE + b"]") == b"[" + MESSAGE + b"]"
    assert message_in(b"[ ]") == b"[ ]"
    assert message_in(b"{ not json") == b"{ not json"
    assert message_in(MESSAGE + b" and more") == MESSAGE + b" and more"


@pytest.mark.parametrize(
    "line",
    [
        b"\x1b[" + b"1;" * 500_000,
        b"\x1b]0;" + b"x" * 1_000_000,
        b"\x1b]0;x\x07" * 200_000,
        b"\x1b" * 1_000_000,
        b"{" * 1_000_000,
        b"{" + b"\x1b[" * 500_000,
        b"[" * 1_000_000,
        b"{" + b"}\x1b" * 500_000,
        b" " * 1_000_000 + b"{",
    ],
    ids=["params", "title", "titles", "escapes", "braces", "escapes inside", "brackets", "ends", "spaces"],
)
def test_the_worst_case_of_a_megabyte_takes_no_time(line: bytes) -> None:
    with processor_time() as used:
        message_in(line)
        telling([line.decode()[:4096]] * 100, 3)
    assert used.seconds < 0.05


NPM = """npm error code E404
npm error 404 Not Found - GET https://packages.example.com/@a%2fb - Not found
npm error 404
npm error 404  '@a/b@*' is not in this registry.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git folder.
npm notice
npm notice New minor version of npm available! 11.0.0 -> 11.1.0
npm notice
npm error A complete log of this run can be found in: /home/me/.npm/_logs/x-debug-0.log""".splitlines()

PYTHON = """Traceback (most recent call last):
  File "/x/server.py", line 3, in <module>
    import requests
ModuleNotFoundError: No module named 'requests'""".splitlines()

NODE = """node:internal/modules/cjs/loader:1215
  throw err;
  ^

Error: Cannot find module '/x/dist/index.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1212:15)
    at Module._load (node:internal/modules/cjs/loader:1043:27) {
  code: 'MODULE_NOT_FOUND',
}

Node.js v20.11.0""".splitlines()


def test_of_npm_the_error_and_not_its_notices() -> None:
    told = telling(NPM, 3)
    assert told[0] == "npm error code E404"
    assert "Not Found" in told[1]
    assert not [line for line in told if "notice" in line or "complete log" in line or "tarball" in line]


def test_of_a_traceback_the_error() -> None:
    assert telling(PYTHON, 3) == ["ModuleNotFoundError: No module named 'requests'"]


def test_of_node_the_error() -> None:
    assert telling(NODE, 3) == ["Error: Cannot find module '/x/dist/index.js'"]


def test_where_nothing_looks_like_an_error_the_last_lines() -> None:
    assert telling(["one", "", "two", "three", "four"], 3) == ["two", "three", "four"]
    assert telling([], 3) == []
