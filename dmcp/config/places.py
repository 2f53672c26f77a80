"""Where a user's own configuration lies, which is used where no other is named or found. Imports next to nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE: Final = ("dmcp", "dmcp.json")


def user_file(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    r"""Return the path of the user's default configuration, be it there or not; ``None`` without a home directory.

    Linux and others: ``$XDG_CONFIG_HOME/dmcp/dmcp.json``, else ``~/.config/dmcp/dmcp.json`` (XDG Base Directory
    Specification; a relative ``XDG_CONFIG_HOME`` does not count). macOS: the same if it exists, else
    ``~/Library/Application Support/dmcp/dmcp.json``. Windows: ``%APPDATA%\dmcp\dmcp.json``.
    """
    return next(iter([*existing(candidates(environ, platform)), *candidates(environ, platform)[-1:]]), None)


def candidates(environ: Mapping[str, str], platform: str = sys.platform) -> list[str]:
    """Return where the file may be, the usual place of the platform last."""
    if platform == "win32":
        base = environ.get("APPDATA")
        return [os.path.join(base, *_FILE)] if base else []  # noqa: PTH118 - serving does without pathlib at first
    home = os.path.expanduser("~")  # noqa: PTH111 - likewise
    if not os.path.isabs(home):  # noqa: PTH117 - likewise
        return []
    xdg = environ.get("XDG_CONFIG_HOME", "")
    base = xdg if os.path.isabs(xdg) else os.path.join(home, ".config")  # noqa: PTH117, PTH118 - likewise
    found = [os.path.join(base, *_FILE)]  # noqa: PTH118 - likewise
    if platform == "darwin":
        found.append(os.path.join(home, "Library", "Application Support", *_FILE))  # noqa: PTH118 - likewise
    return found


def existing(paths: list[str]) -> list[str]:
    """Return those that are files."""
    return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113 - likewise
