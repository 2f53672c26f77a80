"""The tools of the well-behaved core: what a test of a client wants to call, time, count and be notified by."""

from __future__ import annotations

import asyncio
import os
from math import inf
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from dmcp.fault.behind import Saying
from dmcp.fault.trouble import Trouble
from dmcp.protocol.jsonrpc import INVALID_PARAMS, notification, result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dmcp.fault.journal import Journal
    from dmcp.protocol.jsonrpc import JsonObject, Request

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_MAX_BLOB: Final = 256 * 1024 * 1024
_CHANGES: Final = {
    "tools": "notifications/tools/list_changed",
    "resources": "notifications/resources/list_changed",
    "prompts": "notifications/prompts/list_changed",
}
_READ_ONLY: Final = {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False}
_WRITES: Final = {"readOnlyHint": False, "idempotentHint": False, "destructiveHint": False}


def _tool(
    name: str, description: str, annotations: JsonObject, required: str = "", **properties: str
) -> JsonObject:
    kinds = {key: {"type": kind} for key, kind in properties.items()}
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": kinds, "required": required.split()},
        "annotations": annotations,
    }


_SUM: Final = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}
_LISTING: Final[list[JsonObject]] = [
    _tool("echo", "Say it again", _READ_ONLY, "text", text="string"),
    _tool("add", "Add two numbers", _READ_ONLY, "a b", a="number", b="number") | {"outputSchema": _SUM},
    _tool("sleep", "Answer after some milliseconds", _READ_ONLY, "ms", ms="number"),
    _tool("blob", "Answer with this many characters", _READ_ONLY, "bytes", bytes="integer"),
    _tool("progress", "Report progress n times, every ms", _READ_ONLY, "n", n="integer", ms="number"),
    _tool("counter", "Count this execution; not idempotent", _WRITES, key="string"),
    _tool("pid", "The id of the server's process", _READ_ONLY),
    _tool("fail", "A tool error", _READ_ONLY, text="string"),
    _tool(
        "announce",
        "Notify of: tools, resources, prompts (a changed list), log (at a level), resource (updated, by uri)",
        _WRITES,
        "what",
        what="string",
        level="string",
        uri="string",
    ),
]


class ToolIndex:
    """The tools of one session."""

    def __init__(self, extra: int, journal: Journal, tell: Callable[[str, JsonObject], None]) -> None:
        self._extra = [_tool(f"extra_{number}", f"Echo {number}", _READ_ONLY) for number in range(extra)]
        self._novelty: list[JsonObject] = []
        self._journal = journal
        self._tell = tell

    def listing(self) -> list[JsonObject]:
        """All tools, in a stable order."""
        return _LISTING + self._extra + self._novelty

    async def call(self, call: Request) -> AsyncIterator[Saying]:
        """Carry out ``tools/call``.

        Raises:
            Trouble: there is no such tool.
        """
        name, arguments = call.params.get("name"), call.params.get("arguments") or {}
        if not any(tool["name"] == name for tool in self.listing()):
            raise Trouble(INVALID_PARAMS, f"there is no tool {name!r}")
        token = (call.params.get("_meta") or {}).get("progressToken")
        try:
            if name == "sleep":
                await asyncio.sleep(_number(arguments, "ms") / 1000)
            if name == "progress":
                total = int(_number(arguments, "n"))
                for done in range(1, total + 1):
                    await asyncio.sleep(_number(arguments, "ms", 0) / 1000)
                    if token is not None:
                        params = {"progressToken": token, "progress": done, "total": total}
                        yield Saying(notification("notifications/progress", params), "notifications/progress")
            body = self._outcome(str(name), arguments)
        except ValueError as error:
            body = _text(str(error)) | {"isError": True}
        yield Saying(result(call.id, to_json(body)))

    def _outcome(self, name: str, arguments: JsonObject) -> JsonObject:  # noqa: PLR0911 - one line a tool
        match name:
            case "echo":
                return _text(str(arguments.get("text", "")))
            case "add":
                total = _number(arguments, "a", least=-inf) + _number(arguments, "b", least=-inf)
                return _text(str(total)) | {"structuredContent": {"sum": total}}
            case "blob":
                return _text("x" * min(int(_number(arguments, "bytes")), _MAX_BLOB))
            case "counter":
                return self._counted(str(arguments.get("key", "")))
            case "pid":
                return _text(str(os.getpid()))
            case "fail":
                raise ValueError(str(arguments.get("text", "failed as asked")))
            case "announce":
                return self._announced(arguments)
            case _:
                return _text("done")

    def _counted(self, key: str) -> JsonObject:
        count = self._journal.ran("counter", key)
        self._tell("notifications/resources/updated", {"uri": "fault://counter"})
        return _text(str(count))

    def _announced(self, arguments: JsonObject) -> JsonObject:
        what = arguments.get("what")
        if what == "log":
            level = arguments.get("level", "info")
            if level not in LEVELS:
                raise ValueError(f"level must be one of {', '.join(LEVELS)}")
            self._tell("notifications/message", {"level": level, "logger": "fault", "data": "announced"})
        elif what == "resource":
            self._tell("notifications/resources/updated", {"uri": str(arguments.get("uri", "fault://text"))})
        elif what in _CHANGES:
            if what == "tools":  # a list that is said to have changed has
                self._novelty = [] if self._novelty else [_tool("novelty", "Comes and goes", _READ_ONLY)]
            self._tell(_CHANGES[what], {})
        else:
            raise ValueError(f"what must be log, resource, {', '.join(_CHANGES)}")
        return _text("announced")


def _text(text: str) -> JsonObject:
    return {"content": [{"type": "text", "text": text}]}


def _number(arguments: JsonObject, name: str, default: Any = None, least: float = 0.0) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise ValueError(f"{name} must be a number" + (f" of at least {least:g}" if least > -inf else ""))
    return value
