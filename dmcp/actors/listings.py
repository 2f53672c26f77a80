"""The listings of one server on their way from it to the catalog: page by page, again when they change or failed.

Part of a connection. What a listing may have, and what is wrong with one, is in
``dmcp.protocol.listing``; what becomes of it for the client is the catalog's business.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages import catalog, events
from dmcp.protocol import jsonrpc, listing, tools, upstream_errors, wire
from dmcp.protocol.limits import MAX_LISTING_RETRY
from dmcp.protocol.tool_index import ToolIndex, declares_nothing, kinds

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable
    from typing import Protocol

    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.eras.handshake import ClientSession
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Collector, Kind
    from dmcp.protocol.scan import Steps

    class Owner(Protocol):
        """What the listings ask of the connection they belong to."""

        def start_timer(self, seconds: float, timer: object) -> TimerHandle:
            """See ``Timers.start_timer``."""

        def begin_slices(self, work: Steps[Any] | None, then: Callable[[Any], None]) -> None:
            """See ``Slices.begin``."""


_MANY_VALUES: Final = 30_000
LISTING_DEBOUNCE: Final = 0.2
"""Seconds between two looks at a listing that changes while it is looked at: some change because of the look."""


class Listings:
    """What one server offers.

    Args:
        config: of the server.
        generation: the number of the connection.
        owner: the connection.
        address: of the catalog.
        session: says which listings the server has.
        ask: requests a page; its answer comes back to ``on_answer``, or a reason to ``fail``.
        on_fetched: called when a listing has come, or will not.

    Attributes:
        tool_index: the tools by name, and which listings are on their way.
        open_tools: the names of those that are switched on.
    """

    __slots__ = (
        "_ask",
        "_audit",
        "_catalog",
        "_config",
        "_failures",
        "_generation",
        "_group",
        "_known",
        "_on_fetched",
        "_owner",
        "_session",
        "_stale",
        "open_tools",
        "tool_index",
    )

    def __init__(
        self,
        config: ServerConfig,
        generation: int,
        *,
        owner: Owner,
        address: Address,
        audit: Address,
        session: ClientSession,
        ask: Callable[[Collector, str | None], None],
        on_fetched: Callable[[Kind], None],
    ) -> None:
        self._group = config.name
        self._config = config
        self._generation = generation
        self._owner = owner
        self._catalog = address
        self._audit = audit
        self._session = session
        self._ask = ask
        self._on_fetched = on_fetched
        self._failures: dict[Kind, int] = {}  # listings that did not come, and how often in a row
        self._known: set[Kind] = set()  # listings that have come
        self._stale: set[Kind] = set()  # listings the catalog knows to be fetched again
        self.tool_index = ToolIndex()
        self.open_tools: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<Listings of {self._group}: {self.tool_index!r}, failed {sorted(self._failures)}>"

    def reconfigure(self, config: ServerConfig) -> None:
        """Use these features, limits and tools from now on."""
        self._config = config
        self._find_open_tools()

    def _find_open_tools(self) -> None:
        selection = self._config.tools
        self.open_tools = frozenset(
            name for name in self.tool_index.tools if tools.is_selected(selection, name)
        )

    def kinds(self) -> list[Kind]:
        """Return the listings worth fetching."""
        return kinds(self._config.features, self._session)

    def fetch(self, kind: Kind) -> None:
        """Fetch a listing, from its first page."""
        collector = self.tool_index.fetch(kind, self._config.limits)
        if collector is not None:
            self._ask(collector, None)

    def on_changed(self, *changed: Kind) -> None:
        """Fetch these listings again: the server says that they have changed."""
        for kind in changed:
            if kind in self.kinds():
                if kind not in self._stale:
                    self._publish_stale(kind, stale=True)
                self.fetch(kind)

    def on_answer(self, collector: Collector, answer: jsonrpc.Response) -> None:
        """Take a page, or the server's reason not to give it."""
        if answer.error is None:
            self._on_listing(collector, answer.result or b"")
        elif _code(answer) == jsonrpc.METHOD_NOT_FOUND and (
            collector.kind == "templates" or declares_nothing(self._session)
        ):
            # A server that has resources and no templates, or declared nothing: many say so by an error.
            self._on_page(collector, {listing.MEMBERS[collector.kind]: []})
        else:
            self.fail(collector, upstream_errors.error_text(answer))

    def _on_listing(self, collector: Collector, answer: jsonrpc.Body) -> None:
        """Decode a page: at once, or in slices when it is large; what is too large is not decoded at all."""
        page = bytes(answer)
        if collector.exceeds(page):
            self.fail(collector, collector.problem)
        elif listing.is_light_page(page):
            self._on_page(collector, wire.decode(page))
        else:
            most = self._config.limits.listing_entries
            work = listing.decode_page(page, listing.MEMBERS[collector.kind], most)
            self._owner.begin_slices(work, lambda decoded: self._on_decoded(collector, decoded))

    def _on_decoded(self, collector: Collector, page: JsonObject | str) -> None:
        if isinstance(page, str):
            self.fail(collector, page)
        else:
            self._on_page(collector, page)

    def _on_page(self, collector: Collector, page: Any) -> None:
        kind = collector.kind
        cursor = collector.take(page)
        if cursor is not None:
            self._ask(collector, cursor)
            return
        if collector.problem:
            self.fail(collector, collector.problem)
            return
        collector.finish()
        for remark in collector.warnings:
            log.warning(remark, self._group)
        if collector.cut:
            post(self._audit, events.ListingCut(self._group, kind, collector.cut))
        self._failures.pop(kind, None)
        self._known.add(kind)
        self.publish(kind, collector.entries)
        if collector.values > _MANY_VALUES:
            # They stay, and have no cycles: the garbage collector would be through with them after a tenth of a second.
            gc.collect(1)
            gc.freeze()
        self._end(kind)

    def fail(self, collector: Collector, reason: str) -> None:
        """A listing did not come. What was known before stays; at first, what has come so far is all there is."""
        kind, method = collector.kind, listing.LABELS[collector.kind]
        failures = self._failures[kind] = self._failures.get(kind, 0) + 1
        text = log.mask(reason if collector.problem else f"{method} failed: {reason}")
        post(self._audit, events.ListingFailed(self._group, kind, text, failures))
        if kind not in self._known:
            self.publish(kind, collector.entries, complete=False)
        self._publish_stale(kind, stale=False)
        post(self._catalog, catalog.ListingFailed(self._group, self._generation, kind, text))
        if not collector.too_large:  # else it is asked for again when it changes, or the limit does
            delay = min(2.0 ** min(failures - 1, 20), MAX_LISTING_RETRY)
            self._owner.start_timer(delay, ("failed listing", kind))
        self._end(kind)

    def fetch_failed(self, kind: Kind) -> None:
        """Fetch a listing again that failed, unless it has come meanwhile."""
        if kind in self._failures and kind in self.kinds():
            self.fetch(kind)

    def refetch(self, kind: Kind) -> None:
        """Fetch a listing once more that changed while it was being fetched."""
        self.tool_index.rested(kind)
        self.fetch(kind)

    def _end(self, kind: Kind) -> None:
        if self.tool_index.fetched(kind):
            self._publish_stale(kind, stale=True)
            self._owner.start_timer(LISTING_DEBOUNCE, ("listing", kind))
        self._on_fetched(kind)

    def publish(
        self, kind: Kind, entries: list[JsonObject], *, offered: bool = True, complete: bool = True
    ) -> None:
        """Tell the catalog a listing."""
        if kind == "tools":
            self.tool_index.take_tools(entries, complete=complete)
            self._find_open_tools()
            entries = [entry for entry in entries if entry["name"] in self.open_tools]
        self._stale.discard(kind)
        listed = catalog.Listed(self._group, self._generation, kind, tuple(entries), offered, complete)
        post(self._catalog, listed)
        post(self._audit, events.ListingChanged(self._group, kind, len(entries), complete))

    def _publish_stale(self, kind: Kind, *, stale: bool) -> None:
        (self._stale.add if stale else self._stale.discard)(kind)
        post(self._catalog, catalog.ListingStale(self._group, self._generation, kind, stale))


def _code(answer: jsonrpc.Response) -> object:
    return answer.value.get("code") if isinstance(answer.value, dict) else None
