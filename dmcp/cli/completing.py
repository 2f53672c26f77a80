"""What a shell offers for the words of ``dmcp list`` and ``dmcp call``: the groups of the configuration.

It reads the configuration and starts nothing, so it knows no tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from dmcp.cli.chosen import configuration, names_file
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    import click


def groups(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The groups whose names begin so, or the shell's files where only a configuration can stand."""
    before = [word for word in ctx.params.get("words") or () if word]
    given = before[0] if before and names_file(before[0]) else None
    if len(before) > (given is not None):
        return []
    try:
        _, loaded = configuration(given)
    except ConfigError:
        return [CompletionItem(incomplete, type="file")]
    servers = loaded.servers.items()
    found = [CompletionItem(name, help=s.description) for name, s in servers if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]
