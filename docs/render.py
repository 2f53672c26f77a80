"""Renders tables from docstrings: the messages in docs/architecture.md, the limits in docs/security.md.

Run ``python docs/render.py`` after changing a message or a limit; a test fails when the tables and the code differ.
"""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- messages: rendered by docs/render.py -->", "<!-- end of messages -->"

SECURITY = ROOT / "docs" / "security.md"
LIMITS = ROOT / "dmcp" / "protocol" / "limits.py"
EVENTS = ROOT / "docs" / "events.md"
EVENTS_BEGIN, EVENTS_END = "<!-- events: rendered by docs/render.py -->", "<!-- end of events -->"
LIMITS_BEGIN, LIMITS_END = "<!-- limits: rendered by docs/render.py -->", "<!-- end of limits -->"


def tables() -> str:
    """One table for each module of dmcp/messages, in Markdown."""
    modules = sorted((ROOT / "dmcp" / "messages").glob("*.py"))
    parts = [
        _table(ast.parse(path.read_text(encoding="utf-8")), path.stem)
        for path in modules
        if path.name != "__init__.py"
    ]
    return "\n\n".join(parts)


def _table(module: ast.Module, name: str) -> str:
    about = (ast.get_docstring(module) or "").splitlines()[0]
    rows = [
        f"| `{node.name}` | {_fields(node)} | {_sentence(node)} |"
        for node in module.body
        if isinstance(node, ast.ClassDef)
    ]
    head = f"#### {name}\n\n{about}\n\n| message | carries | meaning |\n| --- | --- | --- |\n"
    return head + "\n".join(rows)


def _fields(node: ast.ClassDef) -> str:
    names = [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]
    return ", ".join(f"`{name}`" for name in names) or "-"


def _sentence(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").splitlines()[0].replace("|", "\\|")


def rendered(page: str) -> str:
    """The page with fresh tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def limits_table() -> str:
    """One row for each constant of dmcp/protocol/limits.py, in Markdown."""
    rows: list[str] = []
    body = ast.parse(LIMITS.read_text(encoding="utf-8")).body
    values: dict[str, float] = {}
    for node, after in pairwise(body):
        if not (
            isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
        ):
            continue
        name = node.target.id
        values[name] = _evaluate(node.value, values)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            about = " ".join(str(after.value.value).split()).replace("``", "`").replace("|", "\\|")
            rows.append(f"| `{name}` | {_spell(values[name])} | {about} |")
    return "| name | value | what it bounds |\n| --- | --- | --- |\n" + "\n".join(rows)


def _evaluate(node: ast.expr, known: dict[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _evaluate(left, known) * _evaluate(right, known)
    raise ValueError(f"a limit is a number or a product, not {ast.unparse(node)}")


def _spell(value: float) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    for unit, factor in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if value >= factor and value % factor == 0:
            return f"{value // factor} {unit}"
    return f"{value:,}"


def rendered_security(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, _, rest = page.partition(LIMITS_BEGIN)
    _, _, after = rest.partition(LIMITS_END)
    return f"{before}{LIMITS_BEGIN}\n\n{limits_table()}\n\n{LIMITS_END}{after}"


def rendered_events(page: str) -> str:
    """The page with a fresh table of events between its two marks."""
    before, _, rest = page.partition(EVENTS_BEGIN)
    _, _, after = rest.partition(EVENTS_END)
    module = ast.parse((ROOT / "dmcp" / "messages" / "events.py").read_text(encoding="utf-8"))
    module.body = [node for node in module.body if getattr(node, "name", "") != "Subscribe"]
    table = _table(module, "events").partition("| message")[2]
    return f"{before}{EVENTS_BEGIN}\n\n| event{table}\n\n{EVENTS_END}{after}"


if __name__ == "__main__":
    EVENTS.write_text(rendered_events(EVENTS.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SECURITY.write_text(rendered_security(SECURITY.read_text(encoding="utf-8")), encoding="utf-8")
