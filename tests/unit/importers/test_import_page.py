from __future__ import annotations

from pathlib import Path

from dmcp.cli.coding_tools.table import TOOLS
from harness.scripts import load_script

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "import.md"


def test_the_page_says_what_the_table_of_tools_says() -> None:
    script, text = load_script(DOCS / "render_tools.py"), PAGE.read_text(encoding="utf-8")
    assert script.BEGIN in text
    assert text == script.rendered(text), "run: python docs/render_tools.py"


def test_every_tool_has_a_section_of_its_own_and_a_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TOOLS if f"(`dmcp import {name}`)" not in text] == []
    assert [name for name in TOOLS if f"| `{name}` |" not in text] == []
