"""Whether others can read or change a configuration file, in sentences with the command that mends it. POSIX only.

Who can change the file, or put another in its place, chooses what dmcp runs. That others can read it matters only where
secrets stand in it as such, and not as references. Blocks for a few ``stat`` calls.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dmcp.config import redaction

_WRITE: Final = 0o022
_READ: Final = 0o044


def exposed(path: Path, values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each way in which others can read secrets in the file or change what it says."""
    if os.name != "posix":
        return []
    real = Path(os.path.realpath(path))
    try:
        file, folder = real.stat(), real.parent.stat()
    except OSError:
        return []
    return [*_of_file(real, file, has_secrets=has_secrets(values)), *_of_folder(real, folder)]


def _of_file(path: Path, found: os.stat_result, *, has_secrets: bool) -> list[str]:
    shown, mode = shlex.quote(str(path)), f"mode {stat.S_IMODE(found.st_mode):03o}"
    sentences: list[str] = []
    if sys.platform != "win32" and found.st_uid not in (os.geteuid(), 0):
        sentences.append(
            f"{path} belongs to another user, who can change what dmcp runs: use a copy of your own"
        )
    readable = bool(found.st_mode & _READ) and has_secrets
    if found.st_mode & _WRITE:
        command = f"chmod 600 {shown}" if readable else f"chmod go-w {shown}"
        sentences.append(f"others can change {path} ({mode}), and with it what dmcp runs: {command}")
    elif readable:
        sentences.append(f"others can read {path} ({mode}), and there are secrets in it: chmod 600 {shown}")
    return sentences


def _of_folder(path: Path, found: os.stat_result) -> list[str]:
    """Return the sentence on a directory others can write in, but one like /tmp, where what is not theirs stays."""
    others = stat.S_IWOTH if _is_private_group(found.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    if not found.st_mode & others or found.st_mode & stat.S_ISVTX:
        return []
    folder = shlex.quote(str(path.parent))
    return [f"others can put another file in the place of {path}: chmod go-w {folder}"]


def _is_private_group(number: int) -> bool:
    """Return whether a group has no member but the one whose name it bears, as on most distributions."""
    if sys.platform == "win32":
        return True
    import grp  # noqa: PLC0415 - POSIX only
    import pwd  # noqa: PLC0415 - as above

    try:
        group, mine = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == mine and set(group.gr_mem) <= {mine}


def has_secrets(values: Mapping[str, Any]) -> bool:
    """Return whether a configuration has what looks like a secret in it, as such and not as a reference."""
    servers = values.get("mcpServers")
    return isinstance(servers, Mapping) and any(map(_entry_has, servers.values()))


def _entry_has(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    for key in ("env", "headers", "oauth"):
        table = entry.get(key)
        pairs = _texts(table) if isinstance(table, Mapping) else {}
        if redaction.named_values(pairs) != pairs:
            return True
    args = entry.get("args")
    words = [word for word in args if isinstance(word, str)] if isinstance(args, list) else []
    return redaction.arguments(words) != words or _address_has(entry.get("url"))


def _address_has(url: Any) -> bool:
    """Return whether a user or a telling pair of the query stands in an address."""
    if not isinstance(url, str):
        return False
    pairs = dict(pair.partition("=")[::2] for pair in url.partition("?")[2].split("&"))
    if redaction.named_values(pairs) != pairs:
        return True
    user = url.partition("//")[2].partition("/")[0].rpartition("@")[0]
    return ":" in user and "${" not in user


def _texts(table: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): value for name, value in table.items() if isinstance(value, str)}
