"""``dmcp check``: start everything a configuration names, find out about each server, and say what came of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import click

from dmcp import log
from dmcp.cli import context, formatting, trust
from dmcp.cli.client import reason_of
from dmcp.cli.context import configuration, no_group, session, split
from dmcp.cli.formatting import count, size, tokens
from dmcp.config.exposure import exposed
from dmcp.config.loading import read
from dmcp.config.model import StdioServer
from dmcp.errors import ConfigError, UpstreamError
from dmcp.protocol import categories, upstream_errors
from dmcp.protocol.environment import not_given
from dmcp.protocol.link import FaultKind
from dmcp.text import is_suspicious, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dmcp.cli.client import Client
    from dmcp.config.model import Configuration, ServerConfig

_WIDE = 120
"""Columns of the table where there is no terminal."""
_NAMED = 10  # variables of one reason that are named; the rest is counted, and named with --json
_EPILOG = """\b
Examples:
  dmcp check
  dmcp check ~/.config/dmcp.json
  dmcp check github files          only these two
  dmcp check --json | jq '.servers[] | select(.ready | not)'

Exit status: 0 every server is ready, 1 one is not, 2 the configuration is wrong.
"""


@click.command("check", epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[CONFIG] [GROUP]...", shell_complete=context.groups)
@trust.option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(words: tuple[str, ...], as_json: bool) -> int:
    """Check CONFIG, connect to every server in it, or to the GROUPs named, and show a table.

    For each server: its transport, the protocol revision, how much it offers, the size of its tool definitions, and
    the time from the start until it answered. Tokens are estimated at four bytes each.
    """
    given, names = split(words, sys.maxsize)
    path, loaded = configuration(given)
    unknown = [name for name in names if name not in loaded.servers]
    if unknown:
        raise ConfigError(no_group(unknown[0], loaded.servers))
    loaded = loaded.only(names) if names else loaded
    remarks = exposed(path, read(path).values)
    reports = asyncio.run(_collect(path, loaded))
    if as_json:
        value = {
            "config": formatting.line(path, None),
            "remarks": remarks,
            "servers": [report.as_json() for report in reports],
        }
        formatting.echo_json(value)
    else:
        _show(reports)
        for remark in remarks:
            click.echo(f"\nTake care: {formatting.line(remark)}")
    return 0 if all(report.ready for report in reports) else 1


async def _collect(path: Path, loaded: Configuration) -> list[ServerReport]:
    events = EventCollector()
    started = time.monotonic()
    with _progress(list(loaded.servers)) as on_report:
        async with session(path, events.on_event, signs_in=False, only=loaded.servers) as client:
            reports = await examine_all(client, loaded.servers, started, on_report)
    return [
        replace(completed(report, events), not_given=_not_given(report.group, loaded)) for report in reports
    ]


def _not_given(group: str, loaded: Configuration) -> dict[str, str]:
    """Return the names of the variables that dmcp has and this server does not get, each with the reason."""
    server = loaded.servers[group].target
    if not isinstance(server, StdioServer):
        return {}
    return not_given(server, os.environ, loaded.withheld_from(group), sys.platform)


@contextmanager
def _progress(waiting: list[str]) -> Iterator[Callable[[str], None]]:
    """Show a line on a terminal that says how many servers have been seen, and one waited for; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _group: None
        return
    from rich.console import Console  # noqa: PLC0415 - for a terminal only
    from rich.markup import escape  # noqa: PLC0415 - as above

    total = count(len(waiting), "server")

    def told() -> str:
        first = f", waiting for {escape(formatting.line(waiting[0]))}" if waiting else ""
        return f"{len(everybody) - len(waiting)} of {total}{first}"

    everybody = tuple(waiting)
    with Console(stderr=True).status(told()) as status:

        def on_report(group: str) -> None:
            waiting.remove(group)
            status.update(told())

        yield on_report


