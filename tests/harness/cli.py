"""Run a ``dmcp`` command to its end, as a script does: no terminal, everything captured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dmcp
from harness.child import WAIT

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
    """Run ``dmcp ARGUMENTS``, for ``timeout`` seconds at most.

    Its configuration comes from the arguments only, unless ``env`` says otherwise.
    """
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("DYNAMIC_MCP_CONFIG", "DMCP_LOG")
    }
    return subprocess.run(
        [sys.executable, "-m", "dmcp", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**inherited, "PYTHONPATH": str(_ROOT), **(env or {})},
        cwd=cwd,
    )
