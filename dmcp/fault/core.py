"""The server behind the faults when there is no other: small, correct, and made for being watched.

One ``Core`` is one client's session. It speaks JSON-RPC bodies and nothing of transports or faults; what it says
comes out of ``work`` (about one request) or goes to ``announce`` (on its own account). Runs on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

from dmcp import __version__
from dmcp.fault.behind import Saying
from dmcp.fault.shelf import COMPLETIONS, PROMPTS, RESOURCES, TEMPLATES, contents, prompt
from dmcp.fault.tools import LEVELS, ToolIndex
from dmcp.fault.trouble import Trouble
from dmcp.protocol.eras import handshake
from dmcp.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    error_object,
    failure,
    notification,
    result,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from dmcp.fault.journal import Journal
    from dmcp.fault.script import Server
    from dmcp.protocol.jsonrpc import JsonObject, Notification, Request


_METHODS: Final = frozenset(
    {
        "initialize",
        "ping",
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
    }
)  # fmt: skip - one name a line would say no more


class Core:
    """A correct server for one client."""

    def __init__(self, settings: Server, journal: Journal, announce: Callable[[Saying], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._revision = ""
        self._level = LEVELS.index("info")
        self._subscribed: set[str] = set()
        self._journal = journal
        self._tools = ToolIndex(settings.extra_tools, journal, self._tell)

    def __repr__(self) -> str:
        return f"<Core {self._revision or 'new'} subscribed={len(self._subscribed)}>"

    async def work(self, call: Request) -> AsyncIterator[Saying]:
        """See ``Behind``."""
        try:
            self._admit(call.method)
            if call.method == "tools/call":
                async for saying in self._tools.call(call):
                    yield saying
            else:
                yield Saying(result(call.id, to_json(self._answer(call))))
        except Trouble as trouble:
            yield Saying(failure(call.id, error_object(trouble.code, str(trouble), trouble.details)))

    def heard(self, note: Notification) -> None:
        """See ``Behind``. Nothing a client notifies of changes anything here; cancelling is the session's."""

    def answered(self, frame: bytes) -> None:
        """See ``Behind``. What the client answers to ``ask`` is of no interest."""

    def takes_batches(self) -> bool:
        """See ``Behind``."""
        return handshake.allows_batches(self._revision)

    async def aclose(self) -> None:
        """See ``Behind``."""
        self._subscribed.clear()

    def _tell(self, method: str, params: JsonObject) -> None:
        """Say something on its own account, if the client wants to hear it."""
        if method == "notifications/resources/updated" and params["uri"] not in self._subscribed:
            return
        if method == "notifications/message" and LEVELS.index(params["level"]) < self._level:
            return
        self._announce(Saying(notification(method, params or None), method))

    def _admit(self, method: str) -> None:
        if method not in _METHODS:
            raise Trouble(METHOD_NOT_FOUND, f"there is no method {method!r}")
        if not self._revision and method not in {"initialize", "ping"}:
            raise Trouble(INVALID_REQUEST, "the session is not initialized: send initialize first")

    def _answer(self, call: Request) -> JsonObject:
        match call.method:
            case "initialize":
                return self._initialize(call.params)
            case "tools/list":
                return self._page("tools", self._tools.listing(), call.params)
            case "resources/list":
                return self._page("resources", RESOURCES, call.params)
            case "resources/templates/list":
                return self._page("resourceTemplates", TEMPLATES, call.params)
            case "prompts/list":
                return self._page("prompts", PROMPTS, call.params)
            case _:
                return self._carry_out(call)

    def _carry_out(self, call: Request) -> JsonObject:
        match call.method:
            case "resources/read":
                uri = _text(call.params, "uri")
                return {"contents": [contents(uri, self._journal.runs(""))]}
            case "resources/subscribe":
                uri = _text(call.params, "uri")
                contents(uri, 0)
                self._subscribed.add(uri)
            case "resources/unsubscribe":
                self._subscribed.discard(_text(call.params, "uri"))
            case "prompts/get":
                return prompt(_text(call.params, "name"), call.params.get("arguments") or {})
            case "completion/complete":
                return {"completion": _completion(call.params)}
            case "logging/setLevel":
                level = _text(call.params, "level")
                if level not in LEVELS:
                    raise Trouble(INVALID_PARAMS, f"level must be one of {', '.join(LEVELS)}, not {level!r}")
                self._level = LEVELS.index(level)
        return {}  # ping too

    def _initialize(self, params: JsonObject) -> JsonObject:
        if self._revision:
            raise Trouble(INVALID_REQUEST, "the session is initialized already")
        self._revision = handshake.negotiate(_text(params, "protocolVersion"))
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
        """One page of a listing. Cursors are ``p`` and the place of the first entry; clients must not know."""
        cursor, size = params.get("cursor"), self._settings.page_size
        start = 0
        if cursor is not None:
            place = str(cursor).removeprefix("p")
            start = int(place) if place.isdecimal() else -1
            if not 0 < start < len(entries):
                raise Trouble(INVALID_PARAMS, f"cursor {cursor!r} is not one of this listing")
        page: JsonObject = {name: list(entries[start : start + size])}
        if start + size < len(entries):
            page["nextCursor"] = f"p{start + size}"
        return page


def _text(params: JsonObject, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise Trouble(INVALID_PARAMS, f"{name} must be a string")
    return value


def _completion(params: JsonObject) -> JsonObject:
    reference, argument = params.get("ref"), params.get("argument")
    if not isinstance(reference, dict) or not isinstance(argument, dict):
        raise Trouble(INVALID_PARAMS, "ref and argument must be objects")
    key = str(reference.get("name", reference.get("uri")))
    if key not in COMPLETIONS:
        raise Trouble(RESOURCE_NOT_FOUND, f"nothing to complete for {key!r}")
    values = [value for value in COMPLETIONS[key] if value.startswith(str(argument.get("value", "")))]
    return {"values": values, "total": len(values), "hasMore": False}
