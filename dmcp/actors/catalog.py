"""Owns the cached listings of all groups: merges them, pages them, finds whose resource or prompt something is.

It learns listings and states from the upstreams and answers the client's list requests without asking anybody.
While upstreams are still connecting for the first time an answer waits for them, but not for long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp.actors.archive import Archive, Store
from dmcp.actors.runtime import LoopActor, Watch, post
from dmcp.errors import DownstreamError
from dmcp.messages import frontend, upstream
from dmcp.messages.catalog import (
    Archived,
    Browse,
    FindRoute,
    Forget,
    GroupState,
    Learned,
    Listed,
    Recalled,
    ResourceUpdated,
    Settle,
    ShowTools,
    State,
)
from dmcp.messages.supervisor import Directory
from dmcp.protocol import jsonrpc, tools, verdicts
from dmcp.protocol.kept import Kept
from dmcp.protocol.listing import KINDS, MEMBERS, METHODS
from dmcp.protocol.merge import Contribution, Merged, merge, split_qualified
from dmcp.protocol.pages import PagedListing
from dmcp.protocol.routes import Wanted, wanted
from dmcp.protocol.uri_templates import specificity

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.messages.supervisor import Group
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind

SETTLE_PATIENCE: Final = 5.0
"""Seconds a list request waits for upstreams that are connecting for the first time."""

_KIND_OF_LIST: Final = {method: kind for kind, method in METHODS.items()}
_CHANGED: Final[dict[Kind, str]] = {
    "tools": "notifications/tools/list_changed",
    "resources": "notifications/resources/list_changed",
    "templates": "notifications/resources/list_changed",
    "prompts": "notifications/prompts/list_changed",
}
_MERGED: Final[tuple[Kind, ...]] = ("resources", "templates", "prompts")
_MAX_LEARNED = 10_000  # URIs learned from results; the oldest are forgotten first


@dataclass(slots=True)
class _Shelf:
    """What is known of one group.

    Attributes:
        awaited: the fingerprint under which the disk is being asked for listings, empty when it is not.
        partial: the kinds of which only a part has come.
    """

    group: Group
    state: State = "connecting"
    reason: str = ""
    generation: int = -1
    settled: bool = False
    listings: dict[Kind, tuple[JsonObject, ...]] = field(default_factory=dict)
    offered: set[Kind] = field(default_factory=set)
    partial: set[Kind] = field(default_factory=set)
    rendered: bytes | None = None
    awaited: str = ""

    @classmethod
    def of(cls, group: Group) -> _Shelf:
        """A shelf for a group that is new: nothing is heard of one that sleeps."""
        lazy = group.config.startup == "lazy"
        return cls(group, "asleep" if lazy else "connecting", settled=lazy)

    @property
    def is_lazy(self) -> bool:
        """Whether it may sleep while it is offered to the client."""
        return self.group.config.startup == "lazy"

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to wait for before it is listed for the first time."""
        return self.settled and not self.awaited

    @property
    def is_known(self) -> bool:
        """Whether its listings, where it has any, are as good as the server's own answer."""
        if self.awaited:
            return False
        return self.state in ("ready", "asleep") or (self.is_lazy and self.state == "connecting")

    @property
    def trouble(self) -> str:
        """Why requests to it will fail, empty if there is no reason to think so."""
        return self.reason if self.state == "unavailable" else ""


