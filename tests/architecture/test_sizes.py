"""Files and functions stay small enough to be read at one go, and every module says what it owns.

What is longer all the same says why, in a comment that begins with "Long because".
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path for package in ("dmcp", "benchmarks", "tests/harness") for path in (ROOT / package).rglob("*.py")
)
LONGEST_FILE = 600
LONGEST_FUNCTION = 60
EXCUSE = "# Long because "


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def test_every_file_is_short_enough() -> None:
    assert len(MODULES) > 100
    assert not {
        name_of(path): lines
        for path in MODULES
        if (lines := len(text_of(path).splitlines())) > LONGEST_FILE and f"\n{EXCUSE}" not in text_of(path)
    }


def test_every_function_is_short_enough() -> None:
    assert not {
        f"{name_of(path)}: {function.name}": length
        for path in MODULES
        for function in ast.walk(tree_of(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := length_of(function)) > LONGEST_FUNCTION
        if EXCUSE not in source_of(function, text_of(path))
    }


def source_of(function: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> str:
    return "\n".join(text.splitlines()[function.lineno - 1 : function.end_lineno])


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code from ``def`` to the end; its docstring is free."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    free = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - free


def test_every_module_says_what_it_is() -> None:
    assert not [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))]
