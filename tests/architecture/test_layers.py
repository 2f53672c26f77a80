"""Who may import whom: the table of docs/architecture.md, checked against every import statement, nested ones too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dmcp"
MODULES = sorted(PACKAGE.rglob("*.py"))


def table() -> dict[str, set[str]]:
    """Room -> rooms it may import, as docs/architecture.md prints it. A room is the longest matching prefix."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = page.partition("| room | may import |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {room.strip("`"): set(re.findall(r"`([\w.]+)`", allowed)) for room, allowed in cells}


ALLOWED = table()
# Rooms that decide and never wait: nothing in them may reach a file, a socket, a clock, a loop or an actor.
PURE = ("protocol", "config.model", "config.diff", "actors.restart", "messages")
IO_LIBRARIES = {
    *(
        "anyio",
        "asyncio",
        "httpx",
        "httptools",
        "h11",
        "pykka",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "uvloop",
    ),
    *(
        "watchfiles",
        "click",
        "rich",
        "loguru",
        "filelock",
        "keyring",
        "authlib",
        "selectors",
        "signal",
        "time",
    ),
}


def room_of(module: str) -> str:
    """The room of a dotted name below ``dmcp``: the longest entry of the table that it starts with."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if (name := ".".join(parts[:end])) in ALLOWED:
            return name
    return parts[0]


def dotted(path: Path) -> str:
    """The module's name below ``dmcp``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every absolute name a module imports; for ``from x import y`` both ``x`` and ``x.y``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room they reach"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_imports_only_from_the_rooms_its_own_may_enter(path: Path) -> None:
    own = room_of(dotted(path) or "__init__")
    for name in sorted(imports(path)):
        if not name.startswith("dmcp.") or own == "__init__":
            continue
        target = room_of(name.removeprefix("dmcp."))
        if target in ("__version__", own) or target.partition(".")[0] == own:
            continue
        assert target in ALLOWED[own] or target.partition(".")[0] in ALLOWED[own], (
            f"{own} must not import {name}"
        )


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(dotted(p)) in PURE], ids=dotted)
def test_a_deciding_module_imports_no_io_library(path: Path) -> None:
    reached = {name.partition(".")[0] for name in imports(path)} & IO_LIBRARIES
    assert not reached, f"{dotted(path)} decides and must not import {reached}"


ACTORS = [
    p for p in MODULES if dotted(p).startswith("actors.") and p.stem not in ("runtime", "restart", "__init__")
]


@pytest.mark.parametrize("path", ACTORS, ids=dotted)
def test_an_actor_does_not_import_another_actor(path: Path) -> None:
    others = {dotted(other) for other in ACTORS if other != path and is_actor(other)}
    reached = {name for name in imports(path) for other in others if name.startswith(f"dmcp.{other}")}
    assert not reached


def is_actor(path: Path) -> bool:
    """Whether a module defines a subclass of ``LoopActor``."""
    classes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    return any("LoopActor" in ast.unparse(base) for cls in classes for base in cls.bases)


def test_the_table_knows_every_room() -> None:
    rooms = {dotted(path).partition(".")[0] for path in MODULES} - {""}
    known = {name.partition(".")[0] for name in ALLOWED}
    assert rooms <= known
