"""``dmcp import --list``: which coding tools have servers on this machine, where, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp.cli.importers.documents import read_document
from dmcp.cli.importers.gather import locations, servers_at
from dmcp.cli.importers.machine import is_there
from dmcp.cli.importers.own import is_dmcp
from dmcp.cli.importers.registry import TOOLS
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.tool import Scope

_SCOPES: tuple[Scope, ...] = ("project", "user")


def overview(machine: Machine) -> str:
    """A table of the files that are there, and the tools that have none."""
    rows = [("tool", "scope", "servers", "file"), *_rows(machine)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in rows
    ]
    found = {row[0] for row in rows}
    missing = [name for name in TOOLS if name not in found]
    if len(rows) == 1:
        lines = ["No coding tool has MCP servers here."]
    return "\n".join([*lines, f"Nothing found of: {', '.join(missing)}"] if missing else lines)


def _rows(machine: Machine) -> Iterator[tuple[str, str, str, str]]:
    for tool in TOOLS.values():
        for scope in _SCOPES:
            for path, keys in locations(tool, scope, machine):
                count = _count(path, keys) if is_there(path, as_file=True) else None
                if count is not None:
                    yield tool.name, scope, count, str(path)


def _count(path: Path, keys: tuple[str, ...]) -> str | None:
    """How many servers, and dmcp, which is none to import; ``None`` for a file that has no place for any."""
    try:
        servers = servers_at(read_document(path), keys, path)
    except ConfigError as error:
        return f"unreadable ({str(error).removeprefix(f'{path}: ')})"
    if servers is None:
        return None
    mine = sum(map(is_dmcp, servers.values()))
    return f"{len(servers) - mine}, dmcp" if mine else str(len(servers))
