"""``dmcp check``: start everything a configuration names, and say what came of it. Not here: report it out."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dmcp.cli import completion, formatting, trust
from dmcp.cli.context import configuration, no_group, session, split
from dmcp.cli.formatting import count, tokens
from dmcp.cli.health import EventCollector, ServerReport, completed, examine_all
from dmcp.config.exposure import exposed
from dmcp.config.loading import read
from dmcp.config.model import StdioServer
from dmcp.errors import ConfigError
from dmcp.protocol.environment import not_given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dmcp.config.model import Configuration

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


@click.command(
    "check", short_help="Connect to every server, and show what works and what does not.", epilog=_EPILOG
)
@click.argument("words", nargs=-1, metavar="[CONFIG] [GROUP]...", shell_complete=completion.groups)
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
