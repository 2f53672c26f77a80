"""Owns the cached listings of all groups: merges them, pages them, finds whose resource or prompt something is.

It learns listings and states from the upstreams and answers the client's list requests without asking anybody.
While upstreams are still connecting for the first time an answer waits for them, but not for long.
"""

# Long because what a listing means for the client is decided in one place; groups, routes and pages are elsewhere.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from dmcp.actors.group_listings import GroupListings
from dmcp.actors.lazy_discovery import LazyDiscovery
from dmcp.actors.listing_cache import ListingCache, Store
from dmcp.actors.runtime import LoopActor, Watch, post
from dmcp.actors.tool_replies import ToolReplies, named_groups, unlisted
from dmcp.errors import DownstreamError
from dmcp.messages import frontend, upstream
from dmcp.messages.catalog import (
    Asked,
    Browse,
    CacheLoaded,
    CancelWait,
    ClientLeft,
    ExplainFailure,
    GetTools,
    GroupState,
    Listed,
    ListingFailed,
    ListingStale,
    RepairCall,
    ResolveRoute,
    ResolveTool,
    ResourcesSeen,
    ResourceUpdated,
    ToolsWritten,
    WaitExpired,
)
from dmcp.messages.supervisor import Directory
from dmcp.protocol import categories, definitions, jsonrpc, operations, tools
from dmcp.protocol.cached_listings import CachedListings
from dmcp.protocol.descriptions import names_to_keep
from dmcp.protocol.direct import DirectTools, direct_tools, is_wholly_direct
from dmcp.protocol.limits import MAX_CATEGORY
from dmcp.protocol.listing import KEY, KINDS, MEMBERS
from dmcp.protocol.merge import Contribution
from dmcp.protocol.operations import Error, Result
from dmcp.protocol.pages import INCOMPLETE, PagedListing
from dmcp.protocol.router import MERGED, Router
from dmcp.protocol.routes import ResourceRef, for_server, ref_of
from dmcp.text import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.pending import CallId
    from dmcp.stages.arguments import Failures

LIST_WAIT_TIMEOUT: Final = 5.0
"""Seconds a list request waits for upstreams that are connecting for the first time."""

_MARGIN = 1.0  # seconds an upstream gets beyond its connect timeout to say itself why it did not connect
_CHANGED: Final[dict[Kind, tuple[Kind, ...]]] = {
    "tools": ("tools",),
    "resources": ("resources", "templates"),
    "templates": ("resources", "templates"),
    "prompts": ("prompts",),
}
"""The listings a client is told of together, because they have one notification."""


class _Viewer:
    """What one client has been shown.

    Attributes:
        address: of its frontend.
        shown: the lists it has seen since it was last told that they changed.
    """

    __slots__ = ("address", "shown")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.shown: set[Kind] = set()


