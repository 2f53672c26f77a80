"""Every scored client scenario of the official suite passes with dmcp in the client's place."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.npm, pytest.mark.timeout(400)]  # the first test waits for all scenarios
PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
AT_ONCE = 2  # scenarios, each of which spends half of its time waiting


suite: Any = load_script(Path(__file__).with_name("run.py"))


@pytest.fixture(scope="module")
def installed() -> None:
    if suite.is_installed():
        return
    missing = "run: npm ci --prefix tests/npm/conformance"
    if os.environ.get("CI"):
        pytest.fail(f"the conformance suite is missing in CI: {missing}")
    pytest.skip(f"the conformance suite is missing: {missing}")


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, installed: None) -> Iterator[dict[str, Any]]:
    """What came of each scenario that a selected test asks for, all run before the first of these tests."""
    callspecs = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {spec.params["scenario"] for spec in callspecs if spec and "scenario" in spec.params}
    ordered = [scenario for scenario in (*suite.SCORED, *suite.UNSCORED) if scenario in wanted]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield dict(zip(ordered, pool.map(suite.run, ordered), strict=True))


def page_says() -> dict[str, str]:
    """The second column of the page's tables, by scenario."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("scenario", suite.SCORED)
def test_a_scored_scenario_passes_without_a_warning(scenario: str, outcomes: dict[str, Any]) -> None:
    assert outcomes[scenario].passed, outcomes[scenario].said[-6000:]


@pytest.mark.parametrize("scenario", suite.UNSCORED)
def test_an_unscored_scenario_ends_as_the_page_says(scenario: str, outcomes: dict[str, Any]) -> None:
    outcome = outcomes[scenario]
    verdict = "passes" if outcome.passed else "fails"
    assert verdict == page_says()[scenario], outcome.said[-6000:]


def test_the_scored_scenarios_are_those_the_suite_requires(installed: None) -> None:
    assert list(suite.SCORED) == suite.required()


def test_a_client_that_does_nothing_passes_no_scenario(installed: None) -> None:
    assert not suite.run("initialize", "true").passed


def test_the_page_lists_every_scenario() -> None:
    listed = page_says()
    assert set(listed) == {*suite.SCORED, *suite.UNSCORED}
    assert all(listed[scenario] == "passes" for scenario in suite.SCORED)
