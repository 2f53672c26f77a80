"""What may be asked, answered and told, in forms that belong to no era of the protocol.

Actors decide by these types, never by a method's name. An era (``dmcp.protocol.eras``) turns what a peer has sent into
them and them into what a peer of that era understands. Members that mean nothing to dmcp stay as they were sent, in
``extra`` (as ``msgspec.Raw`` where the fast reader was in force); results and errors are bytes, passed on uncut.

``label`` is what an operation is called in errors and in the log: the name the specification has for it in every era.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from dmcp.protocol.limits import MAX_FAILURE
from dmcp.protocol.listing import LABELS
from dmcp.protocol.tools import may_repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.model import Timeouts
    from dmcp.protocol.jsonrpc import Body, JsonObject
    from dmcp.protocol.listing import Kind

# Who asks -----------------------------------------------------------------------------------------------------------


def declares(capabilities: JsonObject, *path: str) -> bool:
    """Return whether capabilities hold one, e.g. ``declares(capabilities, "roots", "listChanged")``."""
    here: Any = capabilities
    for name in path:
        if not isinstance(here, dict) or here.get(name) in (None, False):
            return False
        here = here[name]
    return True


class ClientProfile(NamedTuple):
    """What a client said of itself; upstreams are shown the same.

    Attributes:
        revision: of the protocol it speaks.
        capabilities: as it declared them.
        info: its name, title and version.
    """

    revision: str
    capabilities: JsonObject = {}  # noqa: RUF012 - nobody writes to it
    info: JsonObject = {}  # noqa: RUF012 - likewise

    def can(self, *path: str) -> bool:
        """Return whether the client declared a capability, e.g. ``can("roots", "listChanged")``."""
        return declares(self.capabilities, *path)


# What a client asks ---------------------------------------------------------------------------------------------------


class CallTool(NamedTuple):
    """Call a tool.

    Attributes:
        name: the tool's.
        arguments: an object, decoded or as the bytes it was.
        extra: other members of the params.
    """

    name: str
    arguments: Any
    extra: JsonObject | None = None


class ListItems(NamedTuple):
    """List what is offered of one kind, page by page.

    Attributes:
        kind: of which listing.
        cursor: where the page begins, as it was given out; ``None`` for the first page.
        group: the server whose entries are wanted; ``None`` for all. An extension of dmcp's: no server is sent it.
        extra: other members of the params.
    """

    kind: Kind
    cursor: Any = None
    group: str | None = None
    extra: JsonObject | None = None


class ReadResource(NamedTuple):
    """Read a resource. ``group`` names the server whose it is, an extension of dmcp's; ``extra`` as in ``CallTool``."""

    uri: str
    group: str | None = None
    extra: JsonObject | None = None


class Subscribe(NamedTuple):
    """Tell when a resource changes. Attributes as in ``ReadResource``."""

    uri: str
    group: str | None = None
    extra: JsonObject | None = None


class Unsubscribe(NamedTuple):
    """Tell no more when a resource changes. Attributes as in ``ReadResource``."""

    uri: str
    group: str | None = None
    extra: JsonObject | None = None


class GetPrompt(NamedTuple):
    """Fill in a prompt. ``extra`` has its arguments; attributes as in ``ReadResource``."""

    name: str
    group: str | None = None
    extra: JsonObject | None = None


class Complete(NamedTuple):
    """Complete an argument of a prompt or of a resource template.

    Attributes:
        kind: of what.
        name: the prompt's name, or the template.
        ref: the reference as it was sent, with a name in it that need not be the server's.
        group: as in ``ReadResource``.
        extra: the argument, its context and other members of the params.
    """

    kind: Literal["resources", "prompts"]
    name: str
    ref: JsonObject
    group: str | None = None
    extra: JsonObject | None = None


class SetLogLevel(NamedTuple):
    """Send log messages from this level up, one of ``LOG_LEVELS``."""

    level: str


class Ping(NamedTuple):
    """Show that the session is alive."""


Routed: TypeAlias = ReadResource | Subscribe | Unsubscribe | GetPrompt | Complete
"""What one server answers, which has to be found by a name or a URI."""

Operation: TypeAlias = CallTool | ListItems | Routed | SetLogLevel | Ping
"""What a client may ask of a server."""


# How it ends ----------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """It was done. ``body`` are the bytes of the result, as the server sent them."""

    body: Body


class Error(NamedTuple):
    """It failed. ``body`` are the bytes of the error object."""

    body: Body


class InputRequired(NamedTuple):
    """It goes on when the client has answered (multi-round-trip requests of the stateless era).

    Attributes:
        requests: what is asked, by the server's keys.
        state: what has to be given back with the answers, as the bytes it was; ``None`` if there is nothing.
    """

    requests: Mapping[str, Question]
    state: bytes | None = None


Outcome: TypeAlias = Result | Error | InputRequired
"""How a call ends, or pauses. Each call has exactly one at a time."""