class Catalog(LoopActor):
    """The actor that owns the listings."""

    def __init__(self, store: Store | None = None, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self._cache = ListingCache(self, store)
        self._discovery = LazyDiscovery()
        self._groups: dict[str, GroupListings] = {}
        self._problem = ""
        self._pages: dict[Kind, PagedListing] = {
            kind: PagedListing(member) for kind, member in MEMBERS.items()
        }
        self._router = Router()
        self._direct = DirectTools()
        self._failures: Failures | None = None  # of calls, as soon as one has failed
        self._viewers: dict[int, _Viewer] = {}  # by client: those that have asked for something
        self._replies = ToolReplies(self._discovery)
        self._being_written: set[CallId] = set()  # answers to GetTools
        self._waiting: dict[CallId, Asked] = {}
        self._wait_timers: dict[CallId, asyncio.TimerHandle] = {}  # the end of the timeout of each that waits

    def __repr__(self) -> str:
        states = ", ".join(f"{name}={cached.state}" for name, cached in self._groups.items())
        return f"<Catalog {states}; {len(self._waiting)} waiting>"

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912 - one line per message
        """Handle one message, on the loop."""
        match message:
            case GetTools() | Browse() | ResolveRoute() | ResolveTool():
                self._answer_or_wait(message)
            case RepairCall(call, group, operation, reply_to):
                post(reply_to, frontend.RouteResolved(call, group, self._repaired(group, operation)))
            case ExplainFailure():
                self._explain(message)
            case ClientLeft(client):
                self._on_client_left(client)
            case WaitExpired(call):
                self._answer_final(call)
            case CancelWait(call):
                self._no_longer_waits(call)
            case Listed():
                self._on_listed(message)
            case ListingFailed():
                self._on_listing_failed(message)
            case ListingStale():
                self._on_stale(message)
            case GroupState():
                self._on_state(message)
            case CacheLoaded():
                self._on_cache_loaded(message)
            case ToolsWritten(call, outcome):
                self._on_tools_written(call, outcome)
            case ResourcesSeen(group, uris):
                if group in self._groups:
                    self._router.learn(group, uris)
            case ResourceUpdated(group, news):
                self._on_updated(group, news)
            case Directory():
                self._on_directory(message)
            case _:
                assert_never(message)

    # What the upstreams tell --------------------------------------------------------------------------------------

    def _on_directory(self, directory: Directory) -> None:
        old, self._problem = self._groups, directory.problem
        self._groups = {}
        for name, group in directory.groups.items():
            cached = self._groups[name] = old.get(name) or GroupListings.of(group)
            changed = name not in old or group.config != cached.group.config
            cached.group = group
            if changed and cached.state == "asleep":
                cached.cache_key_loading, cached.probed = self._cache.load(group.config), False
            elif changed and group.config.direct and cached.known_tools is None:
                cached.known_tools_loading = self._cache.load(group.config)
            if group.upstream is None:
                cached.state, cached.reason, cached.settled = "unavailable", group.reason, True
                cached.category = printable(group.reason)  # the configuration's fault, in dmcp's words
        self._router.rename(self._groups)
        self._refresh(*MERGED)
        self._refresh_tools()
        self._retry_waiting()
        self._discovery.advance(self._groups)

    def _on_listed(self, listed: Listed) -> None:
        cached = self._groups.get(listed.group)
        if cached is None or listed.generation < cached.generation:
            return
        cached.generation = listed.generation
        cached.listings[listed.kind] = listed.entries
        cached.stale.discard(listed.kind)
        cached.failed.pop(listed.kind, None)
        cached.cache_key_loading = ""  # the server knows better than the disk
        (cached.offered.add if listed.offered else cached.offered.discard)(listed.kind)
        (cached.partial.discard if listed.complete else cached.partial.add)(listed.kind)
        if listed.kind == "tools":
            if listed.complete:
                config = cached.group.config
                self._on_tools_known(cached, listed.entries)
                self._cache.describe(config, names_to_keep(config, (e["name"] for e in listed.entries)))
        elif cached.state == "ready":
            self._refresh(listed.kind)
        if cached.state == "ready":
            self._store(cached)
            self._retry_waiting()

    def _on_tools_known(self, cached: GroupListings, entries: tuple[JsonObject, ...] | None) -> None:
        """Take note of all tools of a group: a part of them, while a server is in trouble, changes no prompt."""
        cached.known_tools, cached.known_tools_loading = entries, ""
        if cached.group.config.direct:
            self._refresh_tools()

    def _on_listing_failed(self, news: ListingFailed) -> None:
        cached = self._groups.get(news.group)
        if cached is not None and news.generation >= cached.generation:
            cached.failed[news.kind] = news.reason
            self._retry_waiting()

    def _on_stale(self, news: ListingStale) -> None:
        """Have requests wait while a changed listing is being fetched: the client may know of the change."""
        cached = self._groups.get(news.group)
        if cached is None or news.generation < cached.generation:
            return
        (cached.stale.add if news.stale else cached.stale.discard)(news.kind)
        if not news.stale:
            self._retry_waiting()

    def _store(self, cached: GroupListings) -> None:
        if not cached.partial:
            listings = {kind: cached.listings.get(kind, ()) for kind in cached.offered}
            self._cache.store(cached.group.config, CachedListings(listings, frozenset(cached.offered)))

    def _on_cache_loaded(self, news: CacheLoaded) -> None:
        cached = self._groups.get(news.group)
        if cached is not None and cached.known_tools_loading == news.fingerprint:
            cached.known_tools_loading = ""
            if news.kept is not None:
                self._on_tools_known(cached, news.kept.listings.get("tools", ()))
            self._retry_waiting()
        if cached is None or cached.cache_key_loading != news.fingerprint:
            return
        cached.cache_key_loading = ""
        self._on_tools_known(cached, news.kept.listings.get("tools", ()) if news.kept is not None else None)
        cached.listings = {kind: news.kept.listings.get(kind, ()) for kind in KINDS} if news.kept else {}
        cached.offered = set(news.kept.offered) if news.kept else set()
        self._refresh(*MERGED)
        self._retry_waiting()
        if any(self._required_group(message) is cached for message in self._waiting.values()):
            _wake(cached)
        self._discovery.advance(self._groups)

    def _on_state(self, news: GroupState) -> None:
        cached = self._groups.get(news.group)
        if cached is None or news.generation < cached.generation or cached.group.upstream is None:
            return
        if news.generation > cached.generation:
            cached.failed.clear()  # another connection, which is asked anew
        cached.generation, cached.state, cached.reason = news.generation, news.state, news.reason
        cached.category = _category_of(news)
        cached.stale.clear()
        # With a reason it waits for a person, or not for the first time.
        cached.settled = cached.settled or news.state != "connecting" or bool(news.reason)
        if news.state == "ready":
            self._store(cached)
        self._refresh(*MERGED)
        self._retry_waiting(news.group if news.state in ("ready", "unavailable") else None)
        if news.state != "ready" and any(self._required_group(m) is cached for m in self._waiting.values()):
            _wake(cached)
        self._discovery.on_state(news.group, news.state)
        self._discovery.advance(self._groups)

    def _on_updated(self, group: str, news: operations.ResourceUpdated) -> None:
        for client, shown in self._router.updated(group, news.uri) if group in self._groups else ():
            viewer = self._viewers.get(client)
            if viewer is not None:
                post(viewer.address, frontend.SendNotification(news._replace(uri=shown)))

    def _viewer(self, message: Browse | ResolveRoute | ResolveTool) -> _Viewer:
        client = message.call.client
        if client not in self._viewers:
            self._viewers[client] = _Viewer(message.reply_to)
        return self._viewers[client]

    def _on_client_left(self, client: int) -> None:
        self._viewers.pop(client, None)
        self._router.drop_client(client)
        for call in [call for call in self._waiting if call.client == client]:
            self._no_longer_waits(call)

    def _refresh(self, *kinds: Kind) -> None:
        for kind in kinds:
            parts = [
                Contribution(name, cached.listings.get(kind, ()), visible=cached.state != "unavailable")
                for name, cached in self._groups.items()
                if cached.is_on(kind)
            ]
            if self._pages[kind].update(self._router.merge(kind, parts)):
                self._announce(kind)

    def _refresh_tools(self) -> None:
        on = {name: cached for name, cached in self._groups.items() if cached.is_on("tools")}
        direct = {
            name: direct_tools(cached.group.config, cached.known_tools or ())
            for name, cached in on.items()
            if cached.group.config.direct
        }
        self._direct.update(direct, self._groups)
        lines = [
            definitions.GroupLine(name, cached.group.config.description)
            for name, cached in on.items()
            if not is_wholly_direct(cached.group.config)
        ]
        own = (
            definitions.own_tools(lines) if lines or not on else ()
        )  # without a group left nobody needs them
        if self._pages["tools"].update((*own, *self._direct.entries)):
            self._announce("tools")

    def _announce(self, kind: Kind) -> None:
        """Tell each client that a list has changed, if it has seen the list since it was last told."""
        told = frontend.SendNotification(operations.ListChanged(_CHANGED[kind]))
        for viewer in self._viewers.values():
            if kind in viewer.shown:
                viewer.shown.difference_update(_CHANGED[kind])
                post(viewer.address, told)

    # What the client asks -----------------------------------------------------------------------------------------

    def _answer_or_wait(self, message: Asked) -> None:
        if self._try_answer(message, final=False):
            return
        self._waiting[message.call] = message
        if message.call in self._being_written:
            return
        timeout = LIST_WAIT_TIMEOUT
        cached = self._required_group(message)
        if cached is not None:
            timeout = cached.group.config.timeout.connect + _MARGIN
            _wake(cached)
        elif isinstance(message, ResolveRoute):  # it is one server's; which, is known when that one is ready
            timeout += max(
                (self._groups[name].group.config.timeout.connect for name in self._starting()), default=0
            )
        self._wait_timers[message.call] = self.call_later(timeout, WaitExpired(message.call))

    def _required_group(self, message: Asked) -> GroupListings | None:
        """Return the group that has to be up for this request to be answered, if there is one."""
        if isinstance(message, GetTools):
            return self._required_for_tools(message)
        if not isinstance(message, Browse) or message.operation.group is None:
            return None
        cached = self._groups.get(message.operation.group)
        return cached if cached is not None and cached.needs_discovery(message.operation.kind) else None

    def _required_for_tools(self, message: GetTools) -> GroupListings | None:
        wanted = message.wanted
        if message.call in self._being_written:
            return None
        named = named_groups(wanted, self._groups).values()
        if wanted.query is None and not wanted.names:
            return next(iter(named), None)
        return next((cached for cached in named if unlisted(cached)), None)

    def _no_longer_waits(self, call: CallId) -> Asked | None:
        self.cancel(self._wait_timers.pop(call, None))
        self._being_written.discard(call)
        return self._waiting.pop(call, None)

    def _answer_final(self, call: CallId) -> None:
        message = None if call in self._being_written else self._no_longer_waits(call)
        if message is not None and not self._try_answer(message, final=True):
            self._waiting[call] = message  # what it asks for is there, and being written down

    def _retry_waiting(self, group: str | None = None) -> None:
        """Try again what waits. ``group`` has just come to the end of an attempt to connect, well or badly."""
        settled = self._is_settled()
        for call, message in list(self._waiting.items()):
            if not settled and isinstance(message, Browse) and _is_merged(message.operation):
                continue  # a list of all groups: looking at each again would cost much when there are many
            required = self._required_group(message) if isinstance(message, GetTools) else None
            final = required is not None and required is self._groups.get(group or "")
            if self._try_answer(message, final=final):
                self._no_longer_waits(call)

    def _try_answer(self, message: Asked, *, final: bool) -> bool:
        try:
            answer = self._answer(message, final=final)
        except DownstreamError as error:
            details = jsonrpc.error_object(error.code, str(error))
            answer = frontend.Settled(message.call, Error(details))
        if answer is None:
            return False
        post(message.reply_to, answer)
        return True

    def _answer(self, message: Asked, *, final: bool) -> frontend.Settled | frontend.RouteResolved | None:
        match message:
            case GetTools():
                return self._show_tools(message, final=final)
            case Browse():
                return self._browse(message, final=final)
            case ResolveRoute():
                return self._find_route(message, final=final)
            case ResolveTool():
                return self._find_tool(message, final=final)

    def _show_tools(self, message: GetTools, *, final: bool) -> frontend.Settled | None:
        if message.call in self._being_written:
            return None
        if message.wanted.query is not None and message.wanted.group is None:
            self._discovery.start(self._groups, tools=True)
        answer = self._replies.answer(message, self._groups, self._problem, final=final)
        if answer is None or isinstance(answer, frontend.Settled):
            return answer
        call = message.call
        self._being_written.add(call)
        self.spawn(
            self._replies.write(answer),
            lambda done: ToolsWritten(call, cast("operations.Outcome", done.value)),
        )
        return None

    def _on_tools_written(self, call: CallId, outcome: operations.Outcome) -> None:
        message = self._no_longer_waits(call)
        if message is not None:
            post(message.reply_to, frontend.Settled(call, outcome))

    def _browse(self, message: Browse, *, final: bool) -> frontend.Settled | None:
        kind, cursor, group, _ = message.operation
        if (
            kind != "tools"
            and not final
            and (self._required_group(message) or not self._is_current(kind, group))
        ):
            return None
        if kind != "tools" and group is not None:
            return frontend.Settled(message.call, Result(self._page_of_group(kind, group, cursor)))
        if kind == "tools" and self._waits_for_direct(final=final):
            return None
        self._viewer(message).shown.add(kind)
        if kind != "tools":
            self._discovery.start(self._groups)
        return frontend.Settled(message.call, Result(self._pages[kind].page(cursor)))

    def _page_of_group(self, kind: Kind, group: str, cursor: object) -> bytes:
        cached = self._listings_of(group, kind)
        if cached.unavailable_reason:
            raise DownstreamError(jsonrpc.UPSTREAM_FAILED, f"{group} is unavailable: {cached.category}")
        if kind in cached.failed and not cached.listings.get(kind):
            raise DownstreamError(jsonrpc.UPSTREAM_FAILED, f"{group}: {cached.failed[kind]}")
        listing = cached.listing(kind)
        listing.update(self._named(kind, group, cached.listings.get(kind, ())))
        return listing.page(cursor, _meta(cached.incomplete(kind)))

    def _named(self, kind: Kind, group: str, entries: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
        """Return a group's own listing as clients see it: long names in the place of those that could be others'."""
        key = KEY[kind]
        shown = [self._router.shown_by_group(kind, group, entry[key]) for entry in entries]
        if all(name is entry[key] for name, entry in zip(shown, entries, strict=True)):
            return entries
        return tuple(
            entry if name is entry[key] else {**entry, key: name}
            for name, entry in zip(shown, entries, strict=True)
        )

    def _listings_of(self, group: str, kind: Kind) -> GroupListings:
        cached = self._groups.get(group)
        if cached is None:
            raise DownstreamError(
                jsonrpc.INVALID_PARAMS, f"Invalid params: group {printable(group, 100)!r} does not exist"
            )
        if not cached.is_on(kind):
            what = f"the {'resources' if kind == 'templates' else kind} of {group!r} are switched off"
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: {what} in dmcp's configuration")
        return cached

    def _is_current(self, kind: Kind, group: object) -> bool:
        return self._is_settled(group) and not any(kind in cached.stale for cached in self._groups.values())

    def _is_settled(self, group: object = None) -> bool:
        if isinstance(group, str) and group in self._groups:
            return self._groups[group].is_settled
        return all(cached.is_settled for cached in self._groups.values())

    def _starting(self) -> list[str]:
        """Return the groups that have not come to the end of their first attempt to connect."""
        return [name for name, cached in self._groups.items() if not cached.is_settled]

    # Routes -------------------------------------------------------------------------------------------------------

    def _find_route(self, message: ResolveRoute, *, final: bool) -> frontend.RouteResolved | None:
        operation, want = message.operation, ref_of(message.operation)
        found = self._resolve(want, final=final)
        if found is None:
            if not final and not self._is_settled(want.group):
                return None
            known = self._router.some_prompts() if want.kind == "prompts" else ()
            raise want.not_found(known, self._starting())
        group, name = found
        self._listings_of(group, want.kind)
        if isinstance(operation, operations.Subscribe):
            self._viewer(message)
            self._router.subscribe(message.call.client, group, name, want.name)
        elif isinstance(operation, operations.Unsubscribe):
            self._router.unsubscribe(message.call.client, group, name)
        return frontend.RouteResolved(message.call, group, for_server(operation, name))

    def _waits_for_direct(self, *, final: bool) -> bool:
        """Return whether direct tools may be known soon; has lazy servers started that only they can be learned of."""
        waited_for = [cached for cached in self._groups.values() if cached.is_waited_for]
        if any(cached.is_undiscovered for cached in waited_for):
            self._discovery.start(self._groups)
        return bool(waited_for) and not final

    def _find_tool(self, message: ResolveTool, *, final: bool) -> frontend.RouteResolved | None:
        found = self._direct.routes.get(message.operation.name)
        if found is not None:
            group, own = found
            fit = self._repaired(group, message.operation._replace(name=own))
            return frontend.RouteResolved(message.call, group, fit)
        if self._waits_for_direct(final=final):
            return None
        raise tools.unknown_tool(message.operation.name, self._direct.routes)

    def _tools_of(self, group: str) -> Sequence[JsonObject]:
        cached = self._groups.get(group)
        return () if cached is None else cached.listings.get("tools") or cached.known_tools or ()

    def _repaired(self, group: str, operation: operations.CallTool) -> operations.CallTool:
        from dmcp.stages.arguments import repaired  # noqa: PLC0415 - seldom needed

        return repaired(group, operation, self._tools_of(group))

    def _explain(self, message: ExplainFailure) -> None:
        from dmcp.stages import arguments  # noqa: PLC0415 - seldom needed

        call, group, operation, outcome, reply_to = message
        self._failures = self._failures or arguments.Failures()
        times = self._failures.count(call.client, group, operation, outcome)
        tool = arguments.find(operation.name, self._tools_of(group))
        post(reply_to, frontend.Settled(call, arguments.explained(operation, outcome, tool, times)))

    def _resolve(self, want: ResourceRef, *, final: bool) -> tuple[str, str] | None:
        if want.group is not None:
            self._listings_of(want.group, want.kind)
        # Which group is the only one with resources cannot be said before all are known.
        asked = list(self._groups) if final or self._is_settled() else []
        offering = [name for name in asked if self._groups[name].offers_resources]
        return self._router.resolve(want, offering[0] if len(offering) == 1 else None)


def _meta(incomplete: str) -> JsonObject | None:
    """Return the ``_meta`` of a result in which not all of a listing is; ``dmcp check`` reads it."""
    return {INCOMPLETE: incomplete} if incomplete else None


def _is_merged(operation: operations.ListItems) -> bool:
    """Return whether a list is made of what all groups offer."""
    return operation.group is None and operation.kind != "tools"


def _category_of(news: GroupState) -> str:
    """Return what the model is told of a group's state. The reason has no words of a server that has not started."""
    own = news.reason if news.category in ("", categories.NOT_STARTED) else news.category
    return printable(own, MAX_CATEGORY)


def _wake(cached: GroupListings) -> None:
    """Wake the upstream of a group that is asked for, unless its listings are just being read from the disk."""
    if cached.group.upstream is not None and not cached.cache_key_loading:
        post(cached.group.upstream, upstream.Wake())
