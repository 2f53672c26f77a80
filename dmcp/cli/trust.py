"""``dmcp trust``: whether dmcp may run what a configuration in a strange folder says, and asking the user about it.

A configuration that is merely found in the working directory came with the folder: whoever made the folder chose the
commands in it. It is run once the user has said so, and again only as long as it is the same. A path the user has
named, on the command line or in ``DYNAMIC_MCP_CONFIG`` with its whole path, needs no such word.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dmcp.cli.review import described
from dmcp.config.loading import content_of, read
from dmcp.errors import ConfigError
from dmcp.store import trusted
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

_META: Final = "dmcp.trust"
_MOST_LINES: Final = 100


def _remember_flag(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_META] = value or ctx.meta.get(_META, False)


def option(command: F) -> F:
    """Give a command the flag ``--trust``, which ``require`` looks for."""
    return click.option(
        "--trust",
        is_flag=True,
        expose_value=False,
        callback=_remember_flag,
        help="Run what a configuration found in this folder says, without asking.",
    )(command)


def is_trusted(path: Path, content: bytes) -> bool:
    """Return whether the user trusts these bytes at this path."""
    known = trusted.find(path)
    return known is not None and known.digest == trusted.digest_of(content)


def require(path: Path, content: bytes, shown: Mapping[str, str], otherwise: str) -> None:
    """Return if the user trusts this content, or says so now; a terminal is asked, once.

    Args:
        path: the file that was found.
        content: its bytes: those that will be run.
        shown: what they would start and reach, in a line for each server.
        otherwise: what to do where nobody can be asked, as the end of a sentence.

    Raises:
        ConfigError: the user does not trust it, or nobody is there to ask.
    """
    if is_trusted(path, content):
        return
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_META):
        _keep(path, content, shown)
        return
    known = trusted.find(path)
    found = (
        "has changed since you trusted it"
        if known
        else "was found in this folder, and you have not trusted it yet"
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        lines = changes(known.shown, shown) if known else []
        what = "".join(f"\n  {line}" for line in lines)
        raise ConfigError(f"{path}: it {found}, so nothing of it was run: look at it, then {otherwise}{what}")
    click.echo(f"{_shown(path.absolute())} {found}. It says what dmcp runs:", err=True)
    for line in changes(known.shown, shown) if known else _lines(shown):
        click.echo(f"  {line}", err=True)
    if not click.confirm("Do you trust it?", default=False, err=True):
        raise ConfigError(f"{path}: you do not trust it, so nothing of it was run")
    _keep(path, content, shown)


def _keep(path: Path, content: bytes, shown: Mapping[str, str]) -> None:
    try:
        trusted.keep(path, content, shown)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home directory
        why = error.strerror if isinstance(error, OSError) else error
        click.echo(f"That you trust {_shown(path)} cannot be kept, and will be asked again: {why}", err=True)


def keep_own(path: Path, text: str) -> None:
    """Trust a file that the user has just had dmcp write. What goes wrong only means that it is asked for later."""
    with_content = text.encode()
    _keep(path, with_content, described(read(path, with_content).values))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the difference between what was shown and what there is, in lines."""
    lines: list[str] = []
    for name in dict.fromkeys((*before, *now)):
        shown, old, new = printable(name, 100), before.get(name), now.get(name)
        if old is None:
            lines.append(f"new: {shown} {new}")
        elif new is None:
            lines.append(f"gone: {shown} {old}")
        elif old != new:
            lines += [f"changed: {shown} {new}", f"     was: {shown} {old}"]
    return _cut(
        lines
        or [
            "what it runs and reaches looks the same: a value that is not shown (***), or something else, is different"
        ]
    )


def _shown(path: Path) -> str:
    return printable(str(path), None)


def _lines(shown: Mapping[str, str]) -> list[str]:
    return _cut([f"{printable(name, 100)} {line}" for name, line in shown.items()] or ["no server at all"])


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {more} lines more: look at the file"] if more > 0 else lines


_EPILOG = """\b
Examples:
  dmcp trust              dynamic-mcp.json of this folder, as it is now
  dmcp trust --show       what it would run, and whether it is trusted
  dmcp trust --list       everything that is trusted
  dmcp trust --remove     trust it no longer

A configuration you name yourself, and the one in DYNAMIC_MCP_CONFIG (an absolute path), needs no trust.
Exit status: 0 done (with --show: it is trusted), 1 --show: it is not, 2 there is no such file, or it is invalid.
"""


@click.command("trust", short_help="Let dmcp run the configuration found in this folder.", epilog=_EPILOG)
@click.argument("config", type=click.Path(path_type=Path), default="dynamic-mcp.json")
@click.option("--show", is_flag=True, help="Only show what it would run.")
@click.option("--list", "list_all", is_flag=True, help="Show what is trusted.")
@click.option("--remove", is_flag=True, help="Trust it no longer.")
def trust_command(config: Path, *, show: bool, list_all: bool, remove: bool) -> int:
    """Trust CONFIG (dynamic-mcp.json, if none is given) as it is now, so that list, check, call and others run it.

    It is trusted at this place and with this content; after a change you are asked again, and shown what is different.
    Scripts that a configuration starts are not looked at.
    """
    if show + list_all + remove > 1:
        raise click.UsageError("--show, --list and --remove exclude each other")
    if list_all:
        for each in trusted.everything():
            click.echo(f"{printable(each.path)}{_state(each)}")
        return 0
    config = config.expanduser()
    if remove:
        known = trusted.remove(config)
        click.echo(
            f"{_shown(config)} is trusted no longer." if known else f"{_shown(config)} was not trusted."
        )
        return 0
    content = content_of(config)
    shown = described(read(config, content).values)
    for line in _lines(shown):
        click.echo(line)
    if show:
        good = is_trusted(config, content)
        click.echo(f"{_shown(config)} is {'' if good else 'not '}trusted.")
        return 0 if good else 1
    try:
        trusted.keep(config, content, shown)
    except OSError as error:
        raise ConfigError(f"{trusted.directory()}: what you trust cannot be kept: {error.strerror}") from None
    click.echo(f"{_shown(config)} is trusted as it is now.")
    return 0


def _state(each: trusted.Trusted) -> str:
    try:
        same = trusted.digest_of(content_of(Path(each.path))) == each.digest
    except ConfigError:
        return "  (not there any more)"
    return "" if same else "  (changed since: asked for again)"
