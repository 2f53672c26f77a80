"""The suite's own rules: what is said to take longest exists, and unit tests of actors send messages."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import conftest

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_files_named_in_conftest_exist() -> None:
    named = (*conftest.LONGEST_FIRST, *conftest.MEASURED)
    assert [name for name in named if not (conftest.TESTS / name).is_file()] == []


def private_state_set(tree: ast.AST) -> Iterator[str]:
    """The private attributes of others that a module assigns, adds to or deletes: ``x._y = z``, not ``self._y = z``."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if (
                isinstance(target, ast.Attribute)
                and target.attr.startswith("_")
                and not (isinstance(target.value, ast.Name) and target.value.id == "self")
            ):
                yield target.attr


def test_unit_tests_of_actors_set_no_private_state() -> None:
    found = {
        f"{path.name}: {name}"
        for path in (conftest.TESTS / "unit" / "actors").rglob("*.py")
        for name in private_state_set(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found, "send the actor messages that bring it there"


def test_setting_private_state_would_be_seen() -> None:
    assert list(private_state_set(ast.parse("a.b._c = 1; d._e += 2; self._f = 3; g.h = 4"))) == ["_c", "_e"]
