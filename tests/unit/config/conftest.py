"""A configuration file written for one test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes text, bytes or JSON values into a file and returns its path."""

    def write(content: str | bytes | dict[str, Any], name: str = "dmcp.json") -> Path:
        path = tmp_path / name
        if isinstance(content, dict):
            content = json.dumps(content, indent=2)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
