"""What stands behind the faults, and the one that does when there is no other: small, correct, made for being watched.

One ``Core`` is one client's session. It speaks JSON-RPC bodies and nothing of transports or faults; what it says comes
out of ``handle`` (about one request) or goes to ``announce`` (of its own accord). Its tools are what a test of a client
wants to call, time, count and be notified by; its resources, prompts and completions are fixed
text. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pydantic_core import to_json

from dmcp import __version__
from dmcp.protocol import jsonrpc
from dmcp.protocol.eras import handshake
from dmcp.protocol.jsonrpc import INVALID_PARAMS, notification, result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from dmcp.fault.journal import Journal
    from dmcp.fault.script import Server
    from dmcp.protocol.jsonrpc import JsonObject, Notification, Request


class OutgoingMessage(NamedTuple):
    """One message of the server; ``method`` is empty for the answer."""

    frame: bytes
    method: str = ""


class Backend(Protocol):
    """What stands behind the faults, for one client: this core, or a wrapped server."""

    def handle(self, call: Request) -> AsyncIterator[OutgoingMessage]:
        """Carry a request out; its answer comes last. Cancelling it cancels the request."""

    def notified(self, note: Notification) -> None:
        """Take a notification of the client."""

    def answered(self, frame: bytes) -> None:
        """Take the client's answer to a request of the server."""

    def takes_batches(self) -> bool:
        """Return whether the negotiated revision has batches."""

    async def aclose(self) -> None:
        """Let the client go. Idempotent."""


