"""What a server is good for, when the tool it comes from does not say: what is known of it without starting it.

That is what its package says, where there is one on this disk (``packages``), else a plain sentence from its command or
host: of a command only its name and what looks like a package is used, so that no secret gets in.
A description nobody has written ends with ``GENERATED``, or is that plain sentence; who wants another one writes it.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dmcp.cli.coding_tools.model import Address
from dmcp.protocol.descriptions import composed, plain_sentence

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.model import Command, ImportedServer
    from dmcp.cli.coding_tools.packages import About

_RUNNERS = frozenset(
    {"npx", "bunx", "uvx", "pnpx", "pipx", "uv", "pnpm", "yarn", "bun", "deno", "docker", "podman"}
)
_VERBS = frozenset({"run", "dlx", "exec", "x", "tool"})
_FLAGS = frozenset({"-y", "--yes", "-q", "--quiet", "--bun", "--silent", "--prefer-offline", "--isolated"})
_WITH_VALUE = frozenset({"--from", "--spec", "--with", "--python", "--directory", "--project"})
_IMAGE = re.compile(r"[a-z0-9][\w.-]*(?:/[\w.-]+)+(?::[\w.-]+)?")
_PACKAGE = re.compile(r"@?[A-Za-z0-9][\w.-]*(/[\w.-]+)*([@:=]{1,2}[\w.^~*-]+)?")


def suggestion(server: ImportedServer, known: About | None = None) -> str:
    """One sentence, without the values of arguments, variables or headers.

    Args:
        server: the server.
        known: what its package says.
    """
    if known is not None:
        return composed(known.summary or f"The {server.name} server", known.tools)
    return _plain_suggestion(server)


def _plain_suggestion(server: ImportedServer) -> str:
    target = server.target
    if isinstance(target, Address):
        host = _host(target.url)
        return f"{plain_sentence(server.name)} at {host}" if host else plain_sentence(server.name)
    return f"{plain_sentence(server.name)}, started by {_program(target)}"


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
    if stem in {"docker", "podman"}:
        package = next((word for word in command.args if _IMAGE.fullmatch(word)), "")
    else:
        package = _package(command.args)
    if package.partition("@")[0] == "mcp-remote" and (hosts := [*filter(None, map(_host, command.args))]):
        return f"{stem} mcp-remote for {hosts[0]}"
    return f"{stem} {package}" if package else stem


def _package(args: tuple[str, ...]) -> str:
    """Return what a runner runs; nothing behind an option that is not known, whose value it may be."""
    words = iter(args)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word not in _VERBS and word not in _FLAGS:
            return word if _PACKAGE.fullmatch(word) else ""
    return ""
