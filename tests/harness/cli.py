"""Run a ``dmcp`` command to its end, as a script does: no terminal, everything captured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dmcp
from harness.child import WAIT
from harness.forked import is_possible, run_forked

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(dmcp.__file__).parents[1]


def run_dmcp(
    *arguments: str | Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = WAIT,
) -> subprocess.CompletedProcess[str]:
    """Run ``dmcp ARGUMENTS``, for ``timeout`` seconds at most; forked where that shows the same.

    Its configuration comes from the arguments only, unless ``env`` says otherwise.
    """
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("DYNAMIC_MCP_CONFIG", "DMCP_LOG")
    }
    whole = {**inherited, "PYTHONPATH": str(_ROOT), **(env or {})}
    words = [str(each) for each in arguments]
    if is_possible(words, whole):
        return run_forked(words, stdin, whole, cwd, timeout)
    return subprocess.run(
        [sys.executable, "-m", "dmcp", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=whole,
        cwd=cwd,
    )
