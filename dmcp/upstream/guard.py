"""Sees to it that nothing dmcp has started outlives it, even when dmcp is killed and can do nothing any more.

A small shell program, the guard, waits at the other end of a pipe. dmcp tells it which process groups it has started
and which have ended. When dmcp is gone, however that came, the pipe ends, and the guard kills the groups that are
left. This takes the place of the parent-death signal, which only the child itself can ask for: that would need Python
code between fork and exec, or a helper program in every start. It also ends what a server has started itself.

The guard learns a group's number only after the fork. For the moment between, dmcp names, before it forks, the pipe
that will be the server's standard input. The forked child holds the guard's pipe open until it has become the server,
so the guard cannot see the end before the server can be found by its standard input (``/proc``; on Linux).

Threads: every method may be called from any thread. Not on Windows.
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import Final

from dmcp import log

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
    """dmcp's end of the pipe. The guard itself is started at the first use, and again if somebody has ended it."""

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
