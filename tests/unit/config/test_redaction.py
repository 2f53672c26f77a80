from __future__ import annotations

import pytest

from dmcp.config.redaction import (
    arguments,
    is_harmless,
    is_opaque,
    is_telling,
    redacted,
    secrets_of_args,
    secrets_of_env,
    secrets_of_headers,
)
from harness.measured import processor_time


@pytest.mark.parametrize(
    ("args", "shown", "secrets"),
    [
        (["-phunter2"], ["-p***"], {"hunter2"}),
        (["-H", "Authorization: Bearer abcd1234"], ["-H", "Authorization: Bearer ***"], {"abcd1234"}),
        (["-HAuthorization: Bearer XYZ987"], ["-HAuthorization: Bearer ***"], {"XYZ987"}),
        (["--header", "X-Api-Key: k1k2k3k4"], ["--header", "X-Api-Key: ***"], {"k1k2k3k4"}),
        (["--header=X-Thing: foo-bar9"], ["--header=X-Thing: ***"], {"foo-bar9"}),
        (
            ["--token=abc-123", "--api-key", "def-456"],
            ["--token=***", "--api-key", "***"],
            {"abc-123", "def-456"},
        ),
        (["-e", "TOKEN=xyz.9", "-eMY_KEY=zzz9"], ["-e", "TOKEN=***", "-eMY_KEY=***"], {"xyz.9", "zzz9"}),
        (["--env=API_KEY=qq-77"], ["--env=API_KEY=***"], {"qq-77"}),
        (["--config", '{"apiKey":"sek-1","x":"y"}'], ["--config", '{"apiKey":"***","x":"y"}'], {"sek-1"}),
        (['--config={"a":[{"password":"p-12"}]}'], ['--config={"a":[{"password":"***"}]}'], {"p-12"}),
        (['["--token","t-123"]'], ['["--token","***"]'], {"t-123"}),
        (['{apiKey: 1, "token": "v1v2"}'], ['{apiKey: 1, "token": "***"}'], {"v1v2"}),
        (["postgresql://joe:pw12@db/x"], ["postgresql://***@db/x"], {"joe:pw12", "pw12", "joe"}),
        (["https://h/x?tok=abc1"], ["https://h/x?***"], {"tok=abc1", "abc1"}),
        (["--db", "host=h password=pw22"], ["--db", "host=h password=***"], {"pw22"}),
        (["Server=h;Password=pw-1;Db=x"], ["Server=h;Password=***;Db=x"], {"pw-1"}),
        (["sh", "-c", "run --token abc9x"], ["sh", "-c", "run --token ***"], {"abc9x"}),
        (["-k", "AbCdEf123456GhIjK"], ["-k", "***"], {"AbCdEf123456GhIjK"}),
    ],
)
def test_every_spelling_of_a_secret_is_masked_and_known(
    args: list[str], shown: list[str], secrets: set[str]
) -> None:
    assert arguments(args) == shown
    assert secrets_of_args(args) == secrets


@pytest.mark.parametrize(
    "args",
    [
        ["-y", "@modelcontextprotocol/server-filesystem@2025.1.14", "/home/me/Projects2/x"],
        ["-port", "8080", "-p", "8080:80", "-p8080"],
        ["run", "-i", "--rm", "-e", "DEBUG=true", "-e", "GITHUB_TOKEN", "mcp/server-name:1.2.3"],
        ["--header", "Accept: application/json"],
        ["--key-file", "/etc/x.pem", "--auth-type", "oauth"],
        ["mcp-remote", "https://mcp.example.com/sse", "--header", "Authorization:Bearer ${T}"],
        ["--api-key", "${KEY}", "--token=${TOKEN}"],
        ["C:\\Users\\x\\key", "mcp-server-fetch-2025", "my_long_package_name_with_many_words2"],
        ["--from", "git+https://github.com/a/b", "--directory", "/srv/2024/10/x"],
    ],
)
def test_what_is_no_secret_is_shown(args: list[str]) -> None:
    assert arguments(args) == args
    assert not {value for value in secrets_of_args(args) if not value.startswith("${")}


def test_harmless_words_of_an_environment_do_not_garble_the_log() -> None:
    env = {"NODE_ENV": "production", "LOG_LEVEL": "debug", "PORT": "8080", "HOME": "/home/me", "MODE": "fast"}
    assert secrets_of_env(env) == set()
    assert secrets_of_env({"DB_PASS": "swordfish", "THING": "s3cret", "X_TOKEN": "word"}) == {
        "swordfish",
        "s3cret",
        "word",
    }


def test_headers_count_with_and_without_their_scheme() -> None:
    found = secrets_of_headers(
        {"Authorization": "Bearer abc1", "Accept": "application/json", "X": "tenant-7"}
    )
    assert found == {"Bearer abc1", "abc1", "tenant-7"}


@pytest.mark.parametrize(
    "name", ["--api-key", "GITHUB_TOKEN", "apiKey", "githubtoken", "X-Auth", "Cookie", "db.password"]
)
def test_names_that_tell(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize(
    "name", ["--keyboard", "author", "monkey", "--key-file", "AUTH_TYPE", "path", "TOKEN_URL", ""]
)
def test_names_that_do_not_tell(name: str) -> None:
    assert not is_telling(name)


def test_looks() -> None:
    assert is_opaque("github_pat_11ABCDEFG0abcdefgh")
    assert is_opaque("3f2504e0-4f89-11d3-9a0c-0305e82c3301")
    assert not is_opaque("server-name-with-many-parts-2025")
    assert is_harmless("/usr/local/bin")
    assert not is_harmless("/usr/3f2504e04f8911d39a0c0305e82c3301")


def test_an_entry_of_any_shape_is_shown() -> None:
    odd = {"args": "x", "env": None, "headers": {"a": 1}, "url": 5, "oauth": {"client_secret": None}}
    assert redacted(odd)["headers"] == {"a": 1}


@pytest.mark.parametrize(
    "arg", ['{"a":"' * 20_000, '"token":"' * 20_000, "token=" * 20_000, "--a " * 30_000, "-p" + "a1" * 60_000]
)
def test_a_long_argument_is_read_in_linear_time(arg: str) -> None:
    with processor_time() as used:
        arguments([arg])
        secrets_of_args([arg])
    assert used.seconds < 2
