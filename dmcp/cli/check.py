"""``dmcp check``: start everything a configuration names, and say what came of it. Not here: finding it out."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dmcp import log
from dmcp.cli import completing, show, trust
from dmcp.cli.amounts import count, tokens
from dmcp.cli.chosen import configuration, no_group, session, split
from dmcp.cli.examination import Ear, Finding, examine_all
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
@click.argument("words", nargs=-1, metavar="[CONFIG] [GROUP]...", shell_complete=completing.groups)
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
    findings = asyncio.run(_look(path, loaded))
    if as_json:
        value = {
            "config": show.line(path),
            "remarks": remarks,
            "servers": [finding.as_json() for finding in findings],
        }
        show.echo_json(value)
    else:
        _show(findings)
        for remark in remarks:
            click.echo(f"\nTake care: {show.line(remark)}")
    return 0 if all(finding.ready for finding in findings) else 1


async def _look(path: Path, loaded: Configuration) -> list[Finding]:
    ear = Ear(loaded.servers, _to_stderr if log.enabled("info") else None)
    started = time.monotonic()
    with _progress(list(loaded.servers)) as on_finding:
        async with session(path, ear.hear, "debug", signs_in=False, only=loaded.servers) as client:
            findings = await examine_all(client, loaded.servers, ear, started, on_finding)
    # Only now is everything read that dmcp logged.
    return [
        replace(
            finding,
            not_given=_not_given(finding.group, loaded),
            stderr=() if finding.ready else tuple(ear.stderr.get(finding.group, ())),
        )
        for finding in findings
    ]


def _not_given(group: str, loaded: Configuration) -> dict[str, str]:
    """Return the names of the variables that dmcp has and this server does not get, each with the reason."""
    server = loaded.servers[group].target
    if not isinstance(server, StdioServer):
        return {}
    return not_given(server, os.environ, loaded.withheld_from(group), sys.platform)


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _progress(waiting: list[str]) -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says how many servers have been seen, and one waited for; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _group: None
        return
    from rich.console import Console  # noqa: PLC0415 - for a terminal only
    from rich.markup import escape  # noqa: PLC0415 - as above

    total = count(len(waiting), "server")

    def told() -> str:
        first = f", waiting for {escape(show.line(waiting[0]))}" if waiting else ""
        return f"{len(everybody) - len(waiting)} of {total}{first}"

    everybody = tuple(waiting)
    with Console(stderr=True).status(told()) as status:

        def on_finding(group: str) -> None:
            waiting.remove(group)
            status.update(told())

        yield on_finding


def _show(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - --help and --json do without it
    from rich.table import Table  # noqa: PLC0415

    if not findings:
        click.echo("The configuration has no servers.")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "state", "transport", "revision"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tools", "resources", "prompts", "bytes", "~tokens", "ready in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for finding in findings:
        table.add_row(*_cells(finding), style=None if finding.ready else "red")
    if console.measure(table, options=console.options.update(max_width=_WIDE * 10)).maximum <= console.width:
        console.print(table)
    else:
        click.echo("\n".join(map(_in_two_lines, findings)))
    for finding in findings:
        _explain(finding)
    for finding in findings:
        _warn(finding)
    told = [line for finding in findings if (line := _environment(finding))]
    if told:
        click.echo("\nNot passed on from the environment (see inherit_env):\n" + "\n".join(told))
    click.echo(f"\n{_sum(findings)}")


def _environment(finding: Finding) -> str:
    """Return the line that names what this server is not given, or nothing."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in finding.not_given.items():
        by_reason.setdefault(reason, []).append(name)
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{', '.join(sorted(names)[:_NAMED])}{more} ({reason})")
    return f"  {show.line(finding.group)}: {show.line('; '.join(parts))}" if parts else ""


def _sum(findings: list[Finding]) -> str:
    total = sum(finding.definition_bytes for finding in findings)
    ready = sum(finding.ready for finding in findings)
    told = f"{ready} of {count(len(findings), 'server')} ready"
    if not ready:
        return told
    whose = "its" if ready == 1 else "their"
    return f"{told}; {whose} tool definitions are {total:,} bytes, about {tokens(total):,} tokens"


def _number(value: int | None) -> str:
    return "off" if value is None else f"{value:,}"


def _in_two_lines(finding: Finding) -> str:
    """A row of the table for a terminal that is too narrow for it."""
    if finding.seconds is None:
        return click.style(f"{show.line(finding.group)}  {finding.state}  {finding.transport}", fg="red")
    words = (show.line(finding.group), finding.state, finding.transport, finding.revision or "?")
    head = "  ".join((*words, f"{finding.seconds:.2f} s"))
    counts = ("tools", finding.tools), ("resources", finding.resources), ("prompts", finding.prompts)
    told = ", ".join(f"{what} {_number(value)}" for what, value in counts)
    return f"{head}\n  {told}\n  {finding.definition_bytes:,} bytes, ~{tokens(finding.definition_bytes):,} tokens"


def _cells(finding: Finding) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415 - see above; a name like "[red]" is a name, not markup

    head = [Text(show.line(finding.group)), finding.state, finding.transport]
    if finding.seconds is None:
        return head
    sizes = (
        f"{finding.definition_bytes:,}",
        f"{tokens(finding.definition_bytes):,}",
        f"{finding.seconds:.2f} s",
    )
    counts = (_number(finding.tools), _number(finding.resources), _number(finding.prompts))
    return [*head, finding.revision or "?", *counts, *sizes]


def _explain(finding: Finding) -> None:
    """Say why a server is unavailable, if it is."""
    if finding.ready:
        return
    click.echo(f"\n{show.line(finding.group)}: {show.line(show.with_configuration(str(finding.reason)))}")
    for line in finding.stderr:
        click.echo(f"  stderr: {show.line(line)}")
    if finding.hint:
        click.echo(f"  {show.line(show.with_configuration(finding.hint))}")


def _warn(finding: Finding) -> None:
    """Say what of a listing is not what it looks like: such text misleads people and models."""
    if not finding.suspicious:
        return
    click.echo(
        f"\n{show.line(finding.group)}: has characters that hide or reorder text. Do you trust this server?"
    )
    for what in finding.suspicious[:_NAMED]:
        click.echo(f"  {show.line(what)}")
    if len(finding.suspicious) > _NAMED:
        click.echo(f"  and {len(finding.suspicious) - _NAMED} more")
