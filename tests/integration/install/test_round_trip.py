from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli.importers.gather import read_sources, sources
from dmcp.cli.installers.fronted import Fronted
from dmcp.cli.installers.hosts import Start, host
from dmcp.cli.installers.text import contents_of
from dmcp.cli.installers.work import put_in, take_out
from fixtures.importers.goldens import CASES, HERE, laid_out

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.tool import Scope

START = Start("/opt/dmcp", ("/etc/dmcp.json",), ("TOKEN",))
FILES = [
    (case, scope)
    for case in CASES
    for scope in ("project", "user")
    if (HERE / case / f"expected-{scope}.json").exists()
    and getattr(host(case.partition("--")[0]).tool, scope)  # others are imported from the other scope
]


def files_of(root: Path) -> dict[str, bytes]:
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix not in {".bak", ".env"}]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def contents(root: Path) -> dict[str, Any]:
    return {name: contents_of(root / name) for name in files_of(root) if not name.startswith("fronted")}


def fronted(case: str, scope: str, machine: Machine, root: Path) -> Fronted:
    """A dmcp that serves what was imported from these very files."""
    text = (HERE / case / f"expected-{scope}.json").read_text()
    path = root / "fronted.json"
    path.write_text(text.replace("@CWD@", str(machine.cwd)).replace("@HOME@", str(machine.home)))
    return Fronted(path)


@pytest.mark.parametrize(("case", "scope"), FILES)
def test_what_was_imported_is_off_after_replace_and_as_before_after_uninstall(
    case: str, scope: Scope, tmp_path: Path
) -> None:
    root = tmp_path / "r"
    machine = laid_out(case, root)
    behind = fronted(case, scope, machine, root)
    chosen = host(case.partition("--")[0])
    before, bytes_before = contents(root), files_of(root)
    was_on = sources_on(case, scope, machine)
    outcome = put_in(chosen, scope, machine, START, behind)
    assert was_on <= set(outcome.switches.off) | set(outcome.switches.left_on)
    assert not set(outcome.switches.left_on) & set(behind.names)
    assert not sources_on(case, scope, machine) & set(outcome.switches.off)
    again = put_in(chosen, scope, machine, START, behind)
    assert (again.was_there, again.switches.off) == (True, ())
    undone = take_out(chosen, scope, machine)
    assert (set(undone.restored), undone.left) == (set(outcome.switches.off), ())
    assert contents(root) == before
    if (
        chosen.off is not None and chosen.tool.name != "goose"
    ):  # YAML is written anew, comments and order kept
        assert files_of(root) == bytes_before


def sources_on(case: str, scope: Scope, machine: Machine) -> set[str]:
    """The servers of a tool's scope that are on, dmcp left out."""
    tool = host(case.partition("--")[0]).tool
    found = read_sources(tool, sources(tool, scope, machine), machine)
    return {server.name for server in found.servers if server.enabled}
