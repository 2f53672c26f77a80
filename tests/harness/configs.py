"""Entries of a configuration file for the servers that tests put behind dmcp, and the file itself."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest

TESTS = Path(__file__).resolve().parents[1]
_PACKAGES = TESTS / "npm" / "node_modules" / "@modelcontextprotocol"
_ENTRY_POINTS = {
    "everything": _PACKAGES / "server-everything" / "dist" / "index.js",
    "filesystem": _PACKAGES / "server-filesystem" / "dist" / "index.js",
    "memory": _PACKAGES / "server-memory" / "dist" / "index.js",
}

Entry: TypeAlias = dict[str, Any]
"""One value of ``mcpServers``."""


def write_config(path: Path, servers: dict[str, Entry], **top_level: Any) -> Path:
    """Write a configuration with these servers; a missing description is filled in. Returns ``path``."""
    filled = {name: {"description": f"The {name} server", **entry} for name, entry in servers.items()}
    path.write_text(json.dumps({"mcpServers": filled, **top_level}, indent=2) + "\n", encoding="utf-8")
    return path


def python_server(script: Path, *arguments: str, **more: Any) -> Entry:
    """Return the entry of a server that is a Python script, run by the interpreter of the tests."""
    return {"command": sys.executable, "args": [str(script), *arguments], **more}


def sdk_server(*arguments: str, **more: Any) -> Entry:
    """Return the entry of ``tests/servers/sdk_stdio.py``: every feature, from the official SDK."""
    return python_server(TESTS / "servers" / "sdk_stdio.py", *arguments, **more)


def plain_server(**more: Any) -> Entry:
    """Return the entry of ``tests/servers/noisy.py``: a tool ``echo``, and it starts ten times as fast as the SDK."""
    return python_server(TESTS / "servers" / "noisy.py", **more)


def npm_server(name: str, *arguments: str, **more: Any) -> Entry:
    """Return the entry of an official npm server: "everything", "filesystem" or "memory".

    Skips the test where they are not installed (``npm ci --prefix tests/npm``); with ``CI=true`` that is a failure.
    """
    script, node = _ENTRY_POINTS[name], shutil.which("node")
    if node is None or not script.exists():
        missing = "node is not installed" if node is None else "run: npm ci --prefix tests/npm"
        if os.environ.get("CI"):
            pytest.fail(f"the npm servers are missing in CI: {missing}")
        pytest.skip(f"the npm servers are missing: {missing}")
    return {"command": node, "args": [str(script), *arguments], **more}


def tapped(entry: Entry, log: Path) -> Entry:
    """Return the same server behind ``tests/servers/tap.py``, which writes both sides' messages to ``log``."""
    tap = str(TESTS / "servers" / "tap.py")
    return {
        **entry,
        "command": sys.executable,
        "args": [tap, str(log), entry["command"], *entry.get("args", [])],
    }
