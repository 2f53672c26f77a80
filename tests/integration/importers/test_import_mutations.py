"""A hundred seeded mutations of each fixture: a clear error or a partial import, never a traceback."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dmcp.cli.import_ import Request, run
from dmcp.cli.importers.harvest import find
from dmcp.cli.importers.machine import Machine
from dmcp.config.loading import load
from dmcp.errors import ConfigError
from fixtures.importers.goldens import CASES, HERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 100
FILES = [
    path
    for case in CASES
    for part in ("home", "project")
    for path in sorted((HERE / case / part).rglob("*"))
    if path.is_file()
]
_WORDS = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"5",
    b'"\\ud800"',
    b"-1e999",
    b'""',
    b'"${"',
    b'"$${A}"',
    b"'x'",
    b"\x00",
    b"\xff",
]


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def swap_a_value(content: bytes, dice: random.Random) -> bytes:
    marks = [at for at, byte in enumerate(content) if byte in b":=,["]
    if not marks:
        return content + dice.choice(_WORDS)
    at = dice.choice(marks) + 1
    end = min(
        (found for sign in b",}\n]" if (found := content.find(bytes([sign]), at)) >= 0), default=len(content)
    )
    return content[:at] + b" " + dice.choice(_WORDS) + content[end:]


def flip_bytes(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randrange(1, 4)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def repeat_a_line(content: bytes, dice: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    at = dice.randrange(len(lines))
    return b"".join([*lines[:at], lines[at], *lines[at:]])


def drop_a_line(content: bytes, dice: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[dice.randrange(len(lines))]
    return b"".join(lines)


def mark_and_end_lines_as_windows_does(content: bytes, dice: random.Random) -> bytes:
    return b"\xef\xbb\xbf" * dice.randrange(1, 3) + content.replace(b"\n", b"\r\n")


def nest(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    opening = dice.choice([b"[", b'{"a":', b"- "])
    return content[:at] + opening * dice.choice([3, 300, 3000]) + content[at:]


def swell(content: bytes, dice: random.Random) -> bytes:
    at = content.find(b'"') + 1
    return content[:at] + b"x" * dice.choice([1000, 100_000]) + content[at:]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(cut, swap_a_value, swap_a_value, swap_a_value, flip_bytes, repeat_a_line),
    *(drop_a_line, mark_and_end_lines_as_windows_does, nest),
)


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
        assert refusal is None or not any(output.parent.iterdir())
    capsys.readouterr()
    assert sum(outcomes.values()) == ROUNDS
