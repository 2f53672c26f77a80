"""What ``dmcp import`` says at the end: where servers came from, which came over, and what did not.

Names come from files that others may have written, so nothing in them reaches the terminal as a control sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.model import Command
from dmcp.config.redaction import address, arguments
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dmcp.cli.importers.model import Harvest, ImportedServer
    from dmcp.cli.importers.output import Outcome


def report(
    harvest: Harvest, outcome: Outcome, entries: Mapping[str, dict[str, Any]], verb: str, output: str
) -> Iterator[str]:
    """The lines of it, without secrets.

    Args:
        harvest: what was found, with everything that was not carried.
        outcome: what was written, or would be.
        entries: the entries by name.
        verb: what was done, or would be.
        output: the file.
    """
    yield from map(plain, harvest.remarks)
    count = len(outcome.added)
    yield f"{verb} {'1 server' if count == 1 else f'{count} servers'} into {output}"
    lines = {server.name: in_short(server) for server in harvest.servers}
    width = max((len(plain(name)) for name in outcome.added), default=0)
    for name in outcome.added:
        yield f"  {plain(name):<{width}}  {lines[name]}{_off(entries[name])}"
    for name in outcome.kept:
        yield f"  {plain(name)}: already in {output}, left as it is"
    if harvest.not_carried:
        yield "Not carried:"
    yield from (f"  {plain(str(note))}" for note in harvest.not_carried)


def _off(entry: Mapping[str, Any]) -> str:
    if not entry.get("enabled", True):
        return "  (switched off)"
    without = [feature for feature, on in entry.get("features", {}).items() if not on]
    return f"  (without its {' and '.join(without)})" if without else ""


def in_short(server: ImportedServer) -> str:
    """The server's command or address on one line, secrets masked."""
    target = server.target
    if isinstance(target, Command):
        return plain(" ".join((target.command, *arguments(list(target.args)))))
    return plain(address(target.url))


def plain(text: str) -> str:
    """The text with everything escaped that a terminal would obey."""
    return printable(text, None)