class Catalog(LoopActor):
    """The actor that owns the listings."""

    def __init__(self, store: Store | None = None, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self._archive = Archive(self, store)
        self._shelves: dict[str, _Shelf] = {}
        self._problem = ""
        self._pages: dict[Kind, PagedListing] = {
            kind: PagedListing(member) for kind, member in MEMBERS.items()
        }
        self._merged: dict[Kind, Merged] = {kind: Merged() for kind in _MERGED}
        self._shown: set[Kind] = set()
        self._names_shown: tuple[tuple[str, bool], ...] = ()
        self._learned: OrderedDict[str, str] = OrderedDict()
        self._aliases: dict[tuple[str, str], str] = {}
        self._waiting: dict[int, Browse | ShowTools | FindRoute] = {}
        self._frontend: Address | None = None

    def __repr__(self) -> str:
        states = ", ".join(f"{name}={shelf.state}" for name, shelf in self._shelves.items())
        return f"<Catalog {states}; {len(self._waiting)} waiting>"

    def on_receive(self, message: Any) -> None:  # noqa: C901 - one line per message
        """Handle one message, on the loop."""
        match message:
            case ShowTools() | Browse() | FindRoute():
                self._frontend = message.reply_to
                self._serve(message)
            case Settle(ticket):
                self._serve_now(ticket)
            case Forget(ticket):
                self._waiting.pop(ticket, None)
            case Listed():
                self._on_listed(message)
            case GroupState():
                self._on_state(message)
            case Recalled():
                self._on_recalled(message)
            case Archived(fingerprint):
                self._archive.written(fingerprint)
            case Learned(group, uris):
                self._learn(group, uris)
            case ResourceUpdated(group, params):
                self._on_updated(group, params)
            case Directory():
                self._on_directory(message)
            case _:
                assert_never(message)

    # What the upstreams tell --------------------------------------------------------------------------------------

    def _on_directory(self, directory: Directory) -> None:
        old, self._problem = self._shelves, directory.problem
        self._shelves = {}
        for name, group in directory.groups.items():
            shelf = self._shelves[name] = old.get(name) or _Shelf.of(group)
            if (
                group.config.tools != shelf.group.config.tools
                or group.config.features != shelf.group.config.features
            ):
                shelf.rendered = None
            moved = group.upstream is not shelf.group.upstream
            changed = name not in old or group.config != shelf.group.config
            shelf.group = group
            if changed and shelf.state == "asleep":
                shelf.awaited = self._archive.recall(group.config)
            if group.upstream is None:
                shelf.state, shelf.reason, shelf.settled = "unavailable", group.reason, True
            elif moved and any(isinstance(w, ShowTools) and w.group == name for w in self._waiting.values()):
                _wake(shelf)
        self._refresh(*_MERGED)
        self._refresh_tools()
        self._serve_settled()

    def _on_listed(self, listed: Listed) -> None:
        shelf = self._shelves.get(listed.group)
        if shelf is None or listed.generation < shelf.generation:
            return
        shelf.generation = listed.generation
        shelf.listings[listed.kind] = listed.entries
        shelf.awaited = ""  # the server knows better than the disk
        (shelf.offered.add if listed.offered else shelf.offered.discard)(listed.kind)
        (shelf.partial.discard if listed.complete else shelf.partial.add)(listed.kind)
        if listed.kind == "tools":
            shelf.rendered = None
        elif shelf.state == "ready":
            self._refresh(listed.kind)
        if shelf.state == "ready":
            self._remember(shelf)

    def _remember(self, shelf: _Shelf) -> None:
        if not shelf.partial:
            listings = {kind: shelf.listings.get(kind, ()) for kind in shelf.offered}
            self._archive.keep(shelf.group.config, Kept(listings, frozenset(shelf.offered)))

    def _on_recalled(self, news: Recalled) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is None or shelf.awaited != news.fingerprint:
            return
        shelf.awaited, shelf.rendered = "", None
        shelf.listings = {kind: news.kept.listings.get(kind, ()) for kind in KINDS} if news.kept else {}
        shelf.offered = set(news.kept.offered) if news.kept else set()
        self._refresh(*_MERGED)
        self._serve_settled()
        for message in self._waiting.values():
            if isinstance(message, ShowTools) and message.group == news.group:
                _wake(shelf)

    def _on_state(self, news: GroupState) -> None:
        shelf = self._shelves.get(news.group)
        if shelf is None or news.generation < shelf.generation or shelf.group.upstream is None:
            return
        shelf.generation, shelf.state, shelf.reason = news.generation, news.state, news.reason
        shelf.settled = shelf.settled or news.state in ("ready", "unavailable", "asleep")
        if news.state == "ready":
            self._remember(shelf)
        self._refresh(*_MERGED)
        self._refresh_tools()
        self._serve_settled(news.group if news.state in ("ready", "unavailable") else None)

    def _learn(self, group: str, uris: tuple[str, ...]) -> None:
        for uri in uris:
            self._learned[uri] = group
            self._learned.move_to_end(uri)
        while len(self._learned) > _MAX_LEARNED:
            self._learned.popitem(last=False)

    def _on_updated(self, group: str, params: JsonObject) -> None:
        uri = params.get("uri")
        if isinstance(uri, str) and self._frontend is not None:
            shown = self._aliases.get((group, uri), uri)
            notice = frontend.Announce("notifications/resources/updated", {**params, "uri": shown})
            post(self._frontend, notice)

    def _refresh(self, *kinds: Kind) -> None:
        for kind in kinds:
            parts = [
                Contribution(name, shelf.listings.get(kind, ()), visible=shelf.state != "unavailable")
                for name, shelf in self._shelves.items()
                if _is_on(shelf, kind)
            ]
            self._merged[kind] = merge(kind, parts)
            if self._pages[kind].update(self._merged[kind].entries):
                self._announce(kind)

    def _refresh_tools(self) -> None:
        lines = [
            tools.GroupLine(name, s.group.config.description, s.reason, available=s.state != "unavailable")
            for name, s in self._shelves.items()
            if s.group.config.features.tools
        ]
        self._pages["tools"].update(tuple(tools.definitions(lines, self._problem)))
        names = (*((line.name, line.available) for line in lines), (self._problem, True))
        if names != self._names_shown:
            self._names_shown = names
            self._announce("tools")

    def _announce(self, kind: Kind) -> None:
        """Tell the client that a list has changed, if it has seen the list since it was last told."""
        shown = {k for k in self._shown if _CHANGED[k] == _CHANGED[kind]}
        if kind in shown and self._frontend is not None:
            self._shown -= shown
            post(self._frontend, frontend.Announce(_CHANGED[kind], None))

    # What the client asks -----------------------------------------------------------------------------------------

    def _serve(self, message: Browse | ShowTools | FindRoute) -> None:
        if self._try(message, final=False):
            return
        patience = SETTLE_PATIENCE
        if isinstance(message, ShowTools):
            shelf = self._shelves[message.group]
            patience = shelf.group.config.timeout.connect
            _wake(shelf)
        self._waiting[message.ticket] = message
        self.later(patience, Settle(message.ticket))

    def _serve_now(self, ticket: int) -> None:
        message = self._waiting.pop(ticket, None)
        if message is not None:
            self._try(message, final=True)

    def _serve_settled(self, group: str | None = None) -> None:
        """Try again what waits. ``group`` has just come to the end of an attempt to connect, well or badly."""
        for ticket, message in list(self._waiting.items()):
            final = isinstance(message, ShowTools) and message.group == group
            if self._try(message, final=final):
                del self._waiting[ticket]

    def _try(self, message: Browse | ShowTools | FindRoute, *, final: bool) -> bool:
        try:
            answer = self._answer(message, final=final)
        except DownstreamError as error:
            details = jsonrpc.error_object(error.code, str(error))
            answer = frontend.Reply(message.ticket, None, details)
        if answer is None:
            return False
        post(message.reply_to, answer)
        return True

    def _answer(
        self, message: Browse | ShowTools | FindRoute, *, final: bool
    ) -> frontend.Reply | frontend.Routed | None:
        match message:
            case ShowTools():
                return self._show_tools(message, final=final)
            case Browse():
                return self._browse(message, final=final)
            case FindRoute():
                return self._find_route(message, final=final)

    def _show_tools(self, message: ShowTools, *, final: bool) -> frontend.Reply | None:
        shelf = self._shelves.get(message.group)
        if shelf is None:
            groups = [name for name, s in self._shelves.items() if s.group.config.features.tools]
            return frontend.Reply(message.ticket, tools.unknown("group", message.group, groups), None)
        if not shelf.group.config.features.tools:
            text = f"The tools of {message.group!r} are switched off in dmcp's configuration."
            return frontend.Reply(message.ticket, tools.text_result(text, failed=True), None)
        if shelf.is_known and "tools" in shelf.listings:
            if shelf.rendered is None:
                shelf.rendered = tools.listing_result(shelf.listings["tools"])
            return frontend.Reply(message.ticket, shelf.rendered, None)
        if final or shelf.group.upstream is None:
            reason = shelf.reason or "it is still connecting"
            return frontend.Reply(message.ticket, None, verdicts.unavailable(message.group, reason))
        return None

    def _browse(self, message: Browse, *, final: bool) -> frontend.Reply | None:
        kind = _KIND_OF_LIST[message.method]
        group = message.params.get("group")
        if kind != "tools" and not final and not self._is_settled(group):
            return None
        if kind != "tools" and isinstance(group, str):
            return frontend.Reply(message.ticket, self._page_of_group(kind, group), None)
        self._shown.add(kind)
        return frontend.Reply(message.ticket, self._pages[kind].page(message.params.get("cursor")), None)

    def _page_of_group(self, kind: Kind, group: str) -> bytes:
        shelf = self._shelf(group, kind)
        if shelf.trouble:
            raise DownstreamError(jsonrpc.UPSTREAM_FAILED, f"{group} is unavailable: {shelf.trouble}")
        listing = PagedListing(MEMBERS[kind])
        listing.update(shelf.listings.get(kind, ()))
        return listing.page()

    def _shelf(self, group: str, kind: Kind) -> _Shelf:
        shelf = self._shelves.get(group)
        if shelf is None:
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: group {group!r} does not exist")
        if not _is_on(shelf, kind):
            what = f"the {'resources' if kind == 'templates' else kind} of {group!r} are switched off"
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: {what} in dmcp's configuration")
        return shelf

    def _is_settled(self, group: object = None) -> bool:
        if isinstance(group, str) and group in self._shelves:
            return self._shelves[group].is_settled
        return all(shelf.is_settled for shelf in self._shelves.values())

    # Routes -------------------------------------------------------------------------------------------------------

    def _find_route(self, message: FindRoute, *, final: bool) -> frontend.Routed | None:
        want = wanted(message.method, message.params)
        found = self._resolve(want)
        if found is None:
            if not final and not self._is_settled(want.group):
                return None
            raise want.not_found(self._merged["prompts"].routes if want.kind == "prompts" else ())
        group, name = found
        self._shelf(group, want.kind)
        if message.method == "resources/subscribe":
            self._aliases[group, name] = want.name
        return frontend.Routed(message.ticket, group, want.params_for(name))

    def _resolve(self, want: Wanted) -> tuple[str, str] | None:
        if want.group is not None:
            self._shelf(want.group, want.kind)
            return want.group, want.name
        listed = self._merged[want.kind].routes.get(want.name)
        if listed is not None:
            return listed
        if want.kind == "resources" and want.name in self._merged["templates"].routes:
            return self._merged["templates"].routes[want.name]
        qualified = split_qualified(want.kind, want.name, self._shelves)
        if qualified is not None or want.kind == "prompts":
            return qualified
        return self._by_template(want.name) or self._by_elimination(want.name)

    def _by_template(self, uri: str) -> tuple[str, str] | None:
        best: tuple[int, str] | None = None
        for template, (group, _) in self._merged["templates"].routes.items():
            weight = specificity(template, uri)
            if weight is not None and (best is None or weight > best[0]):
                best = (weight, group)
        return (best[1], uri) if best else None

    def _by_elimination(self, uri: str) -> tuple[str, str] | None:
        """A resource nobody lists: from a result seen before, or of the only group there is to ask."""
        group = self._learned.get(uri)
        if group is None or group not in self._shelves:
            offering = [name for name, s in self._shelves.items() if "resources" in s.offered and s.is_known]
            group = offering[0] if len(offering) == 1 else None
        return (group, uri) if group else None


def _wake(shelf: _Shelf) -> None:
    """Somebody wants this group; what is known of it from the disk may be enough."""
    if shelf.group.upstream is not None and not shelf.awaited:
        post(shelf.group.upstream, upstream.Wake())


def _is_on(shelf: _Shelf, kind: Kind) -> bool:
    features = shelf.group.config.features
    return {
        "tools": features.tools,
        "resources": features.resources,
        "templates": features.resources,
        "prompts": features.prompts,
    }[kind]
