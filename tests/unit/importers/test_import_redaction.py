from __future__ import annotations

import pytest

from dmcp.config.redaction import address, arguments, redacted


def test_values_that_may_be_secret_are_masked_and_references_are_shown() -> None:
    entry = {
        "command": "x",
        "args": ["--api-key", "hunter2", "--token=hunter2", "plain"],
        "env": {"A": "hunter2", "B": "${B}", "C": "Bearer ${C}", "D": "hunter2${B}"},
        "headers": {"Authorization": "Bearer hunter2"},
        "url": "https://ann:hunter2@host/path?key=hunter2#hunter2",
        "oauth": {"client_id": "me", "client_secret": "hunter2"},
    }
    shown = redacted(entry)
    assert "hunter2" not in str(shown)
    assert shown["env"] == {"A": "***", "B": "${B}", "C": "Bearer ${C}", "D": "***"}
    assert shown["args"] == ["--api-key", "***", "--token=***", "plain"]
    assert entry["env"]["A"] == "hunter2"


@pytest.mark.parametrize(
    "secret",
    ["ghp_abcdefghijklmnop", "sk-proj-abcdefgh1234", "eyJhbGciOiJIUzI1NiJ9.x.y", "0123456789abcdef0123"],
)
def test_an_argument_that_looks_like_a_token_is_masked(secret: str) -> None:
    assert arguments(["run", secret]) == ["run", "***"]


def test_addresses_that_are_references_stay_readable() -> None:
    assert address("${URL:-https://host}/mcp?x=1") == "${URL:-https://host}/mcp?***"
