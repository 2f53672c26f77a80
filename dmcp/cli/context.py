"""Which configuration a command is about, a session with a dmcp that serves it, and what a shell offers for its words.

Completing a word reads the configuration and starts nothing; the tools of a group are those a command saw last, whose
names are kept in the user's cache.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem
from pydantic_core import from_json, to_json

from dmcp import log
from dmcp.cli import formatting
from dmcp.cli.client import Client, dmcp_serving
from dmcp.config.loading import ADVISED, ONLY, PINNED, content_of, load, read
from dmcp.config.places import user_file
from dmcp.errors import ConfigError
from dmcp.protocol.limits import MAX_HINT_NAME, MAX_HINT_NAMES
from dmcp.store.listings import ListingFiles, directory
from dmcp.store.trusted import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dmcp.config.model import Configuration

USUAL_FILE: Final = "dynamic-mcp.json"
"""What ``dmcp import`` and ``dmcp init`` write, and what the commands read when nothing else is said."""

_TRUSTED: dict[Path, str] = {}
"""Digests of the configurations that were found and trusted: what is served must be the bytes that were looked at."""

_NAMED: list[str] = []
"""The configuration the user has named, if they have: commands that are advised name it too."""

_SUFFIXES = (".json", ".jsonc", ".toml")


def names_file(word: str) -> bool:
    """Return whether a word on the command line is a configuration file rather than a group's name.

    That a file has this name says nothing: the folder, which may be a stranger's, could have one called as a group is.
    """
    return word.endswith(_SUFFIXES) or os.sep in word or word in {".", ".."} or (os.altsep or os.sep) in word


def split(words: Sequence[str], wanted: int) -> tuple[str | None, tuple[str, ...]]:
    """Take the configuration off the front of a command's words, where it may stand.

    Args:
        words: all words of the command.
        wanted: how many there are at most without the configuration.
    """
    if len(words) > wanted or (words and "://" not in words[0] and names_file(words[0])):
        return words[0], tuple(words[1:])
    return None, tuple(words)


def configuration(given: str | None, *, starts: bool = True) -> tuple[Path, Configuration]:
    """Return the configuration a command is about, checked.

    Args:
        given: its path, if the user named one; else ``DYNAMIC_MCP_CONFIG`` does, else it is ``USUAL_FILE`` in the
            working directory, else the user's own (``dmcp.config.places``), which is said. A word that reads like
            no file's name (``names_file``) may be a group's, or mistyped: that file counts as found. So does what a
            relative ``DYNAMIC_MCP_CONFIG`` means: another file in each folder.
        starts: whether the command starts or reaches its servers. One that was merely found has to be trusted then.

    Raises:
        ConfigError: there is none, or it is invalid or not trusted.
    """
    name = given or os.environ.get("DYNAMIC_MCP_CONFIG") or None
    if given:
        _NAMED[:] = [given]
    if name is None and not Path(USUAL_FILE).is_file():
        own = user_file(os.environ)
        if own is None or not Path(own).is_file():
            raise ConfigError(
                f"no configuration: name it, or set DYNAMIC_MCP_CONFIG, or have a {USUAL_FILE} here "
                f"(dmcp import and dmcp init write one){f', or {own} for all directories' if own else ''}"
            )
        if "_DMCP_COMPLETE" not in os.environ:  # a shell that completes a word shows nothing else
            click.echo(f"Using {formatting.line(own)}", err=True)
        name = own
    path = Path(name or USUAL_FILE).expanduser()
    content = content_of(path)
    loaded = load(path, os.environ, content)
    log.hide(loaded.secrets, configured=True)
    named = names_file(given) if given else bool(name) and path.is_absolute()
    if starts and not named:
        from dmcp.cli import trust  # noqa: PLC0415 - most configurations are named

        shown = formatting.line(name or USUAL_FILE)
        more = "" if shown == USUAL_FILE else f" {shown}"
        otherwise = f"run dmcp trust{more}, or add --trust in a script, or name it yourself (./{shown})"
        trust.require(path, content, trust.described(read(path, content).values), otherwise)
        _TRUSTED[path] = digest_of(content)
    return path, loaded


def named() -> str:
    """Return the configuration as the user has named it; empty: commands find it by themselves."""
    return _NAMED[0] if _NAMED else ""


def no_group(name: str, groups: Iterable[str]) -> str:
    """Return the error for a group that is not there: which there are, and the one that may be meant."""
    known = list(groups)
    close = difflib.get_close_matches(name[:MAX_HINT_NAME], known[:MAX_HINT_NAMES], n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"there is no group {name!r}; there are: {', '.join(known) or 'none'}{hint}"


def session(
    path: Path,
    on_event: Callable[[Mapping[str, Any]], None] | None = None,
    *,
    signs_in: bool = True,
    only: Iterable[str] | None = None,
) -> Client:
    """Return a client of a dmcp that serves this configuration, to be entered. See ``Client``.

    Unless the user has chosen a level, that dmcp logs errors only: what is wrong with servers a command is not about
    would drown what it prints. With ``on_event`` it logs everything, there alone. Without ``signs_in`` it opens no
    browser for a server that needs a sign-in: commands that only look should not. With ``only`` these groups alone are
    there, and started.
    """
    if not sys.stderr.isatty():
        log.serve()  # a pipe that nobody reads must not hold a command up while servers run
    level = os.environ.get("DMCP_LOG") or "error"
    pinned = {ADVISED: named(), **({PINNED: _TRUSTED[path]} if path in _TRUSTED else {})}
    if not signs_in:
        pinned["DMCP_SIGN_IN"] = "never"
    if only is not None:
        pinned[ONLY] = json.dumps(list(only))
    return Client(
        dmcp_serving(path), on_event=on_event, log_level=level, on_tools=partial(remember, path), env=pinned
    )


async def remember(config: Path, group: str, tools: Iterable[dict[str, Any]]) -> None:
    """Keep the names of a group's tools. Cannot fail: what cannot be kept is forgotten."""
    if (files := _files()) is not None:
        await files.save(_key(config, group), to_json([tool.get("name") for tool in tools]))


async def remembered(config: Path, group: str) -> list[str]:
    """Return the names that were kept last; none if there are none, or what is there is no list of names."""
    files = _files()
    content = await files.load(_key(config, group)) if files is not None else b""
    try:
        names = from_json(content) if content else []
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _files() -> ListingFiles | None:
    try:
        return ListingFiles(directory().with_name("tools"))
    except RuntimeError:  # this user has no home directory
        return None


def _key(config: Path, group: str) -> str:
    return hashlib.sha256(f"{config.absolute()}\0{group}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
