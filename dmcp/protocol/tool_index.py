"""What one upstream offers: its tools as dmcp needs them, and which of its listings are being fetched."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dmcp.protocol import listing, tools
from dmcp.protocol.hints import quoted
from dmcp.protocol.limits import MAX_HINT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.config.model import Features, Limits, ToolSelection
    from dmcp.protocol.eras.handshake import ClientSession
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind


class ToolIndex:
    """The listings of one upstream on their way, and its tools by name when they have come.

    Attributes:
        tools: by name, those switched off included.
        complete: whether ``tools`` can be trusted to hold every tool.
    """

    __slots__ = ("_again", "_resting", "complete", "tools")

    def __init__(self) -> None:
        self.tools: dict[str, JsonObject] = {}
        self.complete = False
        self._again: dict[Kind, bool] = {}
        self._resting: set[Kind] = set()

    def __repr__(self) -> str:
        return f"<ToolIndex {len(self.tools)} tools, fetching {sorted(self._again)}>"

    @property
    def fetching(self) -> bool:
        """Return whether a listing is on its way."""
        return bool(self._again)

    def fetch(self, kind: Kind, limits: Limits) -> listing.Collector | None:
        """Begin to fetch a listing; ``None`` when that is going on, in which case it will be fetched once more.

        ``None`` too for one that rests: it will be fetched when it has.

        Args:
            kind: which listing.
            limits: what it may have.
        """
        if kind in self._resting:
            return None
        if kind in self._again:
            self._again[kind] = True
            return None
        self._again[kind] = False
        return listing.Collector(kind, limits)

    def fetched(self, kind: Kind) -> bool:
        """End the fetching of a listing; returns whether it has to be fetched once more, after a rest."""
        again = self._again.pop(kind, False)
        if again:
            self._resting.add(kind)
        return again

    def rested(self, kind: Kind) -> None:
        """Let it be fetched again."""
        self._resting.discard(kind)

    def take_tools(self, entries: Sequence[JsonObject], *, complete: bool) -> None:
        """Put the tools in their places."""
        self.tools = {entry["name"]: entry for entry in entries}
        self.complete = complete

    def knows(self, name: object) -> bool:
        """Return whether a call of this tool can go out without another look at the listing."""
        return not self.complete or name in self.tools

    def unknown_tool_result(self, name: str, selection: ToolSelection, group: str) -> bytes:
        """Return the failed result for a tool that is switched off or does not exist."""
        if not tools.is_selected(selection, name):
            text = f"The tool {quoted(name)} of {group} is switched off in dmcp's configuration."
            return tools.text_result(text, failed=True)
        selected = (tool for tool in self.tools if tools.is_selected(selection, tool))
        return tools.unknown(
            "tool", name, list(islice(selected, MAX_HINT_NAMES)), f" in group {quoted(group)}"
        )


def declares_nothing(session: ClientSession) -> bool:
    """Return whether a server declared nothing of what servers offer. It is asked for tools nevertheless."""
    return not session.capabilities.keys() & {"tools", "resources", "prompts"}


def kinds(features: Features, session: ClientSession) -> list[Kind]:
    """Return the listings worth fetching: switched on here and offered there."""
    wanted: list[Kind] = []
    if features.tools and (session.has("tools") or declares_nothing(session)):
        wanted.append("tools")
    if features.resources and session.has("resources"):
        wanted += ["resources", "templates"]
    if features.prompts and session.has("prompts"):
        wanted.append("prompts")
    return wanted
