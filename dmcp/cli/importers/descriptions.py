"""What a server is good for, when the tool it comes from does not say: what is known of it without starting it.

That is what its package says, where there is one on this disk (``packages``), else a plain sentence from its command or
host: of a command only its name and what looks like a package is used, so that no secret gets in.
A description nobody has written ends with ``GENERATED``, or is that plain sentence; who wants another one writes it.
"""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dmcp.cli.importers.model import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.cli.importers.model import Command, ImportedServer
    from dmcp.cli.importers.packages import About

_RUNNERS = frozenset(
    {"npx", "bunx", "uvx", "pnpx", "pipx", "uv", "pnpm", "yarn", "bun", "deno", "docker", "podman"}
)
_VERBS = frozenset({"run", "dlx", "exec", "x", "tool"})
_PACKAGE = re.compile(r"@?[A-Za-z0-9][\w.-]*(/[\w.-]+)*([@:=]{1,2}[\w.^~*-]+)?")


GENERATED: Final = " (generated)"
"""The end of a description that was put together, not written."""

_LONGEST: Final = 300  # characters of a description: every one is shown to the assistant all the time


def suggestion(server: ImportedServer, known: About | None = None) -> str:
    """One sentence, without the values of arguments, variables or headers.

    Args:
        server: the server.
        known: what its package says.
    """
    if known is not None:
        return composed(known.summary or f"The {server.name} server", known.tools)
    return _plain_suggestion(server)


def composed(summary: str, tools: Sequence[str]) -> str:
    """What is said of a server and as many names of its tools as there is room for, marked as generated.

    What all names begin with is said once: ``tools: browser_* click, navigate``.
    """
    text, prefix = summary.rstrip("."), _shared_prefix(tools)
    room = _LONGEST - len(GENERATED) - len(text) - len(f"; tools: {prefix}*  and 9999 more")
    named: list[str] = []
    for tool in tools:
        room -= len(tool) - len(prefix) + 2
        if room < 0:
            break
        named.append(tool[len(prefix) :])
    if named:
        more = f" and {len(tools) - len(named)} more" if len(tools) > len(named) else ""
        text += f"; tools: {f'{prefix}* ' if prefix else ''}{', '.join(named)}{more}"
    return text + GENERATED


def _shared_prefix(names: Sequence[str]) -> str:
    """The words that all names begin with, if there are enough names for it to be worth while."""
    if len(names) <= 2:  # noqa: PLR2004
        return ""
    pairs = list(takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False)))
    shared = min(names)[: len(pairs)]
    return shared[: max(shared.rfind("_"), shared.rfind("-")) + 1]


def _plain_suggestion(server: ImportedServer) -> str:
    target = server.target
    if isinstance(target, Address):
        host = _host(target.url)
        return (
            f"Tools of the {server.name} server at {host}" if host else f"Tools of the {server.name} server"
        )
    return f"Tools of the {server.name} server, started by {_program(target)}"


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _program(command: Command) -> str:
    if "$" in command.command:
        return "a command of its own"
    name = PurePath(command.command.replace("\\", "/")).name or command.command
    stem = name.removesuffix(".exe").removesuffix(".cmd")
    if stem not in _RUNNERS:
        return stem
    words = [word for word in command.args if not word.startswith("-") and word not in _VERBS]
    # Only the first word can be the package; behind an option it may as well be the option's value.
    package = (
        words[0] if words and _PACKAGE.fullmatch(words[0]) and _is_first(words[0], command.args) else None
    )
    return f"{stem} {package}" if package else stem


def _is_first(word: str, args: tuple[str, ...]) -> bool:
    before = args[: args.index(word)]
    return all(item in _VERBS or item in {"-y", "--yes", "-i", "--rm", "-q", "--quiet"} for item in before)
