"""Shows a user a sign-in address: opens their browser and prints the address on stderr.

Never through a shell, never anything but http and https, and never with our stdout: that carries protocol.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dmcp import log
from dmcp.programs import find_program
from dmcp.protocol.environment import helper_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

_DELETE = 0x7F
_INTERPRETER: Final = re.compile(
    r"(?:ba|da|z|k|mk|pdk|c|tc|fi|a|r)?sh|fish|nu|xonsh|elvish|cmd|powershell|pwsh|busybox|toybox"
    r"|python[\d.]*w?|pypy[\d.]*|perl[\d.]*|ruby[\d.]*|node|nodejs|deno|bun|php[\d.]*|lua[\d.]*|tclsh[\d.]*|wish[\d.]*"
    r"|[gmn]?awk|sed|osascript|wscript|cscript|mshta|rundll32|find|script|emacs|vim?|nvim|gdb"
)
"""Programs that take a program's text as an argument: names without ".exe", in lower case."""
_ALWAYS: Final = frozenset({"ssh", "mosh", "eval", "su", "xargs", "parallel", "watch"})
"""Programs that give their arguments to a shell, here or elsewhere, without being asked to."""
_EVALUATES: Final = re.compile(r"-[A-Za-z]*[cCeErR].*|--(?:eval|print|command|exec|expression|run).*|-x|eval")
"""Arguments that make them run a text. Wide, since no browser is called as those above are."""
_CMD_EVALUATES: Final = re.compile(r"/.*")
"""The same of Windows' ``cmd``, whose switches may be joined (``/d/c``). Elsewhere ``/code/open.py`` is a path."""


def is_openable(url: str) -> bool:
    """Return whether a browser may be given an address: http(s) with a host, and nothing a program could misread."""
    if any(c.isspace() or ord(c) < ord(" ") or ord(c) >= _DELETE or c in "\"'`<>\\^|" for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def commands(url: str, environ: Mapping[str, str], platform: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands that would open an address, the best first; empty when nobody would see a browser."""
    chosen = []
    for entry in environ.get("BROWSER", "").split(";" if platform == "win32" else ":"):
        words = _words(entry, platform)
        if words and not is_program_text(words):
            placed = tuple(word.replace("%s", url) for word in words)
            chosen.append(placed if placed != words else (*words, url))
    if platform == "darwin":
        chosen.append(("open", url))
    elif platform != "win32" and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        chosen.append(("xdg-open", url))
    return tuple(chosen)


def is_program_text(words: tuple[str, ...]) -> bool:
    """Return whether a command of ``BROWSER`` would have a shell or an interpreter run a text: ``sh -c "... %s"``.

    The address, whose writer is a foreign server, would become part of a program. A script that is started by its name,
    or as ``bash open.sh %s``, gets it as an argument and is fine.
    """
    for at, word in enumerate(words):
        if at > 0 and os.path.isdir(word):  # noqa: PTH112 - a word need not be a path
            continue  # a directory runs nothing, whatever it is called: a profile in ".../watch", say
        name = PureWindowsPath(word).name.lower().removesuffix(".exe")
        if name in _ALWAYS or (at == 0 and name.endswith((".bat", ".cmd"))):
            return True  # Windows gives the arguments of a batch file to its shell
        evaluates = _CMD_EVALUATES if name == "cmd" else _EVALUATES
        if _INTERPRETER.fullmatch(name) and any(evaluates.fullmatch(later) for later in words[at + 1 :]):
            return True
    return False


def refused(environ: Mapping[str, str], platform: str) -> str | None:
    """Return the sentence about what of ``BROWSER`` is not used, and why; ``None`` when all of it is."""
    for entry in environ.get("BROWSER", "").split(";" if platform == "win32" else ":"):
        if is_program_text(_words(entry, platform)):
            return (
                "BROWSER has a shell or an interpreter run a text with the address in it, which dmcp does not do: "
                "set it to a browser's program, or to a script that takes the address as its argument"
            )
    return None


def is_available() -> bool:
    """Return whether a browser would be seen by somebody. Without one, only ``dmcp auth login`` makes sense."""
    return sys.platform == "win32" or any(
        find_program(words[0], os.environ) for words in commands("", os.environ, sys.platform)
    )


def show(url: str, server: str) -> None:
    """Print the address on stderr and open it. Never raises, never waits: a user may also copy it."""
    if not is_openable(url):
        log.error("the address to sign in at is not a plain http(s) address and is not opened", server)
        return
    # Not through the log: it would mask the query, without which the address is useless.
    sys.stderr.write(f"dmcp: to sign in to {server}, open\n  {url}\n")
    sys.stderr.flush()
    # A thread of its own, because some browsers run until their window is closed and have to be waited for.
    threading.Thread(target=_open, args=(url, server), name=f"browser-{server}", daemon=True).start()


def _open(url: str, server: str) -> None:
    if sys.platform == "win32" and not os.environ.get("BROWSER"):
        try:
            os.startfile(url)  # noqa: S606 - the address is checked, and there is no shell in between
        except OSError as error:
            log.warning(f"the browser does not start: {error.strerror}; open the address by hand", server)
        return
    if (sentence := refused(os.environ, sys.platform)) is not None:
        log.warning(sentence, server)
    for command in commands(url, os.environ, sys.platform):
        program = find_program(command[0], os.environ)
        if program is None:
            continue
        if sys.platform == "win32" and program.lower().endswith((".bat", ".cmd")):
            continue  # a batch file that BROWSER names without its ending: see is_program_text
        try:
            subprocess.Popen(  # noqa: S603 - a list of words, no shell; BROWSER is the user's own
                (program, *command[1:]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=helper_environment(os.environ, log.mask),
            ).wait()
        except OSError as error:
            log.warning(f"the browser `{command[0]}` does not start: {error.strerror}", server)
            continue
        return
    log.warning("no browser could be opened: open the address by hand", server)


def _words(entry: str, platform: str) -> tuple[str, ...]:
    try:
        if platform != "win32":
            words = shlex.split(entry)
            # "firefox %s &" asks a shell to run it in the background, which it does anyway.
            return tuple(words[:-1] if words[-1:] == ["&"] else words)
        # Backslashes stay, and so do quotes, which are no part of a program's name.
        return tuple(word.strip('"') for word in shlex.split(entry, posix=False))
    except ValueError:
        return ()  # a quote that does not end: there is no such command
