"""What ``dmcp import`` asks a person at a terminal. Nothing of it runs in a script.

Not here: what is done with the answers.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from dmcp.cli.importers.report import in_short, plain

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.importers.model import ImportedServer

_ALL = ("a", "all")
_FEATURES = ("tools", "resources", "prompts")


def somebody_there() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()


def may_overwrite(path: Path) -> bool:
    """Whether an existing file may be replaced. Enter alone means no."""
    return click.confirm(f"{path} exists. Replace it (it will be kept as {path.name}.bak)?", default=False)


def about(server: ImportedServer, suggested: str) -> tuple[ImportedServer, str, bool]:
    """The server with the features a person wants to keep, the description given, and whether to ask no more.

    "a" says: this one as suggested, and all that follow.
    """
    click.echo(f"\n{plain(server.name)}{'' if server.enabled else ' (switched off)'}: {in_short(server)}")
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
    """Whether the variables of the server's envFile are to stand in env, as references. Enter alone means yes."""
    click.echo(f"\n{plain(server.name)} takes variables from the file {plain(server.env_file or '')}")
    return click.confirm("  List their names in env, as references to the environment?", default=True)
