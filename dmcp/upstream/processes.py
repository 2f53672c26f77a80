"""What starting and ending a process group takes on each platform. No event loop here.

A server runs in a session (on Windows: a process group) of its own, so that signals meant for dmcp do not reach it
and everything it starts can be ended with it.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dmcp.errors import CommandMissing
from dmcp.programs import find_program
from dmcp.upstream.command_lines import advice, advice_on_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREATE_NO_WINDOW: Final = 0x08000000  # subprocess has it on Windows only
_TASKKILL_PATIENCE = 5.0  # seconds


def resolve_command(command: str, env: Mapping[str, str], cwd: str | None, args: int = 0) -> str:
    """Return the executable a command means, looked up in the server's own PATH. Blocks, maybe for long.

    Raises:
        CommandMissing: there is none, or the working directory does not exist.
    """
    if cwd is not None and not Path(cwd).is_dir():
        told = "is not a directory" if Path(cwd).exists() else "does not exist"
        more = advice_on_directory(cwd)
        raise CommandMissing(f"the working directory {cwd} {told}{f': {more}' if more else ''}")
    named = command
    if os.path.dirname(command) and cwd is not None:  # noqa: PTH120 - Path would drop a leading "./"
        command = os.path.join(cwd, command)  # noqa: PTH118 - an absolute command stays absolute in both
    found = find_program(command, env)
    if found is None:
        if os.path.isfile(command):  # noqa: PTH113 - the same test as which makes
            raise CommandMissing(
                f"the command {command} is not executable: make it so with chmod +x, or name the program that runs it"
                ' as "command" and this file in "args"'
            )
        if os.path.isdir(command):  # noqa: PTH112 - likewise
            raise CommandMissing(f"the command {command} is a directory")
        more = advice(named, args)
        if more is not None:
            raise CommandMissing(f"the command {named} was not found: {more}")
        raise CommandMissing(
            f'the command {command} was not found: install it, or give the full path as "command"'
        )
    return os.path.abspath(found)  # noqa: PTH100 - resolving links would change what npx and venvs start


def group_options() -> dict[str, Any]:
    """Return the options that have the loop start a subprocess in a group of its own."""
    if sys.platform == "win32":
        import subprocess  # noqa: PLC0415 - its constant exists on Windows only

        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"start_new_session": True}


def signal_group(pid: int, *, kill: bool) -> bool:
    """Ask a whole process group to end, or make it; returns whether anything of it was still there.

    Args:
        pid: of the group's leader, which may have ended already.
        kill: SIGKILL instead of SIGTERM. Windows knows only the former, and needs the leader to find the others.
    """
    if sys.platform == "win32":
        return _end_tree(pid)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL if kill else signal.SIGTERM)
        return True
    return False


def _end_tree(pid: int) -> bool:
    """On Windows: end a process and all it has started; the server itself, when it was started by ``npx.cmd``.

    Blocks for as long as taskkill takes, a fraction of a second: not on the loop. Only for a server that its closed
    input did not end.
    """
    import subprocess  # noqa: PLC0415 - Windows only

    # By its path: what the working directory holds under this name is not to be run.
    taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")  # noqa: PTH118 - likewise
    with suppress(OSError, subprocess.TimeoutExpired):
        ended = subprocess.run(  # noqa: S603 - a program of the system and a number
            (taskkill, "/T", "/F", "/PID", str(pid)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=_CREATE_NO_WINDOW,
            env={name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ},
            timeout=_TASKKILL_PATIENCE,
            check=False,
        )
        if ended.returncode == 0:
            return True
    with suppress(OSError):  # there is no taskkill, or it was not let: at least the process itself
        os.kill(pid, signal.SIGTERM)  # TerminateProcess
        return True
    return False


def is_group_alive(pid: int) -> bool:
    """Whether anything of a process group is left."""
    if sys.platform == "win32":
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)
        return True
    return False


def how_it_ended(status: int | None) -> str:
    """An exit status in words: "exited with status 3", "was killed by SIGSEGV"."""
    if status is None:
        return "ended"
    if status < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
        return f"was killed by signal {-status}"
    return f"exited with status {status}"
