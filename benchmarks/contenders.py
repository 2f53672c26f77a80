"""Who is measured: the project as it stands here, and the predecessor's binary in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / ".bench"
PREDECESSOR = "dmcp==1.5.0"
_SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy that can be started with a configuration file."""

    name: str
    command: tuple[str, ...]

    def start_with(self, config: Path) -> list[str]:
        """The command line."""
        return [*self.command, str(config)]


def project() -> Contender:
    """The working tree, run by the interpreter that runs the benchmark."""
    return Contender("dmcp", (sys.executable, "-m", "dmcp"))


def predecessor() -> Contender:
    """The predecessor, installed on first use."""
    home = STORE / "predecessor"
    binary = home / _SCRIPTS / ("dmcp.exe" if sys.platform == "win32" else "dmcp")
    if not binary.exists():
        print(f"installing {PREDECESSOR} into {home} ...", file=sys.stderr)
        venv.create(home, with_pip=True)
        python = home / _SCRIPTS / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", PREDECESSOR], check=True)
    return Contender("predecessor", (str(binary),))


def stdio_upstream(*options: str) -> dict[str, Any]:
    """A configuration entry for ``benchmarks/upstream.py``, started as cheaply as Python can be."""
    script = str(ROOT / "benchmarks" / "upstream.py")
    return {"description": "bench", "command": sys.executable, "args": ["-I", "-S", script, *options]}


def write_config(name: str, servers: dict[str, dict[str, Any]]) -> Path:
    """A configuration file in the store."""
    STORE.mkdir(exist_ok=True)
    path = STORE / f"{name}.json"
    path.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    return path
