"""Finds a message on a line among terminal control, and picks what matters out of a failed server's stderr. Pure.

Nothing here searches more of a line than a fixed length, and nothing searches it twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = 0x1B
_MOST: Final = 4096  # bytes of terminal control before or after a message
_OPENING: Final = (b"{", b"[")
_BATCH: Final = (b"{", b"]")

_LOOKED_AT: Final = 200  # characters of a line of stderr
_WORTHLESS: Final = re.compile(
    r"npm (?:notice|warn|WARN)\b|npm (?:error|ERR!) (?:A complete log|[A-Z]:\\|/)|npm (?:error|ERR!)(?: \d{3})?$"
    r"|npm (?:error|ERR!) \d{3} (?:Note that you can also install|tarball, folder, http url)"
    r"|\(Use `node --trace|Node\.js v\d|node:internal|at \S|File \"|Traceback \(most recent|\^+$"
)
_TELLING: Final = (
    *("npm err", "error", "exception", "fatal", "panic", "usage", "missing", "cannot", "not found", "failed"),
    *("invalid", "denied", "refused", "\u00d7"),
)


def message_in(line: bytes) -> bytes | None:
    r"""Return the message of a line without the terminal control around it; ``None`` if there is none.

    Taken away are a byte order mark, control characters and escape sequences (colours, a window's title). A text before
    or after is not: a server that logs what it sends would be believed twice.

    Args:
        line: of a server's stdout, without its line feed.
    """
    start = _after_control(line[:_MOST])
    if line[start : start + 1] not in _OPENING:
        return None
    if line[start : start + 1] == b"[" and line[start + 1 : start + 257].lstrip()[:1] not in _BATCH:
        return None  # "[INFO] started"
    last = max(line.rfind(b"}", -_MOST), line.rfind(b"]", -_MOST))
    rest = line[last + 1 :]
    # An escape sequence may hold a bracket itself ("\x1b]0;title\x07", "\x1b[0m"): look from the first one on.
    escape = line.find(b"\x1b", max(start, len(line) - _MOST))
    if escape >= 0 and _after_control(line[escape:]) == len(line) - escape:
        return line[start:escape]
    if last >= start and rest and _after_control(rest) == len(rest):
        return line[start : last + 1]
    return line[start:]


def _after_control(line: bytes) -> int:
    """Return where the first byte stands that is no terminal control."""
    at, size = 0, len(line)
    while at < size:
        code = line[at]
        if code == _ESCAPE:
            end = _after_escape(line, at + 1)
            if end < 0:
                return at
            at = end
        elif code <= 0x20 or code == 0x7F:  # noqa: PLR2004 - space and what is below, and DEL
            at += 1
        elif line.startswith(_BOM, at):
            at += len(_BOM)
        else:
            return at
    return size


def _after_escape(line: bytes, at: int) -> int:
    """Return where an escape sequence ends (ECMA-48, 5.3 and 5.4), or -1 if it does not; ``at`` is behind the ESC."""
    kind = line[at : at + 1]
    if kind in (b"]", b"P", b"X", b"^", b"_"):  # a text up to BEL or ST
        while at < len(line):
            if line[at] == 0x07:  # noqa: PLR2004 - BEL
                return at + 1
            if line[at] == _ESCAPE:
                return at + 2 if line[at + 1 : at + 2] == b"\\" else -1
            at += 1
        return -1
    at += kind == b"["
    while at < len(line) and 0x20 <= line[at] <= (0x3F if kind == b"[" else 0x2F):  # noqa: PLR2004 - parameters
        at += 1
    return at + 1 if at < len(line) and 0x30 <= line[at] <= 0x7E else -1  # noqa: PLR2004 - the final byte


def unexpanded(args: Sequence[str]) -> str:
    """Return the beginning of the first argument that only a shell would expand (``~/``, ``$HOME``), or nothing."""
    for arg in args:
        value = arg.partition("=")[2] if arg.startswith("-") else arg
        for sign in ("~/", "$HOME"):
            if value.startswith(sign):
                return sign
    return ""


def telling(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines that say why a server failed: those that look like an error, else the last ones.

    Args:
        lines: the end of its stderr; each is bounded already.
        most: how many lines at most.
    """
    stripped = [line.strip() for line in lines]
    worth = [line for line in stripped if line and not _WORTHLESS.match(line[:_LOOKED_AT])]
    errors = [line for line in worth if any(sign in line[:_LOOKED_AT].lower() for sign in _TELLING)]
    if not errors:
        return worth[-most:]
    # The first errors say what it was, the last one how it ended: a traceback's last line, for example.
    return errors if len(errors) <= most else [*errors[: most - 1], errors[-1]]
