"""What the catalog knows of one group. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from dmcp.protocol.listing import MEMBERS
from dmcp.protocol.pages import PagedListing

if TYPE_CHECKING:
    from dmcp.messages.catalog import State
    from dmcp.messages.supervisor import Group
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.listing import Kind


class GroupListings(Struct):
    """What is known of one group.

    Attributes:
        cache_key_loading: the fingerprint under which the disk is being asked for listings, empty when it is not.
        partial: the kinds of which only a part has come.
        stale: the kinds the server has said it changed, and that are being fetched again.
        failed: the kinds the server could not be asked for, and why.
        known_tools: all its tools as they were known last, by the server or the disk; ``None`` where nobody knows.
        known_tools_loading: the fingerprint under which the disk is being asked for ``known_tools`` alone.
        probed: whether it has been started only to learn what it offers.
        category: the reason in a few words of dmcp's own, fit for the model.
        pages: its listings as one who asks for this group alone pages through them.
    """

    group: Group
    state: State = "connecting"
    reason: str = ""
    generation: int = -1
    settled: bool = False
    listings: dict[Kind, tuple[JsonObject, ...]] = field(default_factory=dict)
    offered: set[Kind] = field(default_factory=set)
    partial: set[Kind] = field(default_factory=set)
    cache_key_loading: str = ""
    stale: set[Kind] = field(default_factory=set)
    known_tools: tuple[JsonObject, ...] | None = None
    known_tools_loading: str = ""
    probed: bool = False
    category: str = ""
    pages: dict[Kind, PagedListing] = field(default_factory=dict)
    failed: dict[Kind, str] = field(default_factory=dict)

    @classmethod
    def of(cls, group: Group) -> GroupListings:
        """Return what is known of a group that is new: of a lazy one nothing is to be waited for."""
        lazy = group.config.startup == "lazy"
        return cls(group, "asleep" if lazy else "connecting", settled=lazy)

    @property
    def is_lazy(self) -> bool:
        """Return whether it may sleep while it is offered to the client."""
        return self.group.config.startup == "lazy"

    @property
    def is_settled(self) -> bool:
        """Return whether there is nothing to wait for before it is listed for the first time."""
        return self.settled and not self.cache_key_loading

    @property
    def is_known(self) -> bool:
        """Return whether its listings, where it has any, are as good as the server's own answer."""
        if self.cache_key_loading:
            return False
        return self.state in ("ready", "asleep") or (self.is_lazy and self.state == "connecting")

    @property
    def is_undiscovered(self) -> bool:
        """Return whether it sleeps, and nobody knows what it offers."""
        return self.state == "asleep" and not self.cache_key_loading and not self.listings

    @property
    def is_waited_for(self) -> bool:
        """Return whether its direct tools are not known yet, and may be soon."""
        if not self.group.config.direct or self.known_tools is not None or self.group.upstream is None:
            return False
        if self.known_tools_loading or not self.is_settled:
            return True
        return (self.state == "connecting") if self.probed else self.is_undiscovered

    def needs_discovery(self, kind: Kind) -> bool:
        """Return whether it is a lazy one that has not said what it offers of this kind, and might if it is started."""
        return self.is_lazy and self.is_on(kind) and kind not in self.listings and not self.unavailable_reason

    @property
    def unavailable_reason(self) -> str:
        """Return the reason why requests to it will fail, empty if there is none."""
        return self.reason if self.state == "unavailable" else ""

    @property
    def last_known_tools(self) -> tuple[JsonObject, ...] | None:
        """Return its tools as far as they are known, whatever its state is; ``None`` when nothing is."""
        return None if self.cache_key_loading else self.listings.get("tools")

    @property
    def offers_resources(self) -> bool:
        """Return whether it may have resources nobody lists."""
        return "resources" in self.offered and self.is_known

    def listing(self, kind: Kind) -> PagedListing:
        """Return the pages of one of its listings."""
        if kind not in self.pages:
            self.pages[kind] = PagedListing(MEMBERS[kind], self.group.config.name)
        return self.pages[kind]

    def incomplete(self, kind: Kind) -> str:
        """Return why one of its listings may not be all that it offers, empty when it is."""
        return self.failed.get(kind, "") or ("only a part of it has come" if kind in self.partial else "")

    def is_on(self, kind: Kind) -> bool:
        """Return whether the configuration shows this kind of the group's to the client."""
        features = self.group.config.features
        return {
            "tools": features.tools,
            "resources": features.resources,
            "templates": features.resources,
            "prompts": features.prompts,
        }[kind]
