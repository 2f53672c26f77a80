"""The import budget: what the first answer to a client does not need is not imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOO_MUCH_FOR_THE_FIRST_ANSWER = (
    *(
        "httpx",
        "httpcore",
        "authlib",
        "watchfiles",
        "json5",
        "rich",
        "click",
        "loguru",
        "pydantic",
        "mcp",
        "keyring",
    ),
    *("cryptography", "filelock", "tomli", "tomllib", "tomlkit", "ruamel", "httptools"),
)


def modules_after(statement: str) -> set[str]:
    """Top-level packages that are loaded after a statement in a fresh interpreter."""
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("module", ["dmcp.app", "dmcp.__main__"])
def test_starting_up_imports_nothing_that_the_first_answer_does_not_need(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "dmcp" in loaded
    assert loaded & set(TOO_MUCH_FOR_THE_FIRST_ANSWER) == set()


def test_the_budget_would_notice_a_violation() -> None:
    assert "httpx" in modules_after("import httpx")
