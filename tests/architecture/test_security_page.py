"""The table of limits on the security page is that of the code; the configurable ones are named with their values."""

from __future__ import annotations

import re
from pathlib import Path

from dmcp.config.model import Limits
from dmcp.protocol import limits
from harness.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([\d.,]+) ?(MiB|KiB)? \|", re.MULTILINE)
UNITS = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}


def test_the_table_of_limits_has_each_one_with_its_value() -> None:
    """Read back from the page, not by the script that wrote it."""
    told = {name: float(number.replace(",", "")) * UNITS[unit] for name, number, unit in ROW.findall(PAGE)}
    known = {
        name: value for name, value in vars(limits).items() if name.isupper() and name not in ("MIB", "KIB")
    }
    assert told == known, "run: python docs/render.py"


def test_the_table_of_limits_is_rendered() -> None:
    assert load_script(ROOT / "docs" / "render.py").rendered_security(PAGE) == PAGE, (
        "run: python docs/render.py"
    )


def test_every_limit_that_can_be_changed_is_named_with_its_key() -> None:
    section = PAGE.partition("## What a peer can make grow")[2].partition("### Every limit")[0]
    for name in Limits.__struct_fields__:
        assert f"`limits.{name}`" in section
    usual = Limits()
    assert f"{usual.frame // 2**20} MiB" in section
    assert f"{usual.listing_entries:,} entries" in section
    assert f"{usual.listing_bytes // 2**20} MiB" in section
    assert f"{usual.server_requests} at once" in section
    assert f"{usual.notifications:g} a second" in section
