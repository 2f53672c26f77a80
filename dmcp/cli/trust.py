"""``dmcp trust``: whether dmcp may run what a configuration in a strange folder says, and asking the user about it.

A configuration that is merely found in the working directory came with the folder: whoever made the folder chose the
commands in it. It is run once the user has said so, and again only as long as it is the same. A path the user has
named, on the command line or in ``DYNAMIC_MCP_CONFIG`` with its whole path, needs no such word.

Whoever wrote the file may want something in it to be overlooked. So, in what is shown of it, nothing that can be a
program text is masked as a secret (``sh -c "TOKEN=x; ..."``), every variable that is sent is named, words with spaces
are quoted, and what is too long is cut in the middle, with a digest: a change anywhere is seen.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dmcp.config import redaction
from dmcp.config.loading import content_of, read
from dmcp.config.references import resolve
from dmcp.errors import ConfigError
from dmcp.store import trusted
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_META: Final = "dmcp.trust"
_MOST_LINES: Final = 100


def _remember_flag(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_META] = value or ctx.meta.get(_META, False)


option = click.option(
    "--trust",
    is_flag=True,
    expose_value=False,
    callback=_remember_flag,
    help="Run what a configuration found in this folder says, without asking.",
)
"""Gives a command the flag that ``require`` looks for."""


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
    return _cut_lines(
        lines
        or [
            "what it runs and reaches looks the same: a value that is not shown (***), or something else, is different"
        ]
    )


def _shown(path: Path) -> str:
    return printable(str(path), None)


def _lines(shown: Mapping[str, str]) -> list[str]:
    return _cut_lines(
        [f"{printable(name, 100)} {line}" for name, line in shown.items()] or ["no server at all"]
    )


def _cut_lines(lines: list[str]) -> list[str]:
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


@click.command("trust", epilog=_EPILOG)
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


_LONGEST_WORD: Final = 600
_LONGEST_LINE: Final = 4000
_PROGRAM_TEXT: Final = re.compile(r"[\s;&|<>()`\"'\\]|\$(?!\{[A-Za-z_][A-Za-z0-9_]*\})")
"""What a token is not made of, and a program text is."""

_SCHEME: Final = re.compile(r"(?:Bearer|Basic|token) ", re.IGNORECASE)
_SIGNING_IN: Final = (
    "issuer",
    "client_id",
    "client_secret",
    "private_key_file",
    "client_metadata_url",
    "resource",
)


def described(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a line for each server of a configuration as it is written; secrets masked."""
    servers = values.get("mcpServers")
    entries = servers.items() if isinstance(servers, dict) else ()
    return {str(name): described_server(entry) for name, entry in entries}


def described_server(entry: Any) -> str:
    """Return the line for one entry."""
    if not isinstance(entry, dict):
        return "is no server"
    parts = [_reached(entry) if entry.get("url") is not None else _started(entry)]
    for key, word in (("env", "with"), ("headers", "sending")):
        if isinstance(given := entry.get(key), dict) and given:
            parts.append(f"{word} {_pairs(given)}")
    if isinstance(oauth := entry.get("oauth"), dict):
        given = {key: oauth[key] for key in _SIGNING_IN if key in oauth}
        parts += [f"signing in with {_pairs(given)}"] if given else []
    if entry.get("enabled") is False:
        parts.append("switched off")
    return printable(_cut(", ".join(parts), _LONGEST_LINE), None)


def _started(entry: Mapping[str, Any]) -> str:
    args = entry.get("args")
    words = _arguments([str(arg) for arg in args] if isinstance(args, list) else [])
    place = f" (in {_word(str(entry['cwd']))})" if entry.get("cwd") else ""
    return f"runs: {' '.join([_word(str(entry.get('command', ''))), *words])}{place}"


def _reached(entry: Mapping[str, Any]) -> str:
    url = str(entry["url"])
    shown = redaction.address(url)
    return f"connects to {_word(_with_variables(shown, url))}"


def _arguments(args: Sequence[str]) -> list[str]:
    shown = redaction.arguments(args, _is_program_text)
    return [_word(_with_variables(text, arg)) for arg, text in zip(args, shown, strict=True)]


def _pairs(given: Mapping[str, Any]) -> str:
    parts = []
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (shown,) = redaction.named_values({str(name): text}).values()
        if shown != text and _is_program_text(_SCHEME.sub("", text)):
            shown = text
        parts.append(f"{name}={_word(_with_variables(shown, text))}")
    return " ".join(parts)


def _is_program_text(part: str) -> bool:
    return _PROGRAM_TEXT.search(part) is not None


def _with_variables(shown: str, text: str) -> str:
    """Return what is shown of a text, with the variables that masking has hidden."""
    hidden = [f"${{{name}}}" for name in dict.fromkeys(resolve(text, {}).names) if f"${{{name}" not in shown]
    return shown + "".join(hidden)


def _word(text: str) -> str:
    text = _cut(text, _LONGEST_WORD)
    return json.dumps(text, ensure_ascii=False) if not text or any(sign.isspace() for sign in text) else text


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    end = limit // 4
    return f"{text[: limit - end]} [{len(text) - limit:,} characters more, {digest}] {text[-end:]}"
