"""What starting and ending a process group takes on each platform. No event loop here.

A server runs in a session (on Windows: a process group) of its own, so that signals meant for dmcp do not reach it and
everything it starts can be ended with it. A command that cannot be found is answered with advice on the usual
mistakes. The guard sees to it that nothing dmcp has started outlives it, even when dmcp is killed and can do nothing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dmcp import log
from dmcp.errors import CommandMissing
from dmcp.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREATE_NO_WINDOW: Final = 0x08000000  # subprocess has it on Windows only
_TASKKILL_TIMEOUT = 5.0  # seconds


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
    """End, on Windows, a process and all it has started; the server itself, when it was started by ``npx.cmd``.

    Blocks for as long as taskkill takes, a fraction of a second: not on the loop. Only for a server that its closed
    input did not end.
    """
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
            timeout=_TASKKILL_TIMEOUT,
            check=False,
        )
        if ended.returncode == 0:
            return True
    with suppress(OSError):  # there is no taskkill, or it was not let: at least the process itself
        os.kill(pid, signal.SIGTERM)  # TerminateProcess
        return True
    return False


def is_group_alive(pid: int) -> bool:
    """Return whether anything of a process group is left."""
    if sys.platform == "win32":
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)
        return True
    return False


def describe_exit(status: int | None) -> str:
    """Return an exit status in words: "exited with status 3", "was killed by SIGSEGV"."""
    if status is None:
        return "ended"
    if status < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
        return f"was killed by signal {-status}"
    return f"exited with status {status}"


_OPERATORS: Final = frozenset({"&&", "||", "|", ";", "&", ">", "<", ">>", "cd", "export", "source", "exec"})
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SECRETIVE: Final = re.compile(r"token|secret|passw|key|auth|credential", re.IGNORECASE)
_LONGEST: Final = 2000  # characters of a command that are looked at


def advice(command: str, args: int) -> str | None:
    """Return what is wrong with a command that was not found, and how to write it; ``None`` if that is not seen."""
    command = command[:_LONGEST]
    words = _words(command)
    if len(words) > 1 or command != command.strip():
        return _advice_on_line(command, words, args)
    if command.startswith("~"):
        return f'~ is not expanded: write "command": {json.dumps(os.path.expanduser(command))}'  # noqa: PTH111 - keeps the rest as it is
    if _VARIABLE.search(command):
        return f'$ alone is not filled in: write "command": {json.dumps(_braced(command))}'
    if command[:1] in "\"'" and words:
        return f'the quotes belong to a shell: write "command": {json.dumps(words[0])}'
    return None


def advice_on_directory(directory: str) -> str | None:
    """Return the same for a working directory that does not exist."""
    if directory.startswith("~"):
        return f'~ is not expanded: write "cwd": {json.dumps(os.path.expanduser(directory))}'  # noqa: PTH111 - likewise
    if _VARIABLE.search(directory):
        return f'$ alone is not filled in: write "cwd": {json.dumps(_braced(directory))}'
    return None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, posix=sys.platform != "win32")
    except ValueError:  # a quote that does not end
        return command.split()


def _advice_on_line(command: str, words: list[str], args: int) -> str:
    if not words:
        return "it is blank"
    if len(words) == 1:
        return f'there is a space around it: write "command": {json.dumps(words[0])}'
    if any(word in _OPERATORS or word.endswith(";") for word in words):
        line = json.dumps(["-c", " ".join(_masked(command.split()))])
        return f'it is a line for a shell: write "command": "sh", "args": {line}'
    given = [word for word in words if _ASSIGNMENT.match(word)]
    given = given[: next((at for at, word in enumerate(words) if word not in given), len(given))]
    program, *rest = [_expanded(word) for word in words[len(given) :]] or [""]
    more = f", and after them the {args} there are" if args else ""
    env = "".join(f', "{name}": "..."' for name in (word.partition("=")[0] for word in given))
    shown = f', "env": {{{env[2:]}}}' if env else ""
    mended = f'"command": {json.dumps(program)}, "args": {json.dumps(_masked(rest))}{shown}'
    return f"it is a whole command line: write {mended}{more}"


def _expanded(word: str) -> str:
    return _braced(os.path.expanduser(word) if word.startswith("~") else word)  # noqa: PTH111 - likewise


def _braced(text: str) -> str:
    return _VARIABLE.sub(r"${\1}", text)


def _masked(words: list[str]) -> list[str]:
    """Return the words without the values of options that sound like a secret: this is shown and logged."""
    shown: list[str] = []
    hides = False
    for word in words:
        name, sign, _ = word.partition("=")
        secretive = bool(_SECRETIVE.search(name)) and word.startswith("-")
        if hides and not word.startswith("-"):
            shown.append("...")
        else:
            shown.append(f"{name}=..." if secretive and sign else word)
        hides = secretive and not sign
    return shown


_SHELL: Final = "/bin/sh"

# The guard puts itself into the background, so that it is no child of dmcp's and not to be waited for.
# What is said on the pipe: "< inode" a server is about to be started on this pipe, "> inode" it no longer is;
# "+ pid" this process group has begun, "- pid" it has ended.
_PROGRAM: Final = r"""
trap '' HUP INT TERM QUIT PIPE
without() {
  case $1 in *" $2 "*) rest="${1%% "$2" *} ${1#* "$2" }" ;; *) rest=$1 ;; esac
}
guard() {
  groups=' ' pipes=' '
  while read -r sign number; do
    case $sign in
      '<') pipes="$pipes$number " ;;
      '>') without "$pipes" "$number"; pipes=$rest ;;
      '+') groups="$groups$number " ;;
      '-') without "$groups" "$number"; groups=$rest ;;
    esac
  done
  for number in $groups; do kill -9 "-$number" 2>/dev/null; done
  [ "$pipes" = ' ' ] || ls -l /proc/[0-9]*/fd/0 2>/dev/null | while read -r line; do
    inode=${line##*pipe:\[}; inode=${inode%]}
    case $pipes in *" $inode "*)
      number=${line#*/proc/}; number=${number%%/*}
      kill -9 "-$number" "$number" 2>/dev/null ;;
    esac
  done
}
exec 3<&0
guard <&3 3<&- >/dev/null 2>&1 &
"""


class Guard:
    """Ends what dmcp has started when dmcp is gone, however that came. Not on Windows.

    A small shell program, the guard, waits at the other end of a pipe; this is dmcp's end. dmcp tells it which process
    groups it has started and which have ended. When the pipe ends, the guard kills the groups that are left. This takes
    the place of the parent-death signal, which only the child itself can ask for: that would need Python code between
    fork and exec, or a helper program in every start. It also ends what a server has started itself.

    The guard learns a group's number only after the fork. For the moment between, dmcp names, before it forks, the pipe
    that will be the server's standard input. The forked child holds the guard's pipe open until it has become the
    server, so the guard cannot see the end before the server can be found by its standard input (``/proc``; on Linux).

    The guard is started at the first use, and again if somebody has ended it. Callable from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._groups: set[int] = set()
        self._failed = False

    def __repr__(self) -> str:
        return f"<Guard of {sorted(self._groups)}>"

    def expect(self, stdin: int) -> int:
        """Say that a server is about to be started with this descriptor as its input; returns the pipe's inode."""
        inode = os.fstat(stdin).st_ino
        with self._lock:
            self._write(f"< {inode}\n")
        return inode

    def started(self, inode: int, pid: int | None) -> None:
        """Say that the start is over: with the group's number, or without when nothing was started."""
        with self._lock:
            if pid is not None:
                self._groups.add(pid)
                self._write(f"+ {pid}\n")
            self._write(f"> {inode}\n")

    def ended(self, pid: int) -> None:
        """Say that nothing of this group is left."""
        with self._lock:
            if pid in self._groups:
                self._groups.discard(pid)
                self._write(f"- {pid}\n")

    def _write(self, what: str) -> None:
        if self._pipe is None and not self._failed:
            self._start()
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, what.encode())
        except BlockingIOError:
            log.warning("what guards the servers does not read; they may outlive dmcp if it is killed")
        except OSError:  # somebody has ended it
            os.close(self._pipe)
            self._pipe = None
            self._start()
            if self._pipe is not None:
                with suppress(OSError):
                    os.write(self._pipe, what.encode())

    def _start(self) -> None:
        """Start the guard and tell it what is running. Blocks for a fork."""
        theirs, ours = os.pipe()
        try:
            getattr(os, "set_blocking", lambda *_: None)(ours, False)  # Windows before 3.12 has none
            shell = subprocess.Popen(  # noqa: S603 - dmcp's own program
                (_SHELL, "-c", _PROGRAM, "dmcp-guard"),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
            threading.Thread(target=shell.wait, name="dmcp-guard", daemon=True).start()  # it ends at once
            for pid in self._groups:
                os.write(ours, f"+ {pid}\n".encode())
        except (OSError, subprocess.SubprocessError) as error:
            os.close(ours)
            self._failed = True
            log.warning(f"nothing guards the servers ({error}): they may outlive dmcp if it is killed")
        else:
            self._pipe = ours
        finally:
            os.close(theirs)


GUARD: Final = Guard()
"""The one of this process."""
