"""docs/architecture.md says what is so: its message tables are the docstrings, its file names exist."""

from __future__ import annotations

import re
from pathlib import Path

from harness.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"


def test_the_message_tables_are_the_docstrings_of_the_messages() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert load_script(ROOT / "docs" / "render.py").rendered(page) == page, "run: python docs/render.py"


def test_every_module_the_page_names_exists() -> None:
    named = set(
        re.findall(r"`((?:dmcp|tests|benchmarks|docs|schema)/[\w./]+)`", PAGE.read_text(encoding="utf-8"))
    )
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_actor_and_package_is_named_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "dmcp").glob("*/*.py")}
    modules = {path.name for path in (ROOT / "dmcp" / "actors").glob("*.py")} - {"__init__.py"}
    assert [name for name in sorted(packages) if f"dmcp/{name}" not in page and f"{name}/" not in page] == []
    assert [name for name in sorted(modules) if name not in page] == []
