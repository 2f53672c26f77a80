"""The handshake era, MCP 2024-11-05 to 2025-11-25: ``initialize`` first, then methods of both sides on one session.

Between ``dmcp.protocol.operations`` and JSON-RPC: what methods and params an operation has, what was negotiated, which
revision differs in what. The only module that compares revisions or knows the era's method names. It sends nothing and
waits for nothing; one class per role: ``ServerSession`` towards the client, ``ClientSession`` towards an upstream.
Not here: what a server may ask the client for (``dmcp.protocol.server_requests``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp import __version__
from dmcp.errors import DownstreamError, UpstreamError
from dmcp.protocol import jsonrpc
from dmcp.protocol import operations as ops
from dmcp.protocol.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND
from dmcp.protocol.limits import MAX_ID
from dmcp.protocol.wire import encode, is_object, is_raw, members, opened, scalar, text_of
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind

# Revisions ------------------------------------------------------------------------------------------------------------

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST: Final = REVISIONS[-1]
_BEFORE: Final = "2024-10-07"  # never released, yet spoken by old servers; for dmcp as 2024-11-05
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSUPPORTED: Final = -32022  # UnsupportedProtocolVersion, of the stateless era
_READ: Final = 8192  # characters of a refusal that are looked through


def negotiate(asked: str) -> str:
    """Return the revision to answer a client with: the one it asked for if known, else the latest."""
    return asked if asked in REVISIONS else LATEST


def is_known(revision: object) -> bool:
    """Return whether dmcp can speak what an upstream answered with."""
    return revision in REVISIONS or revision == _BEFORE


def allows_batches(revision: str) -> bool:
    """Return whether a revision has JSON-RPC batches: only 2025-03-26 does."""
    return revision == "2025-03-26"


def declares_completions(revision: str) -> bool:
    """Return whether completion is a capability; before 2025-03-26 it needed no declaration."""
    return revision != "2024-11-05"


def next_offer(offered: Collection[str], code: object, said: str) -> str | None:
    """Return the revision to ask a server with next that has refused the last one in an error, ``None`` for none.

    The newest that it names, else the next older one; each at most once, so there are few.

    Args:
        offered: what it has refused.
        code: of its last error.
        said: the error's message and data, as text.
    """
    said = said[:_READ]
    named, lower = set(_DATE.findall(said)), said.lower()
    about = code == _UNSUPPORTED or bool(named) or re.search("version|revision|protocol", lower)
    left = [revision for revision in (*reversed(REVISIONS), _BEFORE) if revision not in offered]
    if not about or not left:
        return None
    known = (revision for revision in left if revision in named)
    return next(known, left[0] if left[0] != _BEFORE else None)


# Requests of the client -----------------------------------------------------------------------------------------------

INITIALIZE: Final = "initialize"
PING: Final = "ping"
"""What either side may ask at any time; dmcp answers it itself."""


class Initialize(NamedTuple):
    """Open the session. ``params`` decoded and not checked; ``ServerSession.initialize`` reads them."""

    params: JsonObject


_OF_INITIALIZE: Final = ("protocolVersion", "capabilities", "clientInfo")


class ClientRequest(NamedTuple):
    """A request of the client, understood.

    Attributes:
        operation: what it asks.
        progress_token: the client's, if it wants progress and the token is one.
        meta: what else is in ``_meta`` (trace context, keys nobody here knows), ``None`` if nothing is.
    """

    operation: ops.Operation | Initialize
    progress_token: str | int | None = None
    meta: JsonObject | None = None


def read_request(method: str, params: JsonObject) -> ClientRequest:
    """Understand a request of the client.

    Args:
        method: its method.
        params: its params; what is understood is taken out of them, the rest is kept.

    Raises:
        DownstreamError: there is no such method, or one of the params is missing or wrong.
    """
    if (reader := _READERS.get(method)) is None:
        raise DownstreamError(METHOD_NOT_FOUND, f"Method not found: {printable(method, 100)}")
    try:
        if "_meta" not in params:
            return ClientRequest(reader(params))
        token, meta = pop_progress_token(params)
        return ClientRequest(reader(params), token, meta)
    except ValueError as error:
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {error}") from None


def _read_initialize(params: JsonObject) -> Initialize:
    return Initialize({name: opened(params[name]) for name in _OF_INITIALIZE if name in params})


def pop_progress_token(params: JsonObject) -> tuple[str | int | None, JsonObject | None]:
    """Take ``_meta`` out of params: the sender's progress token, and the rest of it (``None`` if there is none).

    Tokens belong to one connection; the other side gets one of dmcp's own. One that is no token is dropped.
    """
    if not isinstance(meta := members(params.pop("_meta", None)), dict):
        return None, None
    token = scalar(meta.get("progressToken"))
    rest = {key: value for key, value in meta.items() if key != "progressToken"}
    is_number = isinstance(token, int) and not isinstance(token, bool)
    is_text = isinstance(token, str) and len(token) <= MAX_ID
    return (token if is_number or is_text else None), rest or None


def require_str(params: JsonObject, name: str) -> str:
    """Return a parameter that must be a string.

    Raises:
        DownstreamError: it is missing or something else.
    """
    if (value := text_of(params.get(name))) is None:
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {name} must be a string")
    return value


def require_object(params: JsonObject, name: str) -> JsonObject:
    """Return a parameter that must be an object if it is there.

    Raises:
        DownstreamError: it is something else.
    """
    value = opened(params.get(name))
    if value is not None and not isinstance(value, dict):
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {name} must be an object")
    return value or {}


def _pop_str(params: JsonObject, name: str) -> str:
    value = require_str(params, name)
    del params[name]
    return value


def _pop_group(params: JsonObject) -> str | None:
    if (group := opened(params.pop("group", None))) is not None and not isinstance(group, str):
        raise DownstreamError(INVALID_PARAMS, "Invalid params: group must be a string")
    return group


_USUAL_MEMBERS: Final = 2  # of a tool's call: its name and arguments


def _read_call_tool(params: JsonObject) -> ops.CallTool:
    name = require_str(params, "name")
    arguments = params.get("arguments")
    if arguments is None or not is_object(arguments):
        arguments = require_object(params, "arguments")
    if len(params) <= _USUAL_MEMBERS:
        return ops.CallTool(name, arguments)
    # Nor a task: dmcp declares none, because their ids are unique per server only.
    return ops.CallTool(name, arguments, _without(params, "name", "arguments", "task") or None)


def _read_list(kind: Kind) -> Callable[[JsonObject], ops.ListItems]:
    def read(params: JsonObject) -> ops.ListItems:
        group, cursor = opened(params.pop("group", None)), opened(params.pop("cursor", None))
        # Of tools there is one list, and what is no group's name is nobody's: the client gets the list of all.
        return ops.ListItems(kind, cursor, group if isinstance(group, str) else None, params or None)

    return read


def _read_resource(
    form: type[ops.ReadResource | ops.Subscribe | ops.Unsubscribe],
) -> Callable[[JsonObject], ops.Operation]:
    def read(params: JsonObject) -> ops.Operation:
        group = _pop_group(params)
        return form(_pop_str(params, "uri"), group, params or None)

    return read


def _read_get_prompt(params: JsonObject) -> ops.GetPrompt:
    group = _pop_group(params)
    return ops.GetPrompt(_pop_str(params, "name"), group, params or None)


def _read_complete(params: JsonObject) -> ops.Complete:
    group = _pop_group(params)
    ref = opened(params.pop("ref", None))
    match ref:
        case {"type": "ref/prompt"}:
            return ops.Complete("prompts", require_str(ref, "name"), ref, group, params or None)
        case {"type": "ref/resource"}:
            return ops.Complete("resources", require_str(ref, "uri"), ref, group, params or None)
    raise DownstreamError(INVALID_PARAMS, "Invalid params: ref must have the type ref/prompt or ref/resource")


def _read_log_level(params: JsonObject) -> ops.SetLogLevel:
    level = require_str(params, "level")
    if level not in ops.LOG_LEVELS:
        raise DownstreamError(
            INVALID_PARAMS, f"Invalid params: level must be one of {', '.join(ops.LOG_LEVELS)}"
        )
    return ops.SetLogLevel(level)


_READERS: Final[Mapping[str, Callable[[JsonObject], ops.Operation | Initialize]]] = {
    INITIALIZE: _read_initialize,
    "tools/call": _read_call_tool,
    "tools/list": _read_list("tools"),
    "resources/list": _read_list("resources"),
    "resources/templates/list": _read_list("templates"),
    "prompts/list": _read_list("prompts"),
    "resources/read": _read_resource(ops.ReadResource),
    "resources/subscribe": _read_resource(ops.Subscribe),
    "resources/unsubscribe": _read_resource(ops.Unsubscribe),
    "prompts/get": _read_get_prompt,
    "completion/complete": _read_complete,
    "logging/setLevel": _read_log_level,
    PING: lambda _: ops.Ping(),
}


# Requests to a server -------------------------------------------------------------------------------------------------


def params_of(operation: ops.Operation) -> JsonObject:
    """Return an operation's params, without ``_meta``."""
    match operation:
        case ops.CallTool(name, arguments):
            params = {"name": name, "arguments": arguments}
        case ops.ReadResource(uri) | ops.Subscribe(uri) | ops.Unsubscribe(uri):
            params = {"uri": uri}
        case ops.GetPrompt(name):
            params = {"name": name}
        case ops.Complete(kind, name, ref):
            params = {"ref": {**ref, ("uri" if kind == "resources" else "name"): name}}
        case ops.ListItems(_, cursor):
            params = {} if cursor is None else {"cursor": cursor}
        case ops.SetLogLevel(level):
            return {"level": level}
        case _:
            return {}
    return {**params, **operation.extra} if operation.extra else params


