"""Shows a person a sign-in address: opens their browser and prints the address on stderr.

Never through a shell, never anything but http and https, and never with our stdout: that carries protocol.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dmcp import log

if TYPE_CHECKING:
    from collections.abc import Mapping

_DELETE = 0x7F


def is_openable(url: str) -> bool:
    """Whether a browser may be given an address: http(s) with a host, and nothing a program could misread."""
    if any(c.isspace() or ord(c) < ord(" ") or ord(c) >= _DELETE or c in "\"'`<>\\^|" for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def commands(url: str, environ: Mapping[str, str], platform: str) -> tuple[tuple[str, ...], ...]:
    """The commands that would open an address, the best first; empty when nobody would see a browser."""
    chosen = []
    for entry in environ.get("BROWSER", "").split(";" if platform == "win32" else ":"):
        words = _words(entry, platform)
        if words:
            placed = tuple(word.replace("%s", url) for word in words)
            chosen.append(placed if placed != words else (*words, url))
    if platform == "darwin":
        chosen.append(("open", url))
    elif platform != "win32" and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        chosen.append(("xdg-open", url))
    return tuple(chosen)


def is_available() -> bool:
    """Whether a browser would be seen by somebody. Without one, only ``dmcp auth login`` makes sense."""
    return sys.platform == "win32" or any(shutil.which(c[0]) for c in commands("", os.environ, sys.platform))


def show(url: str, server: str) -> None:
    """Print the address on stderr and open it. Never raises, never waits: a person may also copy it."""
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
    for command in commands(url, os.environ, sys.platform):
        program = shutil.which(command[0])
        if program is None:
            continue
        try:
            subprocess.Popen(  # noqa: S603 - a list of words, no shell; BROWSER is the person's own
                (program, *command[1:]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ).wait()
        except OSError as error:
            log.warning(f"the browser `{command[0]}` does not start: {error.strerror}", server)
            continue
        return
    log.warning("no browser could be opened: open the address by hand", server)


def _words(entry: str, platform: str) -> tuple[str, ...]:
    try:
        if platform != "win32":
            return tuple(shlex.split(entry))
        # Backslashes stay, and so do quotes, which are no part of a program's name.
        return tuple(word.strip('"') for word in shlex.split(entry, posix=False))
    except ValueError:
        return ()  # a quote that does not end: there is no such command
