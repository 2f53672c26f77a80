"""The README and the package's metadata hold wherever they are shown: absolute links, to files that exist."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from dmcp.errors import ISSUES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINKS = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", README)
REPOSITORY = PROJECT["urls"]["Repository"]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_absolute_and_leads_to_a_file_that_exists(link: str) -> None:
    assert link.startswith("https://")
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
    for begin in (f"{REPOSITORY}/blob/main/", f"{REPOSITORY}/tree/main/", f"{raw}/main/"):
        if link.startswith(begin):
            assert (ROOT / link.removeprefix(begin)).exists()


def test_the_pages_a_newcomer_looks_for_are_linked() -> None:
    for page in (
        "docs/architecture.md",
        "docs/conformance.md",
        "docs/configuration.md",
        "docs/troubleshooting.md",
        "SECURITY.md",
    ):
        assert any(link.endswith(page) for link in LINKS), page
    assert ISSUES in LINKS


def test_how_to_install_and_what_to_set_for_many_servers_is_said() -> None:
    for words in ("uvx dmcp", "pipx install dmcp", '"startup": "lazy"', "~/.config/dmcp/dmcp.json"):
        assert words in README, words


def test_the_metadata_has_addresses_and_keywords() -> None:
    assert {"Homepage", "Documentation", "Repository", "Issues", "Changelog"} <= PROJECT["urls"].keys()
    assert PROJECT["urls"]["Issues"] == ISSUES
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())
    assert "mcp" in PROJECT["keywords"]


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", README, re.DOTALL))
def test_a_json_example_is_json(block: str) -> None:
    json.loads(block)