def request(
    number: int, operation: ops.Operation, *, wants_progress: bool = False, meta: JsonObject | None = None
) -> bytes:
    """Return the frame that asks a server for an operation.

    Args:
        number: of the request; also its progress token.
        operation: what is asked.
        wants_progress: whether the server is to report progress.
        meta: other members of ``_meta``.

    Raises:
        ValueError: the params nest too deeply to be written.
    """
    if wants_progress:
        meta = {"progressToken": number} if meta is None else {**meta, "progressToken": number}
    if isinstance(operation, ops.CallTool) and is_raw(operation.arguments):
        # As nearly all requests. Arguments are copied once, into their place: they may be large.
        more = operation.extra if meta is None else {**(operation.extra or {}), "_meta": meta}
        rest = b"," + encode(more)[1:] if more else b"}"
        head = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%b,"arguments":'
        return b"".join((head % (number, encode(operation.name)), operation.arguments, rest, b"}"))
    params = params_of(operation)
    if meta is not None:
        params["_meta"] = meta
    return jsonrpc.request(b"%d" % number, ops.label(operation), params)


# Questions of a server to the client ----------------------------------------------------------------------------------

_QUESTIONS: Final[Mapping[str, type[ops.Question]]] = {
    "roots/list": ops.ListRoots,
    "sampling/createMessage": ops.Sample,
    "elicitation/create": ops.Elicit,
}


