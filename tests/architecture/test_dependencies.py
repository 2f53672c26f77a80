"""Every library that dmcp imports is declared, and what is used behind its public face has an upper bound."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {"keyring"}
"""Imported only where the extra of the same name is installed."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that a module names in an import, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def declared(requirements: list[str]) -> dict[str, str]:
    """The requirement of each distribution, by its normal name."""
    return {normal(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]): text for text in requirements}


def third_party() -> dict[str, set[str]]:
    """Every third-party package imported in dmcp, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "dmcp").rglob("*.py"):
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if name != "dmcp" and name not in sys.stdlib_module_names:
                found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_every_imported_library_is_declared() -> None:
    have = declared(PROJECT["dependencies"])
    distributions = packages_distributions()
    missing = {
        name: sorted(files)
        for name, files in third_party().items()
        if name not in OPTIONAL and not any(normal(one) in have for one in distributions.get(name, [name]))
    }
    assert not missing, "imported, and not among the dependencies of pyproject.toml"


def test_every_declared_library_is_imported() -> None:
    distributions = packages_distributions()
    used = {normal(one) for name in third_party() for one in distributions.get(name, [name])}
    assert not declared(PROJECT["dependencies"]).keys() - used


@pytest.mark.parametrize("name", ["pykka"])
def test_a_library_whose_privates_are_used_has_an_upper_bound(name: str) -> None:
    assert "<" in declared(PROJECT["dependencies"])[name]
