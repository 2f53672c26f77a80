"""What is in the wheel: the package, every module of which a command reaches. No tests, generators or caches."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dmcp.cli.main import COMMANDS
from harness.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"dmcp.__main__", "dmcp.fault.__main__", "dmcp.demo.notes", "dmcp.demo.units"}


def test_the_wheel_is_the_package_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["dmcp"]}
    files = [
        path for path in (ROOT / "dmcp").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert [path.name for path in files if path.suffix != ".py"] == ["py.typed"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # hatchling leaves out the same
    assert "__pycache__/" in ignored


def test_every_module_is_reached_from_a_command() -> None:
    """Else it is for developers only, and belongs to docs/, benchmarks/ or tests/."""
    arrows = load_script(Path(__file__).with_name("test_layers.py")).drawing()
    reached = PROGRAMS | {f"dmcp.cli.{module}" for module, _ in COMMANDS.values()}
    left = list(reached)
    while left:
        name = left.pop()
        packages = {name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)}
        fresh = (arrows.get(name, set()) | packages) - reached
        reached |= fresh
        left += fresh
    assert not arrows.keys() - reached
