"""Owns the cached listings of all groups: merges them, pages them, finds whose resource or prompt something is.

It learns listings and states from the upstreams and answers the client's list requests without asking anybody.
While upstreams are still connecting for the first time an answer waits for them, but not for long.
"""

# Long because what a listing means for the client is decided in one place; shelves, routes and pages are elsewhere.

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp.actors.acquaintance import Acquaintance
from dmcp.actors.archive import Archive, Store
from dmcp.actors.runtime import LoopActor, Watch, post
from dmcp.actors.shelf import Shelf
from dmcp.errors import DownstreamError
from dmcp.messages import frontend, upstream
from dmcp.messages.catalog import (
    Browse,
    ClientLeft,
    FindRoute,
    Forget,
    GroupState,
    Learned,
    Listed,
    ListingFailed,
    ListingStale,
    Recalled,
    Rendered,
    ResourceUpdated,
    Settle,
    ShowTools,
)
from dmcp.messages.supervisor import Directory
from dmcp.protocol import categories, jsonrpc, operations, tools, upstream_errors
from dmcp.protocol.cached_listings import CachedListings
from dmcp.protocol.descriptions import names_to_keep
from dmcp.protocol.hints import quoted
from dmcp.protocol.limits import MAX_CATEGORY
from dmcp.protocol.listing import KEY, KINDS, MEMBERS
from dmcp.protocol.merge import Contribution
from dmcp.protocol.operations import Error, Result
from dmcp.protocol.pages import INCOMPLETE, PagedListing
from dmcp.protocol.router import MERGED, Router
from dmcp.protocol.routes import ResourceRef, for_server, ref_of
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind
    from dmcp.protocol.pending import CallId

SETTLE_PATIENCE: Final = 5.0
"""Seconds a list request waits for upstreams that are connecting for the first time."""

