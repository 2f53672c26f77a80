"""Decides how ``get_dynamic_tools`` is answered: what has to be known, and what composes it. Part of the catalog.

What is shown comes from the listings as they are known; ``dmcp.protocol.tool_listing`` composes it and
``dmcp.protocol.search`` finds it. Both read what strangers have written, so they run in a thread, one answer at a time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from dmcp import log
from dmcp.config.model import LISTING_BUDGET
from dmcp.errors import DownstreamError
from dmcp.messages import frontend
from dmcp.protocol import jsonrpc, tools, upstream_errors
from dmcp.protocol.hints import quoted
from dmcp.protocol.operations import Error, Outcome, Result
from dmcp.protocol.pages import INCOMPLETE
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dmcp.actors.group_listings import GroupListings
    from dmcp.actors.lazy_discovery import LazyDiscovery
    from dmcp.messages.catalog import GetTools
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.search import ToolSearch
    from dmcp.protocol.tool_listing import GroupListing, Wanted

Work: TypeAlias = "Callable[[], bytes]"
"""Composes the result of a tool, in a thread; raises ``DownstreamError`` where the client is at fault."""

_NAMED: Final = 10  # groups that a note names


class ToolReplies:
    """The answers that are being written, and the index they are found by.

    Args:
        discovery: starts lazy servers to learn what they offer.
    """

    def __init__(self, discovery: LazyDiscovery) -> None:
        self._discovery = discovery
        self._search: ToolSearch | None = None
        self._turn = asyncio.Lock()
        self._shown: dict[str, GroupListing] = {}

    def __repr__(self) -> str:
        return f"<ToolReplies {self._search!r}>"

    async def write(self, work: Work) -> Outcome:
        """Return what the work has composed. A failure is an error for this client and for nobody else."""
        try:
            async with self._turn:
                return Result(await asyncio.to_thread(work))
        except DownstreamError as error:
            return Error(jsonrpc.error_object(error.code, str(error)))
        except Exception as error:  # noqa: BLE001 - a bug in what reads strangers' schemas must not end the process
            log.error(f"get_dynamic_tools failed: {type(error).__name__}: {error}")
            return Error(jsonrpc.error_object(jsonrpc.INTERNAL_ERROR, "dmcp failed to write down the tools"))

    def answer(
        self, message: GetTools, groups: Mapping[str, GroupListings], problem: str, *, final: bool
    ) -> frontend.Settled | Work | None:
        """Return the answer, or what composes it, or ``None`` while there is something to wait for.

        Args:
            message: what is asked.
            groups: all of them.
            problem: what is wrong with a changed configuration.
            final: whether waiting is over.
        """
        wanted = message.wanted
        if wanted.group is not None and (refused := _refused(wanted.group, groups, problem)):
            return frontend.Settled(message.call, Result(refused))
        if wanted.query is not None:
            return self._query(wanted, groups, final=final)
        if wanted.names:
            return self._names(wanted, groups, final=final)
        if wanted.group is None:
            return self._overview(wanted, groups, problem)
        return self._group(message, groups[wanted.group], problem, final=final)

    # One group ----------------------------------------------------------------------------------------------------

    def _group(
        self, message: GetTools, cached: GroupListings, problem: str, *, final: bool
    ) -> frontend.Settled | Work | None:
        name, listing = cached.group.config.name, cached.listings.get("tools")
        if "tools" in cached.failed and not listing:
            error = upstream_errors.no_listing(name, cached.failed["tools"])
            return frontend.Settled(message.call, Error(error))
        if cached.is_known and listing is not None and (final or "tools" not in cached.stale):
            return self._listing(message.wanted, cached, listing, problem)
        if final or cached.group.upstream is None:
            category = cached.category or "still connecting, try again"
            error = upstream_errors.group_unavailable(name, category, cached.reason)
            return frontend.Settled(message.call, Error(error))
        return None

    def _listing(
        self, wanted: Wanted, cached: GroupListings, listing: tuple[JsonObject, ...], problem: str
    ) -> Work:
        name, budget = cached.group.config.name, cached.group.config.listing_budget
        incomplete = cached.incomplete("tools")
        told = tools.PARTIAL if "tools" in cached.partial else tools.OUTDATED
        notes = [note for note in (told if incomplete else "", tools.invalid_configuration(problem)) if note]

        def work() -> bytes:
            from dmcp.protocol.tool_listing import GroupListing  # noqa: PLC0415 - loaded when first asked for

            kept = self._shown.get(name)
            if kept is None or kept.tools is not listing or kept.budget != budget:
                kept = self._shown[name] = GroupListing(name, listing, budget)
            return kept.reply(wanted).result(notes, {INCOMPLETE: incomplete} if incomplete else None)

        return work

    # All groups ---------------------------------------------------------------------------------------------------

    def _overview(self, wanted: Wanted, groups: Mapping[str, GroupListings], problem: str) -> Work:
        lines = [
            (name, cached.group.config.description, _state(cached)) for name, cached in _shown(groups).items()
        ]
        budget, told = _budget(groups), tools.invalid_configuration(problem)

        def work() -> bytes:
            from dmcp.protocol.tool_listing import overview  # noqa: PLC0415 - loaded when first asked for

            return overview(lines, wanted.cursor, budget).result([told] if told else [])

        return work

    # Tools by their names -----------------------------------------------------------------------------------------

    def _names(self, wanted: Wanted, groups: Mapping[str, GroupListings], *, final: bool) -> Work | None:
        if not final and any(unlisted(cached) for cached in named_groups(wanted, groups).values()):
            return None
        listings = {
            name: listing
            for name, cached in _shown(groups).items()
            if (listing := cached.last_known_tools) is not None and wanted.group in (None, name)
        }
        notes = {name: note for name, cached in groups.items() if (note := _not_ready(name, cached))}
        unknown_groups = [
            notes[name] for name in named_groups(wanted, groups) if name not in listings and name in notes
        ]

        def work() -> bytes:
            from dmcp.protocol.tool_listing import find_named, named  # noqa: PLC0415 - loaded when first asked for

            found, unknown = find_named(wanted.names, wanted.group, listings)
            if not found:
                return tools.text_result(" ".join([*unknown, *unknown_groups]), failed=True)
            down = [notes[name] for name in dict.fromkeys(name for name, _ in found) if name in notes]
            return named(found, wanted.detail).result([*unknown, *unknown_groups, *down])

        return work

    # What fits a query --------------------------------------------------------------------------------------------

    def _query(self, wanted: Wanted, groups: Mapping[str, GroupListings], *, final: bool) -> Work | None:
        every = _shown(groups)  # the index is of all groups, whichever is asked for
        shown = {name: cached for name, cached in every.items() if wanted.group in (None, name)}
        if not final and any(self._is_to_come(wanted, cached) for cached in shown.values()):
            return None
        listings = {
            name: (cached.group.config.description, listing)
            for name, cached in every.items()
            if (listing := cached.last_known_tools) is not None
        }
        missing = [name for name in shown if name not in listings]
        notes = {name: note for name, cached in shown.items() if (note := _not_ready(name, cached))}
        budget = _budget(groups)

        def work() -> bytes:
            from dmcp.protocol.search import Searched, ToolSearch  # noqa: PLC0415 - costs nothing until first used
            from dmcp.protocol.tool_listing import FOUND, fitting, query_start  # noqa: PLC0415 - likewise

            self._search = self._search or ToolSearch()
            searched = [Searched(name, *rest) for name, rest in listings.items()]
            start = query_start(wanted)
            hits = self._search.find(searched, wanted.query or "", start + FOUND + 1, wanted.group)[start:]
            found = [(hit.group, listings[hit.group][1][hit.place]) for hit in hits]
            down = [notes[name] for name in dict.fromkeys(name for name, _ in found[:FOUND]) if name in notes]
            where = f"{len(shown) - len(missing)} groups" if wanted.group is None else quoted(wanted.group)
            return fitting(found, wanted, where, budget).result([*down, *_not_searched(missing, groups)])

        return work

    def _is_to_come(self, wanted: Wanted, cached: GroupListings) -> bool:
        """Return whether a group's tools will be known soon. One that sleeps is started if it is asked for alone."""
        starts = wanted.group is not None or self._discovery.is_pending(cached)
        return unlisted(cached) and (cached.state != "asleep" or starts)


