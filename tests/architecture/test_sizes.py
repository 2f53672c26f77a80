"""Files and functions stay small enough to be read at one go, and every module says what it owns.

What is longer all the same says why, in a comment that begins with "Long because".
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path for room in ("dmcp", "benchmarks", "tests/harness") for path in (ROOT / room).rglob("*.py")
)
LONGEST_FILE = 600
LONGEST_FUNCTION = 60
EXCUSE = "# Long because "


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_short_enough(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE or f"\n{EXCUSE}" in text


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_function_is_short_enough(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    functions = [
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {
        function.name: length
        for function in functions
        if (length := length_of(function)) > LONGEST_FUNCTION and EXCUSE not in source_of(function, text)
    }
    assert not too_long


def source_of(function: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> str:
    return "\n".join(text.splitlines()[function.lineno - 1 : function.end_lineno])


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code from ``def`` to the end; its docstring is free."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    free = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - free


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
