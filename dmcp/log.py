"""Logging: one line an event on stderr, the server's name on each, no secret ever.

loguru is imported at the first line that is really written, because the first answer to the client
does not need it (see the start-up budget in docs/performance.md). stdout is never touched: it carries protocol only.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHORTEST_SECRET = 4
_QUERY = re.compile(r"(\bhttps?://[^\s?#\"']+)\?[^\s#\"']+")
_MASK = "***"

_threshold = LEVELS["warning"]
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None
_ready = False


def set_level(name: str) -> None:
    """Show events from this level up: one of ``LEVELS``; unknown names mean "warning"."""
    global _threshold  # noqa: PLW0603 - one process, one log
    _threshold = LEVELS.get(name.lower(), LEVELS["warning"])


def enabled(name: str) -> bool:
    """Whether an event of this level would be shown; to spare the work of building a text nobody reads."""
    return LEVELS[name] >= _threshold


def hide(secrets: Iterable[str]) -> None:
    """Never show these values again. Values under four characters are no secrets and would garble the log."""
    global _pattern  # noqa: PLW0603 - one process, one log
    new = {s for s in secrets if len(s) >= _SHORTEST_SECRET} - _secrets
    if new:
        _secrets.update(new)
        # Longest first, so that a secret which contains another is masked whole.
        _pattern = re.compile("|".join(re.escape(s) for s in sorted(_secrets, key=len, reverse=True)))


def mask(text: str) -> str:
    """The text without secrets and without the query of any URL in it."""
    if _pattern is not None:
        text = _pattern.sub(_MASK, text)
    return _QUERY.sub(rf"\1?{_MASK}", text)


def debug(text: str, server: str = "dmcp") -> None:
    """An event for the one who looks for a fault."""
    _write("debug", text, server)


def info(text: str, server: str = "dmcp") -> None:
    """Something a person may want to know."""
    _write("info", text, server)


def warning(text: str, server: str = "dmcp") -> None:
    """Something is wrong and dmcp copes with it."""
    _write("warning", text, server)


def error(text: str, server: str = "dmcp") -> None:
    """Something is wrong and a person has to act."""
    _write("error", text, server)


def _to_stderr(line: str) -> None:
    """Write to the standard error of this moment, which need not be that of the first event."""
    sys.stderr.write(line)


def _write(level: str, text: str, server: str) -> None:
    if LEVELS[level] < _threshold:
        return
    from loguru import logger  # noqa: PLC0415 - see the module's docstring

    global _ready  # noqa: PLW0603 - one process, one log
    if not _ready:
        _ready = True
        logger.remove()
        logger.configure(extra={"server": "dmcp"})
        logger.add(
            _to_stderr,
            level=0,
            format="{time:HH:mm:ss.SSS} <level>{level: <7}</level> {extra[server]}: {message}",
            colorize=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            backtrace=False,
            diagnose=False,
        )
    line = mask(text).replace("\n", " | ")
    logger.bind(server=server).log(level.upper(), "{}", line)
