"""What the catalog accepts (besides the supervisor's ``Directory``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.protocol import operations
    from dmcp.protocol.cached_listings import CachedListings
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.operations import CallTool, ListItems, Outcome
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.tool_listing import Wanted

State: TypeAlias = Literal["asleep", "connecting", "ready", "unavailable"]


class GroupState(NamedTuple):
    """An upstream has changed its state.

    Attributes:
        group: which one.
        generation: of the upstream.
        state: the new state.
        reason: why it is unavailable or what it waits for, with every detail, the server's own words included: for
            the log, ``dmcp check`` and the errors of calls only.
        category: the same in a few fixed words of dmcp's own (``dmcp.protocol.categories``), at most 120 printable
            characters; empty when there is nothing to say. Fit for the model.
    """

    group: str
    generation: int
    state: State
    reason: str = ""
    category: str = ""


class Listed(NamedTuple):
    """An upstream's listing of one kind, complete.

    Attributes:
        group: whose.
        generation: of the upstream.
        kind: which listing.
        entries: the entries as the server gave them.
        offered: whether the server has the capability at all.
        complete: whether all of it has come; a part is shown and not remembered.
    """

    group: str
    generation: int
    kind: Kind
    entries: tuple[JsonObject, ...]
    offered: bool = True
    complete: bool = True


class CacheLoaded(NamedTuple):
    """From the disk: what a lazy group offered last; ``kept`` is ``None`` when nothing is known of it."""

    group: str
    fingerprint: str
    kept: CachedListings | None


class ListingStale(NamedTuple):
    """An upstream's listing has changed and is being fetched again (or could not be: the old one stays)."""

    group: str
    generation: int
    kind: Kind
    stale: bool


class ListingFailed(NamedTuple):
    """An upstream could not get its listing of one kind: the last known one stays, and it tries again.

    Attributes:
        group: whose.
        generation: of the upstream.
        kind: which listing.
        reason: what went wrong, the server's own words included: for errors and ``dmcp check``.
    """

    group: str
    generation: int
    kind: Kind
    reason: str


class ResourcesSeen(NamedTuple):
    """A result of this group named resources that no listing has."""

    group: str
    uris: tuple[str, ...]


class ResourceUpdated(NamedTuple):
    """A subscribed resource of this group has changed."""

    group: str
    news: operations.ResourceUpdated


class Browse(NamedTuple):
    """Answer a list request of the client with a ``frontend.Settled``."""

    call: CallId
    operation: ListItems
    reply_to: Address


class GetTools(NamedTuple):
    """Answer ``get_dynamic_tools`` with a ``frontend.Settled``."""

    call: CallId
    wanted: Wanted
    reply_to: Address


class ResolveRoute(NamedTuple):
    """Say which group serves this request, with a ``frontend.RouteResolved`` (or a failed ``frontend.Settled``)."""

    call: CallId
    operation: operations.Routed
    reply_to: Address


class ResolveTool(NamedTuple):
    """Say whose the tool of this name is, with a ``frontend.RouteResolved`` (or a failed ``frontend.Settled``)."""

    call: CallId
    operation: CallTool
    reply_to: Address


class RepairCall(NamedTuple):
    """Hold an unusual call against its tool's schema; answered with a ``frontend.RouteResolved``, never late."""

    call: CallId
    group: str
    operation: CallTool
    reply_to: Address


class ExplainFailure(NamedTuple):
    """Say what of a failed call's arguments does not fit; answered with a ``frontend.Settled``, never late."""

    call: CallId
    group: str
    operation: CallTool
    outcome: Outcome
    reply_to: Address


Asked: TypeAlias = Browse | GetTools | ResolveRoute | ResolveTool
"""What a client asks, and may have to wait for."""


class ClientLeft(NamedTuple):
    """From the frontend of a client: it is gone, with what it waits for and what it is subscribed to."""

    client: int


class ToolsWritten(NamedTuple):
    """From a task of the catalog's own: the answer to a ``GetTools`` is written down."""

    call: CallId
    outcome: Outcome


class CancelWait(NamedTuple):
    """The client has cancelled a request: send no reply."""

    call: CallId


class WaitExpired(NamedTuple):
    """From a timer: answer what waits for upstreams that are still connecting, with what there is."""

    call: CallId