def may_have_failed(outcome: Outcome) -> bool:
    """Return whether a call may have failed because of its arguments. A look at the bytes, where they are few."""
    if isinstance(outcome, InputRequired) or len(outcome.body) > MAX_FAILURE:
        return False
    mark = b'"isError"' if isinstance(outcome, Result) else b"-326"  # JSON-RPC's own codes begin so
    return mark in bytes(outcome.body)


# What a server asks of the client -------------------------------------------------------------------------------------


class ListRoots(NamedTuple):
    """Ask which folders the client works in.

    Attributes:
        params: of the request, ``_meta`` included.
        progress_token: the server's, if it wants progress; not in ``params``.
    """

    params: JsonObject
    progress_token: str | int | None = None


class Sample(NamedTuple):
    """Let the client's model write something. Attributes as in ``ListRoots``."""

    params: JsonObject
    progress_token: str | int | None = None


class Elicit(NamedTuple):
    """Ask the user something, or to open an address (``mode`` is ``"url"``). Attributes as in ``ListRoots``."""

    params: JsonObject
    progress_token: str | int | None = None


Question: TypeAlias = ListRoots | Sample | Elicit
"""What a server may ask of the client: a request of its own in the handshake era, part of a result in the stateless."""

CAPABILITY: Final[Mapping[type[Question], str]] = {
    ListRoots: "roots",
    Sample: "sampling",
    Elicit: "elicitation",
}
"""The client's capability each question needs; also the key under ``features`` that switches it off."""

ANSWERED_BY_USER: Final = (Sample, Elicit)
"""Questions a user answers, who may need minutes."""

# What is told and needs no answer -------------------------------------------------------------------------------------


class Progress(NamedTuple):
    """How far a call, or a question, is. ``token`` is the one its receiver gave; ``extra`` has the figures."""

    token: Any
    extra: JsonObject


class LogMessage(NamedTuple):
    """A line of a server's log. ``extra`` has what is logged."""

    level: Any
    logger: Any
    extra: JsonObject


class ResourceUpdated(NamedTuple):
    """A resource that is subscribed to, or a part of one, has changed."""

    uri: str
    extra: JsonObject | None = None


class ListChanged(NamedTuple):
    """Listings of these kinds have changed."""

    kinds: tuple[Kind, ...]


class ElicitationCompleted(NamedTuple):
    """What the user was sent to an address for is done. ``elicitation`` is the id its question had."""

    elicitation: Any
    extra: JsonObject | None = None


class Cancelled(NamedTuple):
    """Who asked no longer waits. ``request`` is the id the request was sent with, decoded; it may be anything."""

    request: Any
    reason: str = ""


class Initialized(NamedTuple):
    """The client has understood the answer to ``initialize``."""


class RootsChanged(NamedTuple):
    """The client works in other folders than before."""


ServerNotification: TypeAlias = (
    Progress | LogMessage | ResourceUpdated | ListChanged | ElicitationCompleted | Cancelled
)
ClientNotification: TypeAlias = Initialized | Cancelled | Progress | RootsChanged

# What follows from an operation ---------------------------------------------------------------------------------------

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""RFC 5424's eight, the least important first."""

_LABELS: Final[Mapping[type[Operation | Question], str]] = {
    CallTool: "tools/call",
    ReadResource: "resources/read",
    Subscribe: "resources/subscribe",
    Unsubscribe: "resources/unsubscribe",
    GetPrompt: "prompts/get",
    Complete: "completion/complete",
    SetLogLevel: "logging/setLevel",
    Ping: "ping",
    ListRoots: "roots/list",
    Sample: "sampling/createMessage",
    Elicit: "elicitation/create",
}
_KINDS: Final[Mapping[type[Operation], Kind]] = {
    CallTool: "tools",
    ReadResource: "resources",
    Subscribe: "resources",
    Unsubscribe: "resources",
    GetPrompt: "prompts",
    Complete: "prompts",
    SetLogLevel: "tools",
    Ping: "tools",
}
"""Of which kind of thing an operation is: each has a timeout of its own."""


def label(operation: Operation | Question) -> str:
    """Return what an operation is called in errors and in the log."""
    return LABELS[operation.kind] if isinstance(operation, ListItems) else _LABELS[type(operation)]


def timeout_of(operation: Operation, timeouts: Timeouts) -> float:
    """Return the seconds an operation may take."""
    kind = operation.kind if isinstance(operation, ListItems) else _KINDS[type(operation)]
    if kind == "tools":
        return timeouts.tools
    return timeouts.prompts if kind == "prompts" else timeouts.resources


def is_repeatable(operation: Operation, tools: Mapping[str, JsonObject]) -> bool:
    """Return whether an operation does no harm when a server executes it twice.

    Args:
        operation: what was asked.
        tools: of the server, by name: what it says of each decides.
    """
    if isinstance(operation, CallTool):
        tool = tools.get(operation.name)
        return tool is not None and may_repeat(tool)
    return not isinstance(operation, SetLogLevel | Ping)


def passes_log_level(level: object, threshold: str | None) -> bool:
    """Return whether a log message is as important as the client wants them. Unknown levels pass."""
    if threshold is None or level not in LOG_LEVELS:
        return True
    return LOG_LEVELS.index(str(level)) >= LOG_LEVELS.index(threshold)
