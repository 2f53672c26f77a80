"""``dmcp plan OLD NEW``: what a reload from one configuration to another would do. Nothing is started or stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from dmcp.cli import formatting
from dmcp.config.diff import ReloadPlan, plan
from dmcp.config.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEANING: Final = {
    "start": "is new",
    "restart": "gets a new connection, after its calls in flight",
    "update": "takes over the new settings and stays connected",
    "keep": "is not touched",
    "stop": "is gone, after its calls in flight",
}


@click.command("plan")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def plan_command(old: str, new: str, as_json: bool) -> None:
    """Show what a reload from the configuration OLD to the configuration NEW would do to each server.

    Nothing is started or stopped. ${VAR} is filled in from the present environment, for both files.
    Exits with 0, or with 2 when a file is not a valid configuration.

    \b
    Example:
      dmcp plan dmcp.json dmcp.new.json
    """  # noqa: D301 - \b is click's sign for "do not wrap", not a backslash to keep
    before, after = load(old, os.environ), load(new, os.environ)
    result = plan(before, after)
    if as_json:
        values = {action: getattr(result, action) for action in _MEANING}
        formatting.echo_json({**values, "changed": dict(result.changed)})
    else:
        click.echo(_as_text(result, after.servers))


def _as_text(result: ReloadPlan, order: Iterable[str]) -> str:
    """Return the plan in the order of the new configuration; what is gone comes last."""
    lines: list[str] = []
    actions = {name: action for action in _MEANING for name in getattr(result, action)}
    for name in dict.fromkeys((*order, *result.stop)):
        if (action := actions.get(name)) is not None:
            meaning, keys = _MEANING[action], result.changed.get(name)
            lines.append(
                f"{action: <8} {formatting.line(name)} {meaning}"
                + (f" (changed: {', '.join(keys)})" if keys else "")
            )
    if result.is_empty:
        lines.append("Nothing would change.")
    return "\n".join(lines)
