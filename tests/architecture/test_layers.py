"""Who may import whom: the table of docs/architecture.md, checked against every import statement, nested ones too."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dmcp"
MODULES = sorted(PACKAGE.rglob("*.py"))


def table() -> dict[str, set[str]]:
    """Package -> packages it may import, as docs/architecture.md prints it: the longest matching prefix counts."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.split(r"\| \w+ \| may import \|", page)[1].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {package.strip("`"): set(re.findall(r"`([\w.]+)`", allowed)) for package, allowed in cells}


ALLOWED = table()
# Packages that decide and never wait: nothing in them may reach a file, a socket, a clock, a loop or an actor.
PURE = ("protocol", "config.model", "config.diff", "actors.restart", "messages", "stages")
IO_LIBRARIES = {
    *("anyio", "asyncio", "httpx", "httptools", "h11", "pykka", "socket", "ssl", "subprocess", "threading"),
    *("uvloop", "watchfiles", "click", "rich", "loguru", "filelock", "keyring", "authlib", "selectors"),
    *("signal", "time"),
}
# From the top to the bottom. What may import what within a layer, and who may use errors, log and text, the table says.
LAYERS = (
    ("__main__", "app", "cli"),
    ("actors", "auth"),
    ("stages", "messages", "store"),
    ("downstream", "upstream"),
    ("protocol",),
    ("config.model",),
)


def package_of(module: str) -> str:
    """The package of a dotted name below ``dmcp``: the longest entry of the table that it starts with."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if (name := ".".join(parts[:end])) in ALLOWED:
            return name
    return parts[0]


@cache
def dotted(path: Path) -> str:
    """The module's name below ``dmcp``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a module, those left out that stand below ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        nodes = [node]
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes = [*node.orelse]
        for each in nodes:
            yield each
            yield from at_run_time(each)


def names_in(nodes: Iterator[ast.AST], path: Path) -> set[str]:
    """Every absolute name imported there; for ``from x import y`` this is ``x.y``."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which package they reach"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def imports(path: Path) -> set[str]:
    return names_in(ast.walk(tree_of(path)), path)


def test_every_module_imports_only_from_the_packages_its_own_may_import() -> None:
    wrong = []
    for path in MODULES:
        own = package_of(dotted(path) or "__init__")
        for name in sorted(imports(path)):
            if not name.startswith("dmcp.") or own == "__init__":
                continue
            target = package_of(name.removeprefix("dmcp."))
            if target in ("__version__", own) or target.partition(".")[0] == own:
                continue
            if target not in ALLOWED[own] and target.partition(".")[0] not in ALLOWED[own]:
                wrong.append(f"{dotted(path)} must not import {name}")
    assert not wrong


def test_no_module_that_decides_imports_an_io_library() -> None:
    wrong = {}
    for path in MODULES:
        reached = {name.partition(".")[0] for name in imports(path)} & IO_LIBRARIES
        if package_of(dotted(path)) in PURE and reached:
            wrong[dotted(path)] = reached
    assert not wrong


def test_no_actor_imports_another_actor() -> None:
    exempt = ("runtime", "restart", "__init__")
    modules = [p for p in MODULES if dotted(p).startswith("actors.") and p.stem not in exempt]
    actors = {dotted(path) for path in modules if is_actor(path)}
    assert len(actors) > 3
    wrong = {
        dotted(path): reached
        for path in modules
        if (
            reached := {
                name
                for name in imports(path)
                for other in actors - {dotted(path)}
                if name.startswith(f"dmcp.{other}.")
            }
        )
    }
    assert not wrong


def is_actor(path: Path) -> bool:
    """Whether a module defines a subclass of ``LoopActor``."""
    classes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    return any("LoopActor" in ast.unparse(base) for cls in classes for base in cls.bases)


def test_the_table_knows_every_package() -> None:
    packages = {dotted(path).partition(".")[0] for path in MODULES} - {""}
    known = {name.partition(".")[0] for name in ALLOWED}
    assert packages <= known


def layer_of(package: str) -> int | None:
    """0 is the top; nothing for what the layers do not name."""
    fits = (
        (len(prefix), number)
        for number, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if package == prefix or package.startswith(f"{prefix}.")
    )
    return max(fits, default=(0, None))[1]


def test_no_arrow_of_the_table_points_upwards() -> None:
    wrong = []
    for package, allowed in ALLOWED.items():
        own = layer_of(package)
        for target in allowed:
            other = layer_of(target)
            if own is not None and other is not None and other < own:
                wrong.append(f"{package} -> {target}")
    assert not wrong


def drawing() -> dict[str, set[str]]:
    """The files of dmcp, and which others each imports when it runs, in its functions too."""
    known = {f"dmcp.{dotted(path)}".rstrip("."): path for path in MODULES}
    arrows = {}
    for name, path in known.items():
        reached = names_in(at_run_time(tree_of(path)), path)
        files = {each if each in known else each.rpartition(".")[0] for each in reached}
        arrows[name] = (files & known.keys()) - {name}
    return arrows


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The circles of a drawing, until cutting one arrow of each has left none."""
    found = []
    arrows = {name: set(targets) for name, targets in arrows.items()}
    while True:
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            circle = list(error.args[1])
            found.append(circle)
            arrows[circle[1]].discard(circle[0])
        else:
            return found


def test_the_drawing_of_imports_has_no_circle() -> None:
    assert not circles(drawing()), "each file of a line is imported by the next"


def test_a_circle_would_be_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert not circles({"a": {"b", "c"}, "b": {"c"}, "c": set()})
