"""One line of the log: what it carries, and how it is written as text or JSON. Not here: when (``log``)."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp.masking import mask
from dmcp.protocol.limits import MAX_LOG_LINE
from dmcp.text import escaped_json, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loguru import Logger

OWN: Final = "dmcp"
"""The name on lines that are about no server."""

_LABEL: Final = 100  # characters of a server's name
_MAX_ITEMS: Final = 20  # of a list or object in an event
_MAX_DEPTH: Final = 3  # of lists and objects in an event

_logger: Logger | None = None
_ready: list[str] = []


class Line(NamedTuple):
    """One line. Without a level it is text as somebody wrote it to ``sys.stderr``.

    Attributes:
        at: seconds since the epoch.
        level: one of ``LEVELS``.
        server: whom it is about.
        text: the sentence.
        event: the name of the event's type; empty when it is none.
        fields: of the event, bounded.
    """

    at: float
    level: str
    server: str
    text: str
    event: str = ""
    fields: Mapping[str, Any] | None = None

    @property
    def size(self) -> int:
        """Return how many characters wait."""
        return len(self.text) + (_size(self.fields) if self.fields else 0)


def label(server: str) -> str:
    """Return a server's name as the log shows it."""
    return printable(mask(server), _LABEL)


def bounded(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return a value of an event as JSON can have it, cut so that what waits is small."""
    if isinstance(value, str):
        return value[: MAX_LOG_LINE * 4]
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, dict):
        return {str(key)[:_LABEL]: bounded(item, depth - 1) for key, item in list(value.items())[:_MAX_ITEMS]}
    if depth and isinstance(value, list | tuple):
        return [bounded(item, depth - 1) for item in value[:_MAX_ITEMS]]
    return str(value)[:_LABEL]


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(key) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str) else 8


def as_text(line: Line, *, terminal: bool) -> str:
    """Return the line as it is written, with its end. In the log's thread, or at once in a command."""
    if not line.level:
        return printable(line.text, None, lines=True)
    text = printable(mask(line.text.strip().replace("\r\n", "\n").replace("\n", " | "), MAX_LOG_LINE), None)
    at = datetime.fromtimestamp(line.at).astimezone().isoformat(timespec="milliseconds")[:23]
    level, server = line.level.upper(), label(line.server)
    if not terminal or "NO_COLOR" in os.environ:
        return f"{at} {level:<7} {server}: {text}\n"
    global _logger  # noqa: PLW0603 - one process, one log
    if _logger is None:
        _logger = _make_logger()
    _logger.bind(server=server, at=at).log(level, "{}", text)
    written = "".join(_ready)
    _ready.clear()
    return written


def as_json(line: Line) -> str:
    """Return the line as a JSON object, with its end: secrets masked, what a terminal would obey as escapes."""
    value: dict[str, Any] = {
        "time": datetime.fromtimestamp(line.at).astimezone().isoformat(timespec="milliseconds"),
        "level": line.level,
        "event": line.event or "LogMessage",
    }
    if line.server != OWN:
        value["group"] = mask(line.server, _LABEL)
    value.update({key: _masked(item) for key, item in (line.fields or {}).items()})
    if line.text:
        value["message"] = mask(line.text.strip(), MAX_LOG_LINE)
    return escaped_json(json.dumps(value, ensure_ascii=False)) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value, MAX_LOG_LINE)
    if isinstance(value, dict):
        return {mask(key): _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _make_logger() -> Logger:
    from loguru import logger  # noqa: PLC0415 - its colours are for terminals, and importing it takes 10 ms

    logger.remove()
    logger.add(
        _ready.append,
        level=0,
        format="{extra[at]} <level>{level: <7}</level> {extra[server]}: {message}",
        colorize=True,
        backtrace=False,
        diagnose=False,
    )
    return logger