# What dmcp reads and may change; all else may be large, and is passed on as it is.
_READ_OF_QUESTIONS: Final = frozenset({"mode", "message", "url", "elicitationId", "includeContext"})


def read_question(method: str, params: JsonObject) -> ops.Question | None:
    """Understand a request of a server; ``None`` for a method that no server may call."""
    form = _QUESTIONS.get(method)
    if form is None:
        return None
    rest = {name: scalar(value) if name in _READ_OF_QUESTIONS else value for name, value in params.items()}
    token, meta = pop_progress_token(rest)
    return form(rest if meta is None else {**rest, "_meta": meta}, token)


def write_question(number: int, question: ops.Question) -> bytes:
    """Return the frame that asks the client under an id of dmcp's own, which is also the progress token it gets."""
    params = question.params
    if question.progress_token is not None:
        params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": number}}
    return jsonrpc.request(b"%d" % number, ops.label(question), params or None)


# Notifications --------------------------------------------------------------------------------------------------------

_CHANGED: Final[Mapping[str, ops.ListChanged]] = {
    "notifications/tools/list_changed": ops.ListChanged(("tools",)),
    "notifications/resources/list_changed": ops.ListChanged(("resources", "templates")),
    "notifications/prompts/list_changed": ops.ListChanged(("prompts",)),
}
_CHANGED_METHOD: Final = {kind: method for method, changed in _CHANGED.items() for kind in changed.kinds}


def read_server_notification(method: str, params: JsonObject) -> ops.ServerNotification | None:
    """Understand a notification of a server; ``None`` for what MCP does not define for servers."""
    match method:
        case "notifications/progress":
            return ops.Progress(scalar(params.pop("progressToken", None)), params)
        case "notifications/message":
            return ops.LogMessage(
                scalar(params.get("level")), scalar(params.get("logger")), _without(params, "level", "logger")
            )
        case "notifications/resources/updated":
            uri = text_of(params.get("uri"))
            return None if uri is None else ops.ResourceUpdated(uri, _without(params, "uri"))
        case "notifications/elicitation/complete":
            return ops.ElicitationCompleted(
                scalar(params.get("elicitationId")), _without(params, "elicitationId")
            )
        case "notifications/cancelled":
            return _read_cancelled(params)
        case _:
            return _CHANGED.get(method)


