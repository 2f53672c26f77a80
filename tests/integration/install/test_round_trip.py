from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.coding_tools.discover import read_sources, sources
from dmcp.cli.coding_tools.formats import contents_of, parsed
from dmcp.cli.coding_tools.install import install, uninstall
from dmcp.cli.coding_tools.model import LaunchCommand
from dmcp.cli.coding_tools.places import places_of
from dmcp.cli.coding_tools.replaced import ReplacedServers
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.errors import ConfigError
from fixtures.importers.goldens import CASES, HERE, laid_out
from fixtures.importers.mutations import MUTATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.coding_tools.model import Scope
    from dmcp.cli.coding_tools.places import Machine

ROUNDS = 12
START = LaunchCommand("/opt/dmcp", ("/etc/dmcp.json",), ("TOKEN",))
FILES = [
    (case, scope)
    for case in CASES
    for scope in ("project", "user")
    if (HERE / case / f"expected-{scope}.json").exists()
    and getattr(
        TOOLS[case.partition("--")[0]].for_install(), scope
    )  # others are imported from the other scope
]


def files_of(root: Path) -> dict[str, bytes]:
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix not in {".bak", ".env"}]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def contents(root: Path) -> dict[str, Any]:
    return {name: contents_of(root / name) for name in files_of(root) if not name.startswith("fronted")}


def fronted(case: str, scope: str, machine: Machine, root: Path) -> ReplacedServers:
    """A dmcp that serves what was imported from these very files."""
    text = (HERE / case / f"expected-{scope}.json").read_text()
    path = root / "fronted.json"
    path.write_text(text.replace("@CWD@", str(machine.cwd)).replace("@HOME@", str(machine.home)))
    return ReplacedServers(path)


@pytest.mark.parametrize(("case", "scope"), FILES)
def test_what_was_imported_is_off_after_replace_and_as_before_after_uninstall(
    case: str, scope: Scope, tmp_path: Path
) -> None:
    root = tmp_path / "r"
    machine = laid_out(case, root)
    behind = fronted(case, scope, machine, root)
    chosen = TOOLS[case.partition("--")[0]].for_install()
    before, bytes_before = contents(root), files_of(root)
    was_on = sources_on(case, scope, machine)
    outcome = install(chosen, scope, machine, START, behind)
    assert was_on <= set(outcome.switches.off) | set(outcome.switches.left_on)
    assert not set(outcome.switches.left_on) & set(behind.names)
    assert not sources_on(case, scope, machine) & set(outcome.switches.off)
    again = install(chosen, scope, machine, START, behind)
    assert (again.was_there, again.switches.off) == (True, ())
    undone = uninstall(chosen, scope, machine)
    assert (set(undone.restored), undone.left) == (set(outcome.switches.off), ())
    assert contents(root) == before
    if (
        chosen.install.off is not None and chosen.name != "goose"
    ):  # YAML is written anew, comments and order kept
        assert files_of(root) == bytes_before


def sources_on(case: str, scope: Scope, machine: Machine) -> set[str]:
    """The servers of a tool's scope that are on, dmcp left out."""
    tool = TOOLS[case.partition("--")[0]].for_install()
    found = read_sources(tool, sources(tool, scope, machine), machine)
    return {server.name for server in found.servers if server.enabled}


@pytest.mark.parametrize(("case", "scope"), FILES)
def test_a_damaged_file_is_refused_and_stays_or_is_edited_and_given_back(
    case: str, scope: Scope, tmp_path: Path
) -> None:
    root, dice = tmp_path / "r", random.Random(f"{case} {scope}")
    machine = laid_out(case, root)
    behind = fronted(case, scope, machine, root)
    chosen = TOOLS[case.partition("--")[0]].for_install()
    places = [path for path, _, _ in places_of(chosen, scope, machine)]
    damaged = next((path for path in places if path.is_file()), places[0])
    damaged.parent.mkdir(parents=True, exist_ok=True)
    original = damaged.read_bytes() if damaged.exists() else b'{"mcpServers": {"a": {"command": "a"}}}'
    outcomes = {"edited": 0, "refused": 0}
    for _ in range(ROUNDS):
        mutated = dice.choice(MUTATIONS)(original, dice)
        damaged.write_bytes(mutated)
        before = files_of(root)
        try:
            meant = parsed(mutated.decode("utf-8-sig"), damaged)
            install(chosen, scope, machine, START, behind)
        except (ConfigError, UnicodeDecodeError):
            shutil.rmtree(machine.home / ".dynamic-mcp", ignore_errors=True)
            assert files_of(root) == before
            outcomes["refused"] += 1
        else:
            assert uninstall(chosen, scope, machine).left == ()
            assert contents_of(damaged) == meant
            outcomes["edited"] += 1
    assert min(outcomes.values()) > 0
