"""What a shell offers for the words of commands: groups, their tools, coding tools.

It reads the configuration and starts nothing; the tools of a group are those a command saw last (``remembered``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from dmcp.cli.context import configuration, names_file, remembered
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import click


def groups(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the groups whose names begin so, or the shell's files where only a configuration can stand.

    After the group, for ``dmcp call``, its tools.
    """
    before = [word for word in ctx.params.get("words") or () if word]
    given = before[0] if before and names_file(before[0]) else None
    named = before[given is not None :]
    try:
        path, loaded = configuration(given, starts=False)
    except ConfigError:
        return [] if named else [CompletionItem(incomplete, type="file")]
    if named and ctx.info_name == "check":
        return [
            CompletionItem(name)
            for name in loaded.servers
            if name.startswith(incomplete) and name not in named
        ]
    if named:
        return _tools(path, named, incomplete) if ctx.info_name == "call" else []
    servers = loaded.servers.items()
    found = [CompletionItem(name, help=s.description) for name, s in servers if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def _tools(config: Path, named: list[str], incomplete: str) -> list[CompletionItem]:
    """Return the tools of a group whose names begin so; nothing after a tool."""
    group, *tool = named
    names = [] if tool else asyncio.run(remembered(config, group))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def coding_tools(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the coding tools whose names begin so; for ``dmcp import``, files too, where none does."""
    from dmcp.cli.coding_tools.table import TOOLS  # noqa: PLC0415 - for three commands of many

    found = [
        CompletionItem(name, help=tool.title) for name, tool in TOOLS.items() if name.startswith(incomplete)
    ]
    return found or [CompletionItem(incomplete, type="file")]
