from __future__ import annotations

from pathlib import Path

from dmcp.cli.importers.registry import TOOLS
from dmcp.cli.importers.tables import BEGIN, with_sections

PAGE = Path(__file__).parents[3] / "docs" / "import.md"


def test_the_page_says_what_the_importers_go_by() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert text == with_sections(text)


def test_every_tool_has_a_section_of_its_own() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TOOLS if f"(`dmcp import {name}`)" not in text] == []
