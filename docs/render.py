"""Renders the message tables of docs/architecture.md from the docstrings in dmcp/messages.

Run ``python docs/render.py`` after changing a message; a test fails when the tables and the code differ.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- messages: rendered by docs/render.py -->", "<!-- end of messages -->"


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


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
