"""Takes what has happened and hands it to whoever watches. The log is the first of them. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmcp import log
from dmcp.actors.dispatch import report
from dmcp.actors.runtime import LoopActor
from dmcp.messages import auth, events

if TYPE_CHECKING:
    from collections.abc import Callable


_NAMED: Final = 20  # servers that are named in the line of a healthy start


class Audit(LoopActor):
    """The actor that hands events to subscribers. A subscriber that raises is reported, and stays subscribed."""

    def __init__(self) -> None:
        super().__init__()
        self._subscribers: list[Callable[[object], None]] = [log_event]

    def __repr__(self) -> str:
        return f"<Audit {len(self._subscribers)} subscribers>"

    def on_receive(self, message: Any) -> None:
        """Handle one message, on the loop: a subscription, or an event."""
        if isinstance(message, events.Subscribe):
            self._subscribers.append(message.subscriber)
            return
        for subscriber in self._subscribers:
            try:
                subscriber(message)
            except Exception as error:  # noqa: BLE001 - the error boundary of a subscriber
                report(f"a subscriber failed on {type(message).__name__}", error, "Audit")


class _Sentence(NamedTuple):
    """How an event is logged: from which level on, and as which sentence (none: only where the log is JSON)."""

    level: str
    text: Callable[[Any], str] | None = None


def log_event(event: Any) -> None:
    """Write an event to the log: its sentence, or with ``DMCP_LOG_FORMAT=json`` its fields."""
    level, text = _SENTENCES[type(event)]
    if type(event) in _BY_FIELD:
        level = _BY_FIELD[type(event)](event)
    if log.enabled(level):
        limited = not isinstance(event, events.CallFinished)  # whoever listens for calls wants all of them
        log.event(event, level, (lambda: text(event)) if text is not None else None, limited=limited)


def _reconnect(event: events.ReconnectScheduled) -> str:
    then = {
        "backoff": f"trying again in {event.delay:.1f} s",
        "parked": f"parked, next try in {event.delay:.1f} s",
        "in use": "tried again when it is used",
        "present": "started when it is there",
        "wanted": "nobody uses it: started again at its next use",
    }
    return f"{event.reason}; {then[event.when]}"


def _applied(event: events.ConfigurationApplied) -> str:
    return (
        f"{'configuration' if event.first else 'changed configuration'} in force: {event.started} started, "
        f"{event.restarted} restarted, {event.stopped} stopped, {event.updated} updated, {event.kept} kept"
    )


def _listing_failed(event: events.ListingFailed) -> str:
    return event.reason if event.attempt == 1 else f"{event.reason} (for the {event.attempt}th time)"


def _call(event: events.CallFinished) -> str:
    named = f"{event.operation} {event.tool}".rstrip()
    return f"{named}: {event.outcome} of {event.bytes:,} bytes after {event.seconds * 1000:.1f} ms"


def _rejected(event: events.ConfigurationRejected) -> str:
    problems = "\n".join(event.problems)
    return f"the changed configuration is invalid, the previous one stays in force: {problems}"


def _started(event: events.Started) -> str:
    names, many = event.servers, len(event.servers)
    shown = ", ".join(names[:_NAMED]) + (f" and {many - _NAMED} more" if many > _NAMED else "")
    servers = f"{many} server{'' if many == 1 else 's'}{f' ({shown})' if names else ''}"
    return f"dmcp {event.version} serves {event.configuration}: {servers}"


_SENTENCES: Final[dict[type, _Sentence]] = {
    events.Started: _Sentence("notice", _started),
    events.Stopping: _Sentence("info", lambda e: f"{e.signal}: shutting down"),
    events.ConfigurationRejected: _Sentence("error", _rejected),
    events.ServerState: _Sentence("debug"),
    events.ConnectionReady: _Sentence("info", lambda e: f"ready, protocol {e.revision}"),
    events.ConnectionLost: _Sentence("debug"),
    events.ReconnectScheduled: _Sentence("warning", _reconnect),
    events.StartExtended: _Sentence("info", lambda e: e.reason),
    events.ListingChanged: _Sentence("debug"),
    events.ListingFailed: _Sentence("warning", _listing_failed),
    events.ListingCut: _Sentence("warning", lambda e: e.reason),
    events.ConfigurationApplied: _Sentence("info", _applied),
    events.CallFinished: _Sentence("debug", _call),
    auth.SignInStarted: _Sentence("debug"),
    auth.SignInInOtherProcess: _Sentence(
        "warning", lambda _: "waits for another dmcp process, which is signing in to it"
    ),
    auth.SignInEnded: _Sentence("debug"),
}
_BY_FIELD: Final[dict[type, Callable[[Any], str]]] = {
    events.ListingFailed: lambda e: "warning" if e.attempt == 1 else "debug",
    events.ConfigurationApplied: lambda e: "info" if e.first else "notice",
}