def named_groups(wanted: Wanted, groups: Mapping[str, GroupListings]) -> dict[str, GroupListings]:
    """Return the groups that are named: by themselves, or before the name of a tool."""
    if wanted.group is not None:
        return {wanted.group: groups[wanted.group]} if wanted.group in groups else {}
    return {
        name: cached
        for name, cached in groups.items()
        if any(tool.startswith(f"{name}/") for tool in wanted.names)
    }


def unlisted(cached: GroupListings) -> bool:
    """Return whether nothing is known of a group's tools, and may be soon: it is connecting, or can be woken."""
    if cached.group.upstream is None or not cached.group.config.features.tools:
        return False
    return cached.last_known_tools is None and not cached.unavailable_reason and "tools" not in cached.failed


def _shown(groups: Mapping[str, GroupListings]) -> dict[str, GroupListings]:
    return {name: cached for name, cached in groups.items() if cached.group.config.features.tools}


def _budget(groups: Mapping[str, GroupListings]) -> int:
    return min((cached.group.config.listing_budget for cached in groups.values()), default=LISTING_BUDGET)


def _refused(group: str, groups: Mapping[str, GroupListings], problem: str) -> bytes | None:
    """Return what is answered about a group that does not exist, or whose tools nobody may see."""
    if group not in groups:
        return tools.unknown("group", group, list(_shown(groups)), problem=problem)
    if not groups[group].group.config.features.tools:
        text = f"The tools of {quoted(group)} are switched off in dmcp's configuration."
        return tools.text_result(text, failed=True)
    return None


def _state(cached: GroupListings) -> str:
    listing = cached.last_known_tools
    count = "" if listing is None else f"{len(listing)} tool{'' if len(listing) == 1 else 's'}"
    told = {"ready": "", "asleep": "starts when it is used", "connecting": "connecting"}
    state = told.get(cached.state, f"unavailable: {cached.category}")
    return ", ".join(filter(None, (count, state))) or "ready"


def _not_ready(name: str, cached: GroupListings) -> str:
    """Return what is said of a group that is down, beside what it offered before."""
    if cached.state != "unavailable":
        return ""
    known = "; this is what it offered before" if cached.last_known_tools is not None else ""
    return f"{printable(name)} is unavailable ({cached.category}){known}."


def _not_searched(missing: list[str], groups: Mapping[str, GroupListings]) -> list[str]:
    if not missing:
        return []
    names = ", ".join(f"{printable(name)} ({_state(groups[name])})" for name in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return [f"Not searched, because what they offer is not known yet: {names}{more}."]
