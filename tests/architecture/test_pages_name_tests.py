"""The pages that promise something name the tests that hold it, and those tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
NAMED = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", ["docs/security.md", "docs/field.md"])
def test_every_named_test_exists(page: str) -> None:
    missing = []
    for path, name in NAMED.findall((ROOT / page).read_text(encoding="utf-8")):
        file = TESTS / path
        if not file.is_file():
            missing.append(path)
        elif name and not re.search(rf"def {name}\b", file.read_text(encoding="utf-8")):
            missing.append(f"{path}::{name}")
    assert not missing


@pytest.mark.parametrize("page", ["docs/security.md", "docs/field.md"])
def test_every_row_of_a_table_of_promises_names_its_test(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    without = []
    in_table = False
    for line in text.splitlines():
        if not line.startswith("|"):
            in_table = False
        elif line.rstrip().endswith("| test |"):
            in_table = True
        elif in_table and not set(line) <= set("| -") and "`" not in line.rstrip("| ").rpartition("|")[2]:
            without.append(line[:80])
    assert not without
