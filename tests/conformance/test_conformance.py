"""Every scored client scenario of the official suite passes with dmcp in the client's place."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> ModuleType:
    """A file beside this one: test rooms are not packages."""
    spec = importlib.util.spec_from_file_location(
        f"conformance_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


suite: Any = load("run")


@pytest.mark.npm
@pytest.mark.parametrize("scenario", suite.SCORED)
def test_a_scored_scenario_passes(scenario: str) -> None:
    if not suite.is_installed():
        missing = "run: npm ci --prefix tests/npm/conformance"
        if os.environ.get("CI"):
            pytest.fail(f"the conformance suite is missing in CI: {missing}")
        pytest.skip(f"the conformance suite is missing: {missing}")
    passed, said = suite.run(scenario)
    assert passed, said[-6000:]
