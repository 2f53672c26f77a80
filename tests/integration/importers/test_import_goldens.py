from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.coding_tools.table import TOOLS
from dmcp.config.loading import load
from dmcp.config.model import Unresolved
from fixtures.importers.goldens import CASES, HERE, SCOPES, imported

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = "DOCS WORK_ROOT ISSUES_TOKEN ISSUES_SECRET ISSUES_CLIENT ISSUES_KEY FILES_TOKEN TOKEN CLOUD_SECRET"
_NAMES += " API_KEY ODD ZONE"
ENVIRON = dict.fromkeys(_NAMES.split(), "value")


@pytest.mark.skipif(sys.platform == "win32", reason="the reviewed reports spell paths as Linux does")
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("case", CASES)
def test_each_tools_files_give_the_reviewed_configuration_and_report(
    case: str, scope: str, tmp_path: Path
) -> None:
    expected = HERE / case / f"expected-{scope}"
    status, text, report = imported(case, scope, tmp_path / "r")
    assert f"exit {status}\n{report}" == expected.with_suffix(".txt").read_text()
    json_file = expected.with_suffix(".json")
    assert text == (json_file.read_text() if json_file.exists() else "")
    assert status == (0 if text else 2)


@pytest.mark.parametrize(
    "path", sorted(HERE.glob("*/expected-*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_each_reviewed_configuration_is_one_that_dmcp_starts_with(path: Path) -> None:
    configuration = load(path, ENVIRON)
    assert [
        name for name, server in configuration.servers.items() if isinstance(server.target, Unresolved)
    ] == []


def test_every_tool_has_a_reviewed_configuration() -> None:
    assert {path.parent.name.partition("--")[0] for path in HERE.glob("*/expected-*.json")} == set(TOOLS)
