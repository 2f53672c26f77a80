"""What ``dmcp import`` asks at a terminal, and what it reports at the end. In a script nothing is asked.

Names come from files that others may have written, so nothing in them reaches the terminal as a control sequence.
Not here: what is done with the answers (``dmcp.cli.import_``).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dmcp.cli.coding_tools.model import Command
from dmcp.config.redaction import address, arguments
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dmcp.cli.coding_tools.model import ImportedServer, LoadResult
    from dmcp.cli.coding_tools.output import Output

_ALL = ("a", "all")
_WIDEST = 100  # characters of a name that are shown
_LONGEST = 1000  # characters of a command, or of a note
_FEATURES = ("tools", "resources", "prompts")


def report(
    result: LoadResult, written: Output, entries: Mapping[str, dict[str, Any]], verb: str, output: str
) -> Iterator[str]:
    """Yield the lines of the report, without secrets.

    Args:
        result: what was loaded, with everything that was not converted.
        written: what was written, or would be.
        entries: the entries by name.
        verb: what was done, or would be.
        output: the file.
    """
    yield from map(plain, result.remarks)
    count = len(written.added)
    yield f"{verb} {'1 server' if count == 1 else f'{count} servers'} into {output}"
    lines = {server.name: in_short(server) for server in result.servers}
    width = max((len(printable(name, _WIDEST)) for name in written.added), default=0)
    for name in written.added:
        yield f"  {printable(name, _WIDEST):<{width}}  {lines[name]}{_off(entries[name])}"
    for name in written.kept:
        yield f"  {printable(name, _WIDEST)}: already in {output}, left as it is"
    if result.not_converted:
        yield "Not carried:"
    yield from (f"  {printable(str(note), _LONGEST)}" for note in result.not_converted)


def _off(entry: Mapping[str, Any]) -> str:
    if not entry.get("enabled", True):
        return "  (switched off)"
    without = [feature for feature, on in entry.get("features", {}).items() if not on]
    return f"  (without its {' and '.join(without)})" if without else ""


def in_short(server: ImportedServer) -> str:
    """Return the server's command or address on one line, secrets masked."""
    target = server.target
    if isinstance(target, Command):
        return printable(" ".join((target.command, *arguments(list(target.args)))), _LONGEST)
    return printable(address(target.url), _LONGEST)


def plain(text: str) -> str:
    """Return the text with everything escaped that a terminal would obey."""
    return printable(text, None)


def is_interactive() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin.isatty()


def may_overwrite(path: Path) -> bool:
    """Ask whether an existing file may be replaced. Enter alone means no."""
    return click.confirm(f"{path} exists. Replace it (it will be kept as {path.name}.bak)?", default=False)


def ask_about(server: ImportedServer, suggested: str) -> tuple[ImportedServer, str, bool]:
    """Ask for a server's description and features; return both, and whether to stop asking.

    "a" means: this one as suggested, and all that follow.
    """
    click.echo(
        f"\n{printable(server.name, _WIDEST)}{'' if server.enabled else ' (switched off)'}: {in_short(server)}"
    )
    description = click.prompt(
        "  What is it good for? (a: as suggested, for all)", default=suggested, type=str
    )
    description = description.strip() or suggested
    if description in _ALL:
        return server, suggested, True
    answer = click.prompt(
        "  Keep all its features (tools, resources, prompts)? [Y/n/a]",
        default="y",
        show_default=False,
        type=click.Choice(("y", "yes", "n", "no", *_ALL), case_sensitive=False),
        show_choices=False,
    )
    if answer not in {"n", "no"}:
        return server, description, answer in _ALL
    kept = {feature: click.confirm(f"  Keep its {feature}?", default=True) for feature in _FEATURES}
    return (
        replace(server, features_off=tuple(name for name, keep in kept.items() if not keep)),
        description,
        False,
    )


def may_inline(server: ImportedServer) -> bool:
    """Ask whether the variables of the server's envFile are to stand in env, as references. Enter alone means yes."""
    click.echo(
        f"\n{printable(server.name, _WIDEST)} takes variables from the file {plain(server.env_file or '')}"
    )
    return click.confirm("  List their names in env, as references to the environment?", default=True)