class RpcError(Exception):
    """What the client asked for cannot be done; it becomes a JSON-RPC error with this code."""

    def __init__(self, code: int, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
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


_RESOURCES: Final[list[JsonObject]] = [
    {"uri": "fault://text", "name": "text", "description": "Some text", "mimeType": "text/plain"},
    {
        "uri": "fault://bytes",
        "name": "bytes",
        "description": "256 bytes",
        "mimeType": "application/octet-stream",
    },
    {
        "uri": "fault://counter",
        "name": "counter",
        "description": "How often counter ran",
        "mimeType": "text/plain",
    },
    *(
        {"uri": f"fault://item/{number}", "name": f"item {number}", "mimeType": "text/plain"}
        for number in range(1, 6)
    ),
]
_TEMPLATES: Final[list[JsonObject]] = [
    {
        "uriTemplate": "fault://item/{number}",
        "name": "item",
        "description": "Any item",
        "mimeType": "text/plain",
    },
]
_PROMPTS: Final[list[JsonObject]] = [
    {"name": "plain", "description": "Without arguments"},
    {
        "name": "greet",
        "description": "A greeting",
        "arguments": [{"name": "name", "description": "Whom to greet", "required": True}],
    },
]
_COMPLETIONS: Final = {"greet": ("Ada", "Alan", "Grace"), "fault://item/{number}": ("1", "10", "2")}


class Core:
    """A correct server for one client."""

    def __init__(
        self, settings: Server, journal: Journal, announce: Callable[[OutgoingMessage], None]
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._revision = ""
        self._level = _LEVELS.index("info")
        self._subscribed: set[str] = set()
        self._tools = _Tools(settings.extra_tools, journal, self._tell)
        self._handlers: dict[str, Callable[[JsonObject], JsonObject | None]] = {
            "initialize": self._initialize,
            "ping": lambda _: {},
            "tools/list": lambda params: self._page("tools", self._tools.listing(), params),
            "resources/list": lambda params: self._page("resources", _RESOURCES, params),
            "resources/templates/list": lambda params: self._page("resourceTemplates", _TEMPLATES, params),
            "resources/read": lambda params: {
                "contents": [_contents(_string(params, "uri"), journal.runs(""))]
            },
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": lambda params: self._subscribed.discard(_string(params, "uri")),
            "prompts/list": lambda params: self._page("prompts", _PROMPTS, params),
            "prompts/get": lambda params: _prompt(_string(params, "name"), params.get("arguments") or {}),
            "completion/complete": lambda params: {"completion": _completion(params)},
            "logging/setLevel": self._set_level,
        }

    def __repr__(self) -> str:
        return f"<Core {self._revision or 'new'} subscribed={len(self._subscribed)}>"

    async def handle(self, call: Request) -> AsyncIterator[OutgoingMessage]:
        try:
            if call.method == "tools/call" and self._revision:
                async for message in self._tools.call(call):
                    yield message
            else:
                yield OutgoingMessage(result(call.id, to_json(self._answer(call))))
        except RpcError as error:
            yield OutgoingMessage(
                jsonrpc.failure(call.id, jsonrpc.error_object(error.code, str(error), error.details))
            )

    def notified(self, note: Notification) -> None:
        """See ``Backend``. Nothing a client notifies of changes anything here; cancelling is the session's."""

    def answered(self, frame: bytes) -> None:
        """See ``Backend``. What the client answers to ``ask`` is of no interest."""

    def takes_batches(self) -> bool:
        return handshake.allows_batches(self._revision)

    async def aclose(self) -> None:
        self._subscribed.clear()

    def _tell(self, method: str, params: JsonObject) -> None:
        """Send a notification, if the client has asked for it: by a subscription, or by its log level."""
        if method == "notifications/resources/updated" and params["uri"] not in self._subscribed:
            return
        if method == "notifications/message" and _LEVELS.index(params["level"]) < self._level:
            return
        self._announce(OutgoingMessage(notification(method, params or None), method))

    def _answer(self, call: Request) -> JsonObject:
        if call.method not in self._handlers and call.method != "tools/call":
            raise RpcError(jsonrpc.METHOD_NOT_FOUND, f"there is no method {call.method!r}")
        if not self._revision and call.method not in {"initialize", "ping"}:
            raise RpcError(jsonrpc.INVALID_REQUEST, "the session is not initialized: send initialize first")
        return self._handlers[call.method](call.params) or {}

    def _subscribe(self, params: JsonObject) -> None:
        self._subscribed.add(_contents(_string(params, "uri"), 0)["uri"])

    def _set_level(self, params: JsonObject) -> None:
        level = _string(params, "level")
        if level not in _LEVELS:
            raise RpcError(INVALID_PARAMS, f"level must be one of {', '.join(_LEVELS)}, not {level!r}")
        self._level = _LEVELS.index(level)

    def _initialize(self, params: JsonObject) -> JsonObject:
        if self._revision:
            raise RpcError(jsonrpc.INVALID_REQUEST, "the session is initialized already")
        self._revision = handshake.negotiate(_string(params, "protocolVersion"))
        capabilities: JsonObject = {
            "logging": {},
            "prompts": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "tools": {"listChanged": True},
        }
        if handshake.declares_completions(self._revision):
            capabilities["completions"] = {}
        return {
            "protocolVersion": self._revision,
            "capabilities": capabilities,
            "serverInfo": {"name": self._settings.name, "version": __version__},
            "instructions": "A server that misbehaves on purpose.",
        }

    def _page(self, name: str, entries: Sequence[JsonObject], params: JsonObject) -> JsonObject:
        """Return one page of a listing. Cursors are ``p`` and the place of the first entry; clients must not know."""
        cursor, size = params.get("cursor"), self._settings.page_size
        start = 0
        if cursor is not None:
            place = str(cursor).removeprefix("p")
            start = int(place) if place.isdecimal() else -1
            if not 0 < start < len(entries):
                raise RpcError(INVALID_PARAMS, f"cursor {cursor!r} is not one of this listing")
        page: JsonObject = {name: list(entries[start : start + size])}
        if start + size < len(entries):
            page["nextCursor"] = f"p{start + size}"
        return page


def _string(params: JsonObject, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise RpcError(INVALID_PARAMS, f"{name} must be a string")
    return value


def _completion(params: JsonObject) -> JsonObject:
    reference, argument = params.get("ref"), params.get("argument")
    if not isinstance(reference, dict) or not isinstance(argument, dict):
        raise RpcError(INVALID_PARAMS, "ref and argument must be objects")
    key = str(reference.get("name", reference.get("uri")))
    if key not in _COMPLETIONS:
        raise RpcError(jsonrpc.RESOURCE_NOT_FOUND, f"nothing to complete for {key!r}")
    values = [value for value in _COMPLETIONS[key] if value.startswith(str(argument.get("value", "")))]
    return {"values": values, "total": len(values), "hasMore": False}


class _Tools:
    """The tools of one session."""

    def __init__(self, extra: int, journal: Journal, tell: Callable[[str, JsonObject], None]) -> None:
        self._extra = [_tool(f"extra_{number}", f"Echo {number}", _READ_ONLY) for number in range(extra)]
        self._novelty: list[JsonObject] = []
        self._journal = journal
        self._tell = tell

    def listing(self) -> list[JsonObject]:
        """Return all tools, in a stable order."""
        return _LISTING + self._extra + self._novelty

    async def call(self, call: Request) -> AsyncIterator[OutgoingMessage]:
        """Carry out ``tools/call``. Raises ``RpcError``: there is no such tool."""
        name, arguments = call.params.get("name"), call.params.get("arguments") or {}
        if not any(tool["name"] == name for tool in self.listing()):
            raise RpcError(INVALID_PARAMS, f"there is no tool {name!r}")
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
                        yield OutgoingMessage(
                            notification("notifications/progress", params), "notifications/progress"
                        )
            body = self._outcome(str(name), arguments)
        except ValueError as error:
            body = _text(str(error)) | {"isError": True}
        yield OutgoingMessage(result(call.id, to_json(body)))

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
            if level not in _LEVELS:
                raise ValueError(f"level must be one of {', '.join(_LEVELS)}")
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


def _contents(uri: str, runs: int) -> JsonObject:
    """Return what is in a resource; ``runs`` is what ``fault://counter`` says.

    Raises:
        RpcError: there is no such resource.
    """
    if uri == "fault://bytes":
        return {
            "uri": uri,
            "mimeType": "application/octet-stream",
            "blob": b64encode(bytes(range(256))).decode(),
        }
    if uri == "fault://text":
        text = "Příliš žluťoučký kůň 🐎"
    elif uri == "fault://counter":
        text = str(runs)
    elif (number := uri.removeprefix("fault://item/")).isdecimal():
        text = f"item {number}"
    else:
        raise RpcError(jsonrpc.RESOURCE_NOT_FOUND, f"there is no resource {uri!r}", {"uri": uri})
    return {"uri": uri, "mimeType": "text/plain", "text": text}


def _prompt(name: str, arguments: JsonObject) -> JsonObject:
    """Return the messages of a prompt. Raises ``RpcError``: there is no such prompt, or an argument is missing."""
    if name == "plain":
        text = "Say something."
    elif name == "greet":
        if not isinstance(arguments.get("name"), str):
            raise RpcError(INVALID_PARAMS, "prompt 'greet' needs the argument name, a string")
        text = f"Greet {arguments['name']}."
    else:
        raise RpcError(INVALID_PARAMS, f"there is no prompt {name!r}")
    return {"description": name, "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}
