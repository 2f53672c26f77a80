from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from dmcp.cli.coding_tools.table import TOOLS

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "import.md"


def render_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_tools", DOCS / "render_tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_table_of_tools_says() -> None:
    script, text = render_script(), PAGE.read_text(encoding="utf-8")
    assert script.BEGIN in text
    assert text == script.rendered(text), "run: python docs/render_tools.py"


def test_every_tool_has_a_section_of_its_own_and_a_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TOOLS if f"(`dmcp import {name}`)" not in text] == []
    assert [name for name in TOOLS if f"| `{name}` |" not in text] == []
