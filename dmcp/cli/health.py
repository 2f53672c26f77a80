"""What ``dmcp check`` finds out about each server, and what it advises. Printing it is the business of ``check``."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dmcp import log
from dmcp.cli import context
from dmcp.cli.client import reason_of
from dmcp.cli.formatting import size, tokens
from dmcp.config.model import StdioServer
from dmcp.errors import UpstreamError
from dmcp.protocol import categories, upstream_errors
from dmcp.protocol.link import FaultKind
from dmcp.text import is_suspicious, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dmcp.cli.client import Client
    from dmcp.config.model import ServerConfig

_SHOWN_NAME: Final = 80  # characters
_RUN_IT: Final = "run its command in a terminal"
_ADVICE: Final = {
    categories.TOO_SLOW: f'{_RUN_IT}; if it is only slow, raise "timeout": {{"connect": ...}}',
    categories.NOT_REACHABLE: "check the address, and whether the server runs",
    categories.NOT_FOUND: 'check the path of the "url"',
}


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One server. Counts are ``None`` where the configuration switches the feature off.

    Attributes:
        ready: whether it can be used, and all that it offers could be listed.
        transport: "stdio", "http", "sse" or "auto".
        revision: the protocol revision it speaks, if it told.
        definition_bytes: size of its tools' definitions as compact JSON.
        seconds: from the start of dmcp until its first answer.
        reason: why it is unavailable.
        stderr: the last lines it wrote there, if it is unavailable.
        hint: what the user can do.
        suspicious: texts of its listings with characters that hide or reorder what is read, escaped.
        not_given: variables of dmcp's environment that the server does not get, each with the reason.
    """

    group: str
    ready: bool
    transport: str
    revision: str | None = None
    tools: int | None = None
    resources: int | None = None
    prompts: int | None = None
    definition_bytes: int = 0
    seconds: float | None = None
    reason: str | None = None
    stderr: tuple[str, ...] = ()
    hint: str | None = None
    suspicious: tuple[str, ...] = ()
    not_given: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Return the state in a word."""
        if self.ready:
            return "ready"
        return "unavailable" if self.seconds is None else "incomplete"

    def as_json(self) -> dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        return {**asdict(self), "approximate_tokens": tokens(self.definition_bytes)}


class EventCollector:
    """Keeps what no answer says: of each server its revision, what it says of itself, and how its connection ended.

    Attributes:
        ready: the last ``ConnectionReady`` of each group.
        lost: the last ``ConnectionLost`` of each group.
        cut: why listings of a group do not have all it offers, by kind.
    """

    def __init__(self) -> None:
        self.ready: dict[str, Mapping[str, Any]] = {}
        self.lost: dict[str, Mapping[str, Any]] = {}
        self.cut: dict[str, dict[str, str]] = {}

    def __repr__(self) -> str:
        return f"<EventCollector {len(self.ready)} ready, {len(self.lost)} lost>"

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Take one line of a dmcp's log in JSON, at level debug."""
        group = event.get("group", "")
        match event["event"]:
            case "ConnectionReady":
                self.ready[group] = event
            case "ConnectionLost":
                self.lost[group] = event
            case "ListingCut":
                self.cut.setdefault(group, {})[event["kind"]] = event["reason"]
        if log.enabled("info") and "message" in event:
            whom = f"{group} stderr" if event["event"] == "ServerOutput" else group
            log.write(event["level"], event["message"], whom)


async def examine(client: Client, config: ServerConfig, started: float) -> ServerReport:
    """Find out about one server, waiting for it as an assistant would.

    Args:
        client: the session with dmcp.
        config: the server.
        started: ``time.monotonic()`` when dmcp was started.
    """
    name, features = config.name, config.features
    transport = "stdio" if isinstance(config.target, StdioServer) else config.target.kind
    try:
        tools = await client.group_tools(name) if features.tools else None
        seconds = time.monotonic() - started
        resources = await client.list_all("resources", name) if features.resources else None
        prompts = await client.list_all("prompts", name) if features.prompts else None
    except UpstreamError as error:
        return ServerReport(name, False, transport, reason=log.mask(reason_of(error)))
    incomplete = client.incomplete.get(name, {})
    why = "; ".join(f"its {kind} are incomplete: {log.mask(reason)}" for kind, reason in incomplete.items())
    return ServerReport(
        name,
        not incomplete,
        transport,
        tools=None if tools is None else len(tools),
        resources=None if resources is None else len(resources),
        prompts=None if prompts is None else len(prompts),
        definition_bytes=size(tools) if tools else 0,
        seconds=round(seconds, 3),
        reason=why or None,
        suspicious=tuple(_suspicious({"tool": tools, "resource": resources, "prompt": prompts})),
    )


def _suspicious(listings: Mapping[str, list[dict[str, Any]] | None]) -> Iterator[str]:
    """Name the texts of listings that are not what they look like."""
    for kind, entries in listings.items():
        for entry in entries or ():
            name = printable(str(entry.get("name") or entry.get("uri")), _SHOWN_NAME)
            for key in ("name", "title", "description", "uri"):
                text = entry.get(key)
                if isinstance(text, str) and is_suspicious(text):
                    yield f"{kind} {name}: its {key}"


async def examine_all(
    client: Client,
    servers: Mapping[str, ServerConfig],
    started: float,
    on_report: Callable[[str], None],
) -> list[ServerReport]:
    """Find out about all servers at once; reports in the order of the configuration. ``on_report`` gets each name."""

    async def one(config: ServerConfig) -> ServerReport:
        report = await examine(client, config, started)
        on_report(config.name)
        return report

    return list(await asyncio.gather(*(one(config) for config in servers.values())))


def completed(report: ServerReport, events: EventCollector) -> ServerReport:
    """Return a report with what the events say, all of which have come when the session is over."""
    group = report.group
    cut = "; ".join(f"{reason}: what follows is missing" for reason in events.cut.get(group, {}).values())
    if report.seconds is not None:
        reason = "; ".join(filter(None, (report.reason, cut))) or None
        revision = events.ready.get(group, {}).get("revision")
        return replace(report, ready=report.ready and not cut, reason=reason, revision=revision)
    lost = events.lost.get(group, {})
    return replace(report, stderr=tuple(lost.get("stderr", ())), hint=advice(group, lost))


def advice(group: str, lost: Mapping[str, Any]) -> str | None:
    """Return what the user can do about a lost connection, where its reason does not say it.

    Args:
        group: the server.
        lost: the fields of a ``ConnectionLost``, or nothing.
    """
    category = lost.get("category", "")
    if category in _ADVICE:
        return _ADVICE[category]
    if category == categories.NEEDS_SIGN_IN:
        return f"run {upstream_errors.sign_in_command('login', group, context.named())}"
    ended = lost.get("kind") == FaultKind.EXITED.value and category != categories.HANGS
    return f"{_RUN_IT} to see why" if ended else None