def _show(reports: list[ServerReport]) -> None:
    from rich.console import Console  # noqa: PLC0415 - --help and --json do without it
    from rich.table import Table  # noqa: PLC0415

    if not reports:
        click.echo("The configuration has no servers.")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "state", "transport", "revision"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tools", "resources", "prompts", "bytes", "~tokens", "ready in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        table.add_row(*_cells(report), style=None if report.ready else "red")
    if console.measure(table, options=console.options.update(max_width=_WIDE * 10)).maximum <= console.width:
        console.print(table)
    else:
        click.echo("\n".join(map(_in_two_lines, reports)))
    for report in reports:
        _explain(report)
    for report in reports:
        _warn(report)
    told = [line for report in reports if (line := _environment(report))]
    if told:
        click.echo("\nNot passed on from the environment (see inherit_env):\n" + "\n".join(told))
    click.echo(f"\n{_sum(reports)}")


def _environment(report: ServerReport) -> str:
    """Return the line that names what this server is not given, or nothing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.not_given.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{', '.join(sorted(names)[:_NAMED])}{more} ({reason})")
    return f"  {formatting.line(report.group)}: {formatting.line('; '.join(parts))}" if parts else ""


def _sum(reports: list[ServerReport]) -> str:
    total = sum(report.definition_bytes for report in reports)
    ready = sum(report.ready for report in reports)
    told = f"{ready} of {count(len(reports), 'server')} ready"
    if not ready:
        return told
    whose = "its" if ready == 1 else "their"
    return f"{told}; {whose} tool definitions are {total:,} bytes, about {tokens(total):,} tokens"


def _number(value: int | None) -> str:
    return "off" if value is None else f"{value:,}"


def _in_two_lines(report: ServerReport) -> str:
    """Return a row of the table for a terminal that is too narrow for it."""
    if report.seconds is None:
        return click.style(f"{formatting.line(report.group)}  {report.state}  {report.transport}", fg="red")
    words = (formatting.line(report.group), report.state, report.transport, report.revision or "?")
    head = "  ".join((*words, f"{report.seconds:.2f} s"))
    counts = ("tools", report.tools), ("resources", report.resources), ("prompts", report.prompts)
    told = ", ".join(f"{what} {_number(value)}" for what, value in counts)
    return (
        f"{head}\n  {told}\n  {report.definition_bytes:,} bytes, ~{tokens(report.definition_bytes):,} tokens"
    )


def _cells(report: ServerReport) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415 - see above; a name like "[red]" is a name, not markup

    head = [Text(formatting.line(report.group)), report.state, report.transport]
    if report.seconds is None:
        return head
    sizes = (
        f"{report.definition_bytes:,}",
        f"{tokens(report.definition_bytes):,}",
        f"{report.seconds:.2f} s",
    )
    counts = (_number(report.tools), _number(report.resources), _number(report.prompts))
    return [*head, report.revision or "?", *counts, *sizes]


def _explain(report: ServerReport) -> None:
    """Say why a server is unavailable, if it is."""
    if report.ready:
        return
    click.echo(f"\n{formatting.line(report.group)}: {formatting.line(report.reason)}")
    for line in report.stderr:
        click.echo(f"  stderr: {formatting.line(line)}")
    if report.hint:
        click.echo(f"  {formatting.line(report.hint)}")


def _warn(report: ServerReport) -> None:
    """Say what of a listing is not what it looks like: such text misleads people and models."""
    if not report.suspicious:
        return
    click.echo(
        f"\n{formatting.line(report.group)}: has characters that hide or reorder text. Do you trust this server?"
    )
    for what in report.suspicious[:_NAMED]:
        click.echo(f"  {formatting.line(what)}")
    if len(report.suspicious) > _NAMED:
        click.echo(f"  and {len(report.suspicious) - _NAMED} more")


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
    """Find out about one server as an assistant would wait for it; dmcp was ``started`` then (``time.monotonic``)."""
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
    """Return what the user can do about a lost connection, where its reason (``ConnectionLost``) does not say it."""
    category = lost.get("category", "")
    if category in _ADVICE:
        return _ADVICE[category]
    if category == categories.NEEDS_SIGN_IN:
        return f"run {upstream_errors.sign_in_command('login', group, context.named())}"
    ended = lost.get("kind") == FaultKind.EXITED.value and category != categories.HANGS
    return f"{_RUN_IT} to see why" if ended else None