def read_client_notification(method: str, params: JsonObject) -> ops.ClientNotification | None:
    """Understand a notification of the client; ``None`` for what MCP does not define for clients."""
    match method:
        case "notifications/initialized":
            return ops.Initialized()
        case "notifications/cancelled":
            return _read_cancelled(params)
        case "notifications/progress":
            return ops.Progress(scalar(params.pop("progressToken", None)), params)
        case "notifications/roots/list_changed":
            return ops.RootsChanged()
        case _:
            return None


def _read_cancelled(params: JsonObject) -> ops.Cancelled:
    return ops.Cancelled(scalar(params.get("requestId")), text_of(params.get("reason")) or "")


def _without(params: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in params.items() if name not in names}


def notification(news: ops.ServerNotification | ops.ClientNotification) -> bytes:
    """Return the frame of a notification, to either side."""
    params: JsonObject | None = None
    match news:
        case ops.Progress(token, extra):
            method, params = "notifications/progress", {**extra, "progressToken": token}
        case ops.LogMessage(level, logger, extra):
            named = {"level": level, "logger": logger}
            method = "notifications/message"
            params = {**{name: value for name, value in named.items() if value is not None}, **extra}
        case ops.ResourceUpdated(uri, extra):
            method, params = "notifications/resources/updated", {"uri": uri, **(extra or {})}
        case ops.ListChanged(kinds):
            method = _CHANGED_METHOD[kinds[0]]
        case ops.ElicitationCompleted(identifier, extra):
            method = "notifications/elicitation/complete"
            params = {"elicitationId": identifier, **(extra or {})}
        case ops.Cancelled(identifier, reason):
            method, params = "notifications/cancelled", {"requestId": identifier}
            if reason:
                params["reason"] = reason
        case ops.Initialized():
            method = "notifications/initialized"
        case _:
            method = "notifications/roots/list_changed"
    return jsonrpc.notification(method, params)


# dmcp as the client's server ------------------------------------------------------------------------------------------

_INSTRUCTIONS: Final = (  # at most 600 characters, and the same whatever is configured: that is read later
    "dmcp stands in front of several MCP servers, each one a group. Call get_dynamic_tools with a group to see its "
    "tools and their input schemas, then call_dynamic_tool with the group, the tool's name and its args. A tool listed "
    "under a name of its own is called by that, without the two. All groups' resources and prompts are listed as usual."
)


class ServerSession:
    """dmcp as the client's server: negotiates once, then remembers the client's profile.

    Attributes:
        profile: what the client said of itself; ``None`` before ``initialize``.
        operating: whether ``notifications/initialized`` has come, or a request instead: from then on dmcp may send
            requests and notifications of its own.
    """

    __slots__ = ("operating", "profile")

    def __init__(self) -> None:
        self.profile: ops.ClientProfile | None = None
        self.operating = False

    def __repr__(self) -> str:
        revision = self.profile.revision if self.profile else "new"
        return f"<ServerSession {revision} operating={self.operating}>"

    @property
    def takes_batches(self) -> bool:
        """Return whether the negotiated revision allows the client to send batches."""
        return self.profile is not None and allows_batches(self.profile.revision)

    def read(self, method: str, params: JsonObject) -> ClientRequest:
        """Understand a request of the client; see ``read_request``.

        Raises:
            DownstreamError: as there, and for anything but a ping before ``initialize``.
        """
        found = read_request(method, params)
        if self.profile is None and not isinstance(found.operation, Initialize | ops.Ping):
            raise DownstreamError(INVALID_REQUEST, "Invalid request: initialize comes first")
        return found

    def initialize(self, params: JsonObject) -> JsonObject:
        """Handle ``initialize`` and return its result.

        Raises:
            DownstreamError: a parameter is missing or wrong, or the session is initialized already.
        """
        if self.profile is not None:
            raise DownstreamError(INVALID_REQUEST, "Invalid request: the session is already initialized")
        revision = negotiate(require_str(params, "protocolVersion"))
        for name in ("capabilities", "clientInfo"):
            if name in params and not isinstance(params[name], dict):
                raise DownstreamError(INVALID_PARAMS, f"Invalid params: {name} must be an object")
        capabilities, info = require_object(params, "capabilities"), require_object(params, "clientInfo")
        self.profile = ops.ClientProfile(revision, capabilities, info)
        return {
            "protocolVersion": revision,
            "capabilities": _server_capabilities(revision),
            "serverInfo": {"name": "dmcp", "title": "dmcp", "version": __version__},
            "instructions": _INSTRUCTIONS,
        }


