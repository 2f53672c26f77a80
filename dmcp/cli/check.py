"""``dmcp check``: start everything a configuration names, and say what came of it. Not here: finding it out."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.cli.amounts import count, tokens
from dmcp.cli.chosen import configuration, session
from dmcp.cli.examination import Ear, Finding, examine_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dmcp.config.model import Configuration

_EPILOG = """\b
Examples:
  dmcp check
  dmcp check ~/.config/dmcp.json
  dmcp check --json | jq '.servers[] | select(.ready | not)'

Exit status: 0 every server is ready, 1 one is not, 2 the configuration is wrong.
"""


@click.command(
    "check", short_help="Connect to every server, and show what works and what does not.", epilog=_EPILOG
)
@click.argument("config", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(config: str | None, as_json: bool) -> int:
    """Check CONFIG, connect to every server in it, and show a table.

    For each server: its transport, the protocol revision, how much it offers, the size of its tool definitions, and
    the time from the start until it answered. Tokens are estimated at four bytes each.
    """
    path, loaded = configuration(config)
    findings = asyncio.run(_look(path, loaded))
    if as_json:
        value = {"config": str(path), "servers": [finding.as_json() for finding in findings]}
        click.echo(to_json(value, indent=2).decode())
    else:
        _show(findings)
    return 0 if all(finding.ready for finding in findings) else 1


async def _look(path: Path, loaded: Configuration) -> list[Finding]:
    ear = Ear(loaded.servers, _to_stderr if log.enabled("info") else None)
    started = time.monotonic()
    with _progress(len(loaded.servers)) as on_finding:
        async with session(path, ear.hear, "debug") as client:
            return await examine_all(client, loaded.servers, ear, started, on_finding)


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A line on a terminal that says how many servers have been seen; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - for a terminal only

    seen = 0
    with Console(stderr=True).status(f"0 of {count(total, 'server')}") as status:

        def on_finding() -> None:
            nonlocal seen
            seen += 1
            status.update(f"{seen} of {count(total, 'server')}")

        yield on_finding


def _show(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - --help and --json do without it
    from rich.table import Table  # noqa: PLC0415

    if not findings:
        click.echo("The configuration has no servers.")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "state", "transport", "revision"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tools", "resources", "prompts", "bytes", "~tokens", "ready in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for finding in findings:
        table.add_row(*_cells(finding), style=None if finding.ready else "red")
    console.print(table)
    for finding in findings:
        if not finding.ready:
            _explain(finding)
    total = sum(finding.definition_bytes for finding in findings)
    ready = sum(finding.ready for finding in findings)
    click.echo(
        f"\n{ready} of {count(len(findings), 'server')} ready; "
        f"their tool definitions are {total:,} bytes, about {tokens(total):,} tokens"
    )


def _cells(finding: Finding) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415 - see above; a name like "[red]" is a name, not markup

    def number(value: int | None) -> str:
        return "off" if value is None else f"{value:,}"

    head = [Text(finding.group), "ready" if finding.ready else "unavailable", finding.transport]
    if not finding.ready:
        return head
    sizes = (
        f"{finding.definition_bytes:,}",
        f"{tokens(finding.definition_bytes):,}",
        f"{finding.seconds:.2f} s",
    )
    counts = (number(finding.tools), number(finding.resources), number(finding.prompts))
    return [*head, finding.revision or "?", *counts, *sizes]


def _explain(finding: Finding) -> None:
    click.echo(f"\n{finding.group}: {finding.reason}")
    for line in finding.stderr:
        click.echo(f"  stderr: {line}")
    if finding.hint:
        click.echo(f"  {finding.hint}")
