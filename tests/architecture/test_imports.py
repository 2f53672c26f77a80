"""The import budget: neither stage of a serving dmcp imports what it does not need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOO_MUCH_FOR_SERVING = (
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
        "pydantic_core",
        "anyio",
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


TOO_MUCH_FOR_THE_FIRST_ANSWER = {
    *TOO_MUCH_FOR_SERVING,
    *(
        "asyncio",
        "uvloop",
        "msgspec",
        "pykka",
        "threading",
        "dataclasses",
        "datetime",
        "urllib",
        "pathlib",
        "logging",
    ),
}


def test_serving_imports_nothing_that_only_some_servers_or_commands_need() -> None:
    loaded = modules_after("import dmcp.app")
    assert "asyncio" in loaded
    assert not loaded & set(TOO_MUCH_FOR_SERVING)


@pytest.mark.parametrize("module", ["dmcp.__main__", "dmcp.downstream.first_answer"])
def test_the_first_stage_imports_nothing_that_the_first_answer_does_not_need(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "dmcp" in loaded
    assert not loaded & TOO_MUCH_FOR_THE_FIRST_ANSWER


def test_the_budget_would_notice_a_violation() -> None:
    assert "httpx" in modules_after("import httpx")
