"""Find programs by their names, for everything dmcp starts: servers, browsers, coding tools' own commands."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_program(command: str, env: Mapping[str, str]) -> str | None:
    """Return the file a command means in this environment's PATH, or ``None``. Blocks.

    On Windows the usual functions look into the working directory first, which may be anybody's: here it is left out.
    """
    if sys.platform != "win32":
        return shutil.which(command, path=env.get("PATH"))
    endings = [ending for ending in env.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";") if ending]
    complete = any(command.lower().endswith(ending.lower()) for ending in endings)
    names = [command] if complete else [command + ending for ending in endings]
    if os.path.dirname(command):  # noqa: PTH120 - Path would drop a leading "./"
        folders = [""]
    else:
        folders = [folder.strip('"') for folder in env.get("PATH", "").split(";")]
        folders = [folder for folder in folders if folder]
    candidates = (os.path.join(folder, name) for folder in folders for name in names)  # noqa: PTH118 - as which
    return next((one for one in candidates if os.path.isfile(one)), None)  # noqa: PTH113 - as which does it