def _server_capabilities(revision: str) -> JsonObject:
    capabilities: JsonObject = {
        "logging": {},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "tools": {"listChanged": True},
    }
    if declares_completions(revision):
        capabilities["completions"] = {}
    return capabilities


# dmcp as an upstream's client -----------------------------------------------------------------------------------------

_CAPABILITIES: Final = ("completions", "logging", "prompts", "resources", "tools")
"""Of a server: those dmcp uses."""
_SERVER: Final = ("name", "title", "version")  # of a server's own words: what a user may want to read
_INTRODUCTION: Final = 1000  # characters of a server's instructions worth a line in the log
# Capabilities of the client that an upstream must not be told of: tasks are addressed by ids that are unique
# per server only, so a task of one upstream could not be told from a task of another.
_NOT_MIRRORED: Final = frozenset({"tasks"})


class ClientSession:
    """dmcp as an upstream's client: offers the latest revision, takes what the server answers if known.

    Attributes:
        revision: negotiated; empty before.
        capabilities: of the server, those dmcp uses.
        server: its name, title and version, short enough to be kept.
        instructions: the beginning of its instructions.
        offered: the revisions it was asked for, the present one last.
    """

    __slots__ = ("capabilities", "instructions", "offered", "revision", "server")

    def __init__(self) -> None:
        self.revision = ""
        self.capabilities: JsonObject = {}
        self.server: JsonObject = {}
        self.instructions = ""
        self.offered = [LATEST]

    def __repr__(self) -> str:
        return f"<ClientSession {self.revision or 'new'} {sorted(self.capabilities)}>"

    def has(self, *path: str) -> bool:
        """Return whether the server declared a capability, e.g. ``has("resources", "subscribe")``."""
        return ops.declares(self.capabilities, *path)

    def describe(self) -> JsonObject:
        """Return what the server says of itself: names, description, beginning of its instructions."""
        return {**self.server, "instructions": self.instructions}

    @staticmethod
    def initialize_params(
        profile: ops.ClientProfile, withheld: frozenset[str] = frozenset(), revision: str = LATEST
    ) -> JsonObject:
        """Return the params of ``initialize``: the client's own capabilities and name; nothing is promised for it.

        Args:
            profile: the client's.
            withheld: capabilities of the client that this server is not to use.
            revision: to ask for.
        """
        hidden = _NOT_MIRRORED | withheld
        mirrored = {name: value for name, value in profile.capabilities.items() if name not in hidden}
        info = profile.info if isinstance(profile.info.get("name"), str) else {}
        return {
            "protocolVersion": revision,
            "capabilities": mirrored,
            "clientInfo": info or {"name": "dmcp", "version": __version__},
        }

    def initialize(self, number: int, profile: ops.ClientProfile, withheld: frozenset[str]) -> bytes:
        """Return the frame that opens the session, asking for the last revision of ``offered``. Args as above."""
        params = self.initialize_params(profile, withheld, self.offered[-1])
        return jsonrpc.request(b"%d" % number, INITIALIZE, params)

    def offer_another(self, code: object, said: str) -> bool:
        """Choose another revision to ask for, after a refusal; returns whether there is one. Args as ``next_offer``."""
        revision = next_offer(self.offered, code, said)
        if revision is not None:
            self.offered.append(revision)
        return revision is not None

    def on_initialize_result(self, result: Any) -> None:
        """Take the result of ``initialize``.

        Raises:
            UpstreamError: it is no valid result, or its revision is unknown.
        """
        if not isinstance(result, dict):
            raise UpstreamError("answered initialize with something that is not an object")
        revision = result.get("protocolVersion")
        if not isinstance(revision, str) or not is_known(revision):
            known = ", ".join(REVISIONS)
            raise UpstreamError(f"speaks protocol version {_short(revision)!r}, dmcp speaks {known}")
        capabilities, server = result.get("capabilities"), result.get("serverInfo")
        self.revision = revision
        given = capabilities if isinstance(capabilities, dict) else {}
        found: JsonObject = {
            name: {} if given.get(name) is True else given.get(name) for name in _CAPABILITIES
        }
        self.capabilities = {name: value for name, value in found.items() if isinstance(value, dict)}
        self.server = {key: _short(server.get(key)) for key in _SERVER} if isinstance(server, dict) else {}
        self.instructions = _short(result.get("instructions"), _INTRODUCTION) or ""


def _short(text: Any, limit: int = 200) -> str | None:
    """Return a peer's text, if it is one, at a length that may be kept."""
    return printable(text, limit, lines=True) if isinstance(text, str) else None
