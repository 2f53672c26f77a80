"""Records docs/demo.svg: a person's first minutes with dmcp, every command really run in a home that is empty.

Run it with the project's interpreter: ``.venv/bin/python docs/record.py``. It needs a terminal's pseudo devices, so not
Windows. Two things are made up: the prompt, and ``~`` where the temporary home's path stood.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

TARGET: Final = Path(__file__).with_name("demo.svg")
COMMANDS: Final = (
    "dmcp init",
    "dmcp check",
    "dmcp call notes search_notes -a query=marathon",
    "dmcp install claude",
)
_COLUMNS: Final = 112
_PATIENCE: Final = 60  # seconds a command may take


def main() -> None:
    """Run the commands, one after the other, and write the picture."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    with tempfile.TemporaryDirectory(prefix="dmcp-record-") as folder:
        home = Path(folder).resolve()
        project = home / "project"
        project.mkdir()
        for command in COMMANDS:
            console.print(Text.assemble(("~/project $ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(run(command, home, project).replace(str(home), "~")))
    picture = console.export_svg(title="dmcp", theme=MONOKAI, unique_id="dmcp")
    # The reader's own fixed-width font does; a picture fetches nothing.
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    TARGET.write_text(picture, encoding="utf-8")


def run(command: str, home: Path, project: Path) -> str:
    """What a command shows in a terminal; it has to succeed."""
    program, *arguments = command.split()
    path = str(Path(sys.executable).with_name(program))
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - the commands above
        [path, *arguments],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what reading gives on Linux when the other end is closed
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
        if process.wait(_PATIENCE):
            raise SystemExit(f"{command} failed: {shown.decode()}")
    return shown.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