SLICE: Final = 0.01
"""Seconds the tools of a group are written down at once; then everybody else has a turn."""

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
        self._archive = Archive(self, store)
        self._acquaintance = Acquaintance()
        self._shelves: dict[str, Shelf] = {}
        self._problem = ""
        self._pages: dict[Kind, PagedListing] = {
            kind: PagedListing(member) for kind, member in MEMBERS.items()
        }
        self._router = Router()
        self._viewers: dict[int, _Viewer] = {}  # by client: those that have asked for something
        self._renderings = count(1)
        self._waiting: dict[CallId, Browse | ShowTools | FindRoute] = {}
        self._settling: dict[CallId, asyncio.TimerHandle] = {}  # the end of the patience of each that waits

    def __repr__(self) -> str:
        states = ", ".join(f"{name}={shelf.state}" for name, shelf in self._shelves.items())
        return f"<Catalog {states}; {len(self._waiting)} waiting>"

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912 - one line per message
        """Handle one message, on the loop."""
        match message:
            case ShowTools() | Browse() | FindRoute():
                self._serve(message)
            case ClientLeft(client):
                self._on_client_left(client)
            case Settle(call):
                self._serve_now(call)
            case Forget(call):
                self._no_longer_waits(call)
            case Listed():
                self._on_listed(message)
            case ListingFailed():
                self._on_listing_failed(message)
            case ListingStale():
                self._on_stale(message)
            case GroupState():
                self._on_state(message)
            case Recalled():
                self._on_recalled(message)
            case Rendered():
                self._on_rendered(message)
            case Learned(group, uris):
                if group in self._shelves:
                    self._router.learn(group, uris)
            case ResourceUpdated(group, news):
                self._on_updated(group, news)
            case Directory():
                self._on_directory(message)
            case _:
                assert_never(message)

    # What the upstreams tell --------------------------------------------------------------------------------------

    def _on_directory(self, directory: Directory) -> None:
        old, self._problem = self._shelves, directory.problem
        self._shelves = {}
        for name, group in directory.groups.items():
            shelf = self._shelves[name] = old.get(name) or Shelf.of(group)
            if (
                group.config.tools != shelf.group.config.tools
                or group.config.features != shelf.group.config.features
            ):
                shelf.tools_changed()
            changed = name not in old or group.config != shelf.group.config
            shelf.group = group
            if changed and shelf.state == "asleep":
                shelf.awaited, shelf.asked = self._archive.recall(group.config), False
            if group.upstream is None:
                shelf.state, shelf.reason, shelf.settled = "unavailable", group.reason, True
                shelf.category = printable(group.reason)  # the configuration's fault, in dmcp's words
        self._router.rename(self._shelves)
        self._refresh(*MERGED)
        self._refresh_tools()
        self._serve_settled()
        self._acquaintance.go_on(self._shelves)

    def _on_listed(self, listed: Listed) -> None:
        shelf = self._shelves.get(listed.group)
        if shelf is None or listed.generation < shelf.generation:
            return
        shelf.generation = listed.generation
        shelf.listings[listed.kind] = listed.entries
        shelf.stale.discard(listed.kind)
        shelf.failed.pop(listed.kind, None)
        shelf.awaited = ""  # the server knows better than the disk
        (shelf.offered.add if listed.offered else shelf.offered.discard)(listed.kind)
        (shelf.partial.discard if listed.complete else shelf.partial.add)(listed.kind)
        if listed.kind == "tools":
            shelf.tools_changed()
            if listed.complete:
                config = shelf.group.config
                self._archive.describe(config, names_to_keep(config, (e["name"] for e in listed.entries)))
        elif shelf.state == "ready":
            self._refresh(listed.kind)
        if shelf.state == "ready":
            self._remember(shelf)
            self._serve_settled()

    def _on_listing_failed(self, news: ListingFailed) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is not None and news.generation >= shelf.generation:
            shelf.failed[news.kind] = news.reason
            self._serve_settled()

    def _on_stale(self, news: ListingStale) -> None:
        """What is asked for while a changed listing is being fetched waits: the client may know of the change."""
        shelf = self._shelves.get(news.group)
        if shelf is None or news.generation < shelf.generation:
            return
        (shelf.stale.add if news.stale else shelf.stale.discard)(news.kind)
        if not news.stale:
            self._serve_settled()

    def _remember(self, shelf: Shelf) -> None:
        if not shelf.partial:
            listings = {kind: shelf.listings.get(kind, ()) for kind in shelf.offered}
            self._archive.keep(shelf.group.config, CachedListings(listings, frozenset(shelf.offered)))

    def _on_recalled(self, news: Recalled) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is None or shelf.awaited != news.fingerprint:
            return
        shelf.awaited = ""
        shelf.tools_changed()
        shelf.listings = {kind: news.kept.listings.get(kind, ()) for kind in KINDS} if news.kept else {}
        shelf.offered = set(news.kept.offered) if news.kept else set()
        self._refresh(*MERGED)
        self._serve_settled()
        if any(self._sought(message) is shelf for message in self._waiting.values()):
            _wake(shelf)
        self._acquaintance.go_on(self._shelves)

    def _on_state(self, news: GroupState) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is None or news.generation < shelf.generation or shelf.group.upstream is None:
            return
        if news.generation > shelf.generation:
            shelf.failed.clear()  # another connection, which is asked anew
        shelf.generation, shelf.state, shelf.reason = news.generation, news.state, news.reason
        shelf.category = _told(news)
        shelf.stale.clear()
        # With a reason it waits for a person, or not for the first time.
        shelf.settled = shelf.settled or news.state != "connecting" or bool(news.reason)
        if news.state == "ready":
            self._remember(shelf)
        self._refresh(*MERGED)
        self._serve_settled(news.group if news.state in ("ready", "unavailable") else None)
        if news.state != "ready" and any(self._sought(m) is shelf for m in self._waiting.values()):
            _wake(shelf)
        self._acquaintance.heard(news.group, news.state)
        self._acquaintance.go_on(self._shelves)

    def _on_updated(self, group: str, news: operations.ResourceUpdated) -> None:
        for client, shown in self._router.updated(group, news.uri) if group in self._shelves else ():
            viewer = self._viewers.get(client)
            if viewer is not None:
                post(viewer.address, frontend.SendNotification(news._replace(uri=shown)))

    def _viewer(self, message: Browse | FindRoute) -> _Viewer:
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
                Contribution(name, shelf.listings.get(kind, ()), visible=shelf.state != "unavailable")
                for name, shelf in self._shelves.items()
                if shelf.is_on(kind)
            ]
            if self._pages[kind].update(self._router.merge(kind, parts)):
                self._announce(kind)

    def _refresh_tools(self) -> None:
        lines = [
            tools.GroupLine(name, shelf.group.config.description)
            for name, shelf in self._shelves.items()
            if shelf.group.config.features.tools
        ]
        if self._pages["tools"].update(tuple(tools.definitions(lines))):
            self._announce("tools")

    def _announce(self, kind: Kind) -> None:
        """Tell each client that a list has changed, if it has seen the list since it was last told."""
        told = frontend.SendNotification(operations.ListChanged(_CHANGED[kind]))
        for viewer in self._viewers.values():
            if kind in viewer.shown:
                viewer.shown.difference_update(_CHANGED[kind])
                post(viewer.address, told)

    # What the client asks -----------------------------------------------------------------------------------------

    def _serve(self, message: Browse | ShowTools | FindRoute) -> None:
        if self._try(message, final=False):
            return
        patience = SETTLE_PATIENCE
        shelf = self._sought(message)
        if shelf is not None:
            patience = shelf.group.config.timeout.connect + _MARGIN
            _wake(shelf)
        self._waiting[message.call] = message
        self._settling[message.call] = self.call_later(patience, Settle(message.call))

    def _sought(self, message: Browse | ShowTools | FindRoute) -> Shelf | None:
        """The group that has to be up for this request to be answered, if there is one."""
        if isinstance(message, ShowTools):
            return self._shelves.get(message.group)
        if not isinstance(message, Browse) or message.operation.group is None:
            return None
        shelf = self._shelves.get(message.operation.group)
        return shelf if shelf is not None and shelf.is_unheard_of(message.operation.kind) else None

    def _no_longer_waits(self, call: CallId) -> Browse | ShowTools | FindRoute | None:
        self.cancel(self._settling.pop(call, None))
        return self._waiting.pop(call, None)

    def _serve_now(self, call: CallId) -> None:
        message = self._no_longer_waits(call)
        if message is not None and not self._try(message, final=True):
            # What it asks for is there, and being written down.
            self._waiting[call] = message
            self._settling[call] = self.call_later(_MARGIN, Settle(call))

    def _serve_settled(self, group: str | None = None) -> None:
        """Try again what waits. ``group`` has just come to the end of an attempt to connect, well or badly."""
        settled = self._is_settled()
        for call, message in list(self._waiting.items()):
            if not settled and isinstance(message, Browse) and message.operation.group is None:
                continue  # a list of all groups: looking at each again would cost much when there are many
            final = isinstance(message, ShowTools) and message.group == group
            if self._try(message, final=final):
                self._no_longer_waits(call)

    def _try(self, message: Browse | ShowTools | FindRoute, *, final: bool) -> bool:
        try:
            answer = self._answer(message, final=final)
        except DownstreamError as error:
            details = jsonrpc.error_object(error.code, str(error))
            answer = frontend.Settled(message.call, Error(details))
        if answer is None:
            return False
        post(message.reply_to, answer)
        return True

    def _answer(
        self, message: Browse | ShowTools | FindRoute, *, final: bool
    ) -> frontend.Settled | frontend.Routed | None:
        match message:
            case ShowTools():
                return self._show_tools(message, final=final)
            case Browse():
                return self._browse(message, final=final)
            case FindRoute():
                return self._find_route(message, final=final)

    def _show_tools(self, message: ShowTools, *, final: bool) -> frontend.Settled | None:
        shelf = self._shelves.get(message.group)
        if shelf is None:
            groups = [name for name, s in self._shelves.items() if s.group.config.features.tools]
            unknown = tools.unknown("group", message.group, groups, problem=self._problem)
            return frontend.Settled(message.call, Result(unknown))
        if not shelf.group.config.features.tools:
            text = f"The tools of {quoted(message.group)} are switched off in dmcp's configuration."
            return frontend.Settled(message.call, Result(tools.text_result(text, failed=True)))
        if "tools" in shelf.failed and not shelf.listings.get("tools"):
            error = upstream_errors.no_listing(message.group, shelf.failed["tools"])
            return frontend.Settled(message.call, Error(error))
        if shelf.is_known and "tools" in shelf.listings and (final or "tools" not in shelf.stale):
            return self._rendered(message, shelf)
        if final or shelf.group.upstream is None:
            category = shelf.category or "still connecting, try again"
            error = upstream_errors.group_unavailable(message.group, category, shelf.reason)
            return frontend.Settled(message.call, Error(error))
        return None

    def _rendered(self, message: ShowTools, shelf: Shelf) -> frontend.Settled | None:
        if shelf.rendered is None and not shelf.rendering:
            rendering = tools.Rendering(shelf.listings["tools"])
            shelf.rendered = rendering.step(SLICE, time.perf_counter)
            if shelf.rendered is None:
                group, number = message.group, next(self._renderings)
                shelf.rendering = number
                self.spawn(_render(rendering), lambda done: Rendered(group, number, done.value or b""))
        if shelf.rendered is None:
            return None
        problem = tools.invalid_configuration(self._problem)
        incomplete = shelf.incomplete("tools")
        told = tools.PARTIAL if "tools" in shelf.partial else tools.OUTDATED
        notes = [note for note in (told if incomplete else "", problem) if note]
        result = tools.listing_result(shelf.rendered, notes, _meta(incomplete))
        return frontend.Settled(message.call, Result(result))

    def _on_rendered(self, news: Rendered) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is not None and shelf.rendering == news.number:
            shelf.rendered, shelf.rendering = news.block, 0
        self._serve_settled()

    def _browse(self, message: Browse, *, final: bool) -> frontend.Settled | None:
        kind, cursor, group, _ = message.operation
        if kind != "tools" and not final and (self._sought(message) or not self._is_current(kind, group)):
            return None
        if kind != "tools" and group is not None:
            return frontend.Settled(message.call, Result(self._page_of_group(kind, group, cursor)))
        self._viewer(message).shown.add(kind)
        if kind != "tools":
            self._acquaintance.begin(self._shelves)
        return frontend.Settled(message.call, Result(self._pages[kind].page(cursor)))

    def _page_of_group(self, kind: Kind, group: str, cursor: object) -> bytes:
        shelf = self._shelf(group, kind)
        if shelf.trouble:
            raise DownstreamError(jsonrpc.UPSTREAM_FAILED, f"{group} is unavailable: {shelf.category}")
        if kind in shelf.failed and not shelf.listings.get(kind):
            raise DownstreamError(jsonrpc.UPSTREAM_FAILED, f"{group}: {shelf.failed[kind]}")
        listing = shelf.listing(kind)
        listing.update(self._named(kind, group, shelf.listings.get(kind, ())))
        return listing.page(cursor, _meta(shelf.incomplete(kind)))

    def _named(self, kind: Kind, group: str, entries: tuple[JsonObject, ...]) -> tuple[JsonObject, ...]:
        """A group's own listing as the client sees it: long names in the place of those that could be others'."""
        key = KEY[kind]
        shown = [self._router.shown_by_group(kind, group, entry[key]) for entry in entries]
        if all(name is entry[key] for name, entry in zip(shown, entries, strict=True)):
            return entries
        return tuple(
            entry if name is entry[key] else {**entry, key: name}
            for name, entry in zip(shown, entries, strict=True)
        )

    def _shelf(self, group: str, kind: Kind) -> Shelf:
        shelf = self._shelves.get(group)
        if shelf is None:
            raise DownstreamError(
                jsonrpc.INVALID_PARAMS, f"Invalid params: group {printable(group, 100)!r} does not exist"
            )
        if not shelf.is_on(kind):
            what = f"the {'resources' if kind == 'templates' else kind} of {group!r} are switched off"
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: {what} in dmcp's configuration")
        return shelf

    def _is_current(self, kind: Kind, group: object) -> bool:
        return self._is_settled(group) and not any(kind in shelf.stale for shelf in self._shelves.values())

    def _is_settled(self, group: object = None) -> bool:
        if isinstance(group, str) and group in self._shelves:
            return self._shelves[group].is_settled
        return all(shelf.is_settled for shelf in self._shelves.values())

    # Routes -------------------------------------------------------------------------------------------------------

    def _find_route(self, message: FindRoute, *, final: bool) -> frontend.Routed | None:
        operation, want = message.operation, ref_of(message.operation)
        found = self._resolve(want, final=final)
        if found is None:
            if not final and not self._is_settled(want.group):
                return None
            raise want.not_found(self._router.some_prompts() if want.kind == "prompts" else ())
        group, name = found
        self._shelf(group, want.kind)
        if isinstance(operation, operations.Subscribe):
            self._viewer(message)
            self._router.subscribe(message.call.client, group, name, want.name)
        elif isinstance(operation, operations.Unsubscribe):
            self._router.unsubscribe(message.call.client, group, name)
        return frontend.Routed(message.call, group, for_server(operation, name))

    def _resolve(self, want: ResourceRef, *, final: bool) -> tuple[str, str] | None:
        if want.group is not None:
            self._shelf(want.group, want.kind)
        # Which group is the only one with resources cannot be said before all are known.
        asked = list(self._shelves) if final or self._is_settled() else []
        offering = [name for name in asked if self._shelves[name].offers_resources]
        return self._router.resolve(want, offering[0] if len(offering) == 1 else None)


def _meta(incomplete: str) -> JsonObject | None:
    """What a result has besides when not all of a listing is in it: for ``dmcp check``, and whoever else looks."""
    return {INCOMPLETE: incomplete} if incomplete else None


async def _render(rendering: tools.Rendering) -> bytes:
    """Write down a large listing in slices, with a turn for everybody else after each."""
    while (block := rendering.step(SLICE, time.perf_counter)) is None:  # noqa: ASYNC110 - nothing is waited for
        await asyncio.sleep(0)
    return block


def _told(news: GroupState) -> str:
    """What the model is told of a group's state. Of a server that has not started nothing can be in the reason."""
    own = news.reason if news.category in ("", categories.NOT_STARTED) else news.category
    return printable(own, MAX_CATEGORY)


def _wake(shelf: Shelf) -> None:
    """Somebody wants this group; what is known of it from the disk may be enough."""
    if shelf.group.upstream is not None and not shelf.awaited:
        post(shelf.group.upstream, upstream.Wake())
