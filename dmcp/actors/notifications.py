"""The notifications of one server on their way to the client: which pass, how many, and what becomes of the rest.

Part of a connection. Beyond ``limits.notifications`` a second the newest progress of each call and the
newest update of each resource are kept and delivered a little later; log messages are dropped, counted and told once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages import catalog, frontend
from dmcp.protocol.limits import MAX_LATE_BYTES, MAX_LATE_UPDATES, MAX_URI, NOTIFICATION_BURST
from dmcp.protocol.operations import LogMessage
from dmcp.protocol.timing import Bucket
from dmcp.text import printable

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

    from dmcp.actors.startup import Timers
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.messages.upstream import Submit
    from dmcp.protocol.clients import Clients
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.operations import ResourceUpdated, ServerNotification

FLUSH_INTERVAL: Final = 0.1
"""Seconds until what is late is tried again."""

_LOGGER: Final = 200  # characters of a logger's name
_TELL_INTERVAL: Final = 60.0  # seconds between two remarks about dropped notifications


class _LateProgress(NamedTuple):
    """The newest progress of a call, of a message of so many bytes."""

    request: Submit
    figures: JsonObject
    size: int


class _LateUpdate(NamedTuple):
    """The newest update of a resource, likewise."""

    news: ResourceUpdated
    size: int


class Notifications:
    """One server's notifications to the client, slowed down to a rate.

    Args:
        config: of the server.
        timers: of the connection.
        catalog: is told of changed resources.
        clients: are told the rest.
        clock: seconds of a monotonic clock.

    Attributes:
        late_progress: the newest progress of calls that is kept back, by their numbers; changed here only.
    """

    __slots__ = (
        "_bucket",
        "_catalog",
        "_clients",
        "_clock",
        "_config",
        "_dropped",
        "_group",
        "_late_bytes",
        "_late_updates",
        "_telling",
        "_timers",
        "_told_at",
        "_waiting",
        "late_progress",
    )

    def __init__(
        self,
        config: ServerConfig,
        timers: Timers,
        catalog_: Address,
        clients: Clients[Address],
        clock: Callable[[], float],
    ) -> None:
        self._group = config.name
        self._config = config
        self._timers = timers
        self._catalog = catalog_
        self._clients = clients
        self._clock = clock
        self._bucket = Bucket(*_rate(config))
        self.late_progress: dict[int, _LateProgress] = {}  # by the call; bounded by the calls in flight
        self._late_updates: dict[str, _LateUpdate] = {}
        self._late_bytes = 0  # of both
        self._dropped = 0
        self._told_at: float | None = None
        self._telling: TimerHandle | None = None
        self._waiting: TimerHandle | None = None

    def __repr__(self) -> str:
        late = len(self.late_progress) + len(self._late_updates)
        return f"<Notifications of {self._group}: {late} late, {self._dropped} dropped>"

    def reconfigure(self, config: ServerConfig) -> None:
        """Use these limits from now on."""
        self._config = config
        self._bucket.change(*_rate(config))

    def progress(self, number: int, request: Submit, figures: JsonObject, size: int) -> None:
        """Pass progress of a call on, now or later; a newer one takes the place of an older one that waits."""
        late = self.late_progress.pop(number, None)
        if late is not None:
            self._late_bytes -= late.size
        elif self._bucket.take(self._clock()):
            post(request.context.reply_to, frontend.Progressed(request.call, figures))
            return
        if self._has_room(size):
            self.late_progress[number] = _LateProgress(request, figures, size)

    def updated(self, news: ResourceUpdated, size: int) -> None:
        """Pass the news of a changed resource on, now or later; likewise."""
        uri = news.uri
        late = self._late_updates.pop(uri, None)
        if late is not None:
            self._late_bytes -= late.size
        elif self._bucket.take(self._clock()):
            self._tell_updated(news)
            return
        if len(self._late_updates) >= MAX_LATE_UPDATES or len(uri) > MAX_URI:
            self.drop()
        elif self._has_room(size):
            self._late_updates[uri] = _LateUpdate(news, size)

    def _has_room(self, size: int) -> bool:
        """Make room for something that waits; what finds none is dropped."""
        if self._late_bytes + size > MAX_LATE_BYTES:
            self.drop()
            return False
        self._late_bytes += size
        self._flush_later()
        return True

    def message(self, news: LogMessage) -> None:
        """Pass a log message on under the group's name, or drop it."""
        if not self._bucket.take(self._clock()):
            self.drop()
            return
        logger = news.logger
        own = f"/{printable(logger, _LOGGER)}" if isinstance(logger, str) and logger else ""
        self._tell_all(news._replace(logger=f"{self._group}{own}"))

    def _tell_all(self, news: ServerNotification) -> None:
        message = frontend.SendNotification(news)
        for address in self._clients.all():
            post(address, message)

    def drop(self) -> None:
        """Count a notification that is not passed on; the person is told when the flood is over."""
        self._dropped += 1
        self._flush_later()

    def landed(self, number: int) -> None:
        """A call has its answer, which goes out next: its newest progress has to go before it."""
        late = self.late_progress.pop(number, None)
        if late is not None:
            self._late_bytes -= late.size
            post(late.request.context.reply_to, frontend.Progressed(late.request.call, late.figures))

    def forget(self, number: int) -> None:
        """Drop the progress of a call that was cancelled."""
        late = self.late_progress.pop(number, None)
        if late is not None:
            self._late_bytes -= late.size

    def flush(self) -> None:
        """Deliver what is late, as far as the rate allows; the rest waits on."""
        self._waiting = None
        while self.late_progress and self._bucket.take(self._clock()):
            self.landed(next(iter(self.late_progress)))
        while self._late_updates and self._bucket.take(self._clock()):
            late = self._late_updates.pop(next(iter(self._late_updates)))
            self._late_bytes -= late.size
            self._tell_updated(late.news)
        if self.late_progress or self._late_updates:
            self._flush_later()
        elif self._dropped and self._telling is None:
            wait = 0.0 if self._told_at is None else self._told_at + _TELL_INTERVAL - self._clock()
            self._telling = self._timers.start_timer(max(0.0, wait), "dropped")

    def _flush_later(self) -> None:
        if self._waiting is None:
            self._waiting = self._timers.start_timer(FLUSH_INTERVAL, "notifications")

    def _tell_updated(self, news: ResourceUpdated) -> None:
        post(self._catalog, catalog.ResourceUpdated(self._group, news))

    def tell_dropped(self) -> None:
        """Say how many were dropped since that was said last: in the log, and to the client as a log message."""
        self._telling, self._told_at = None, self._clock()
        dropped, self._dropped = self._dropped, 0
        text = (
            f"{dropped} notifications were dropped: it sends more than {self._config.limits.notifications:g} a second "
            "(limits.notifications), or larger ones than dmcp passes on"
        )
        log.warning(text, self._group)
        self._tell_all(LogMessage("warning", self._group, {"data": f"dmcp: {text}"}))


def _rate(config: ServerConfig) -> tuple[float, float]:
    rate = config.limits.notifications
    return rate, rate * NOTIFICATION_BURST
