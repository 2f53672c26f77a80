"""A hundred seeded mutations of each fixture: a clear error or a partial import, never a traceback."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.coding_tools.load import find
from dmcp.cli.coding_tools.places import Machine
from dmcp.cli.import_ import Request, run
from dmcp.config.loading import load
from dmcp.errors import ConfigError
from fixtures.importers.goldens import CASES, HERE
from fixtures.importers.mutations import MUTATIONS, swell

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 100
FILES = [
    path
    for case in CASES
    for part in ("home", "project")
    for path in sorted((HERE / case / part).rglob("*"))
    if path.is_file()
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_a_damaged_file_gives_a_clear_error_or_a_partial_import(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(str(path.relative_to(HERE)))
    original = path.read_bytes()
    machine = Machine(tmp_path / "home", tmp_path, {}, "linux")
    damaged, output = tmp_path / path.name, tmp_path / "out" / "out.json"
    output.parent.mkdir()
    outcomes = {"imported": 0, "refused": 0}
    for turn in range(ROUNDS):
        mutation = swell if turn == 0 else dice.choice(MUTATIONS)
        damaged.write_bytes(mutation(original, dice))
        output.unlink(missing_ok=True)
        before = set(output.parent.iterdir())  # the schema, once something was imported
        try:
            request = Request(output, force=True, merge=False, dry_run=False, ask=False)
            run(request, find(str(damaged), "project", machine))
        except ConfigError as error:
            refusal = str(error)
        else:
            refusal = None
        if refusal is None:
            load(output, {})
        outcomes["imported" if refusal is None else "refused"] += 1
        assert refusal is None or refusal.strip()
        assert refusal is None or set(output.parent.iterdir()) == before
    capsys.readouterr()
    assert sum(outcomes.values()) == ROUNDS
