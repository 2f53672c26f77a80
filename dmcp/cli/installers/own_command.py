"""Runs a coding tool's own command: ``claude mcp add-json`` and its like. Blocks; runs in commands only."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from dmcp import log
from dmcp.errors import ConfigError
from dmcp.programs import find_program
from dmcp.protocol.environment import helper_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.cli.importers.machine import Machine

_PATIENCE: Final = 120.0  # seconds; these commands take one to three
_LINES_SHOWN: Final = 5


def there(words: Sequence[str], machine: Machine) -> bool:
    """Whether the program is on this machine, and can be given any words.

    On Windows npm installs batch files, through which quotes do not come unharmed: then it counts as absent.
    """
    found = find_program(words[0], {"PATH": "", **machine.environ})
    return found is not None and not found.lower().endswith((".cmd", ".bat"))


def run(words: Sequence[str], machine: Machine) -> None:
    """Run a tool's command to its end.

    Raises:
        ConfigError: it failed; with the last lines it wrote.
    """
    program = find_program(words[0], {"PATH": "", **machine.environ}) or words[0]
    told = " ".join(words[:3])
    try:
        done = subprocess.run(  # noqa: S603 - the tool's own program, with words that dmcp puts together
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
            check=False,
            cwd=machine.cwd,
            env=helper_environment(machine.environ, log.mask),
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{told} did not end within {_PATIENCE:g} s; run it in a terminal to see why"
        ) from None
    except OSError as error:
        raise ConfigError(f"{told} does not start: {error.strerror or error}") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()][-_LINES_SHOWN:]
        said = log.mask(" | ".join(lines)) or "nothing"
        raise ConfigError(f"{told} failed with status {done.returncode}, saying: {said}")
