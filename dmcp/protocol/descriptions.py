"""Descriptions nobody has written: how they are put together, marked, and filled in by what a server has listed. Pure.

A description that ``dmcp import`` made up is a plain sentence or ends with ``GENERATED``. Once dmcp has seen what tools
the server has, their names are kept on disk and stand in the description from the next start of dmcp on. Never within a
session: the descriptions stand in the model's prompt. A description a user has written stays as it is.
The names are the server's own words, so only those of plain letters are taken, and no other word of it.
"""

from __future__ import annotations

import re
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dmcp.config.model import Configuration, ServerConfig

GENERATED: Final = " (generated)"
"""The end of a description that was put together, not written."""

MAX_GENERATED: Final = 300
"""Characters of a generated description: every one is shown to the assistant all the time."""

_TOOLS: Final = "; tools: "
STARTED_BY: Final = ", started by "
"""What follows in it says least of all that is known once the tools are."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LOOKED_AT: Final = 200  # names of tools


def composed(summary: str, tools: Sequence[str]) -> str:
    """Return what is said of a server and as many names of its tools as there is room for, marked as generated.

    What all names begin with is said once: ``tools: browser_* click, navigate``.
    """
    text, prefix = summary.rstrip("."), _shared_prefix(tools)
    room = MAX_GENERATED - len(GENERATED) - len(text) - len(f"{_TOOLS}{prefix}*  and 9999 more")
    named: list[str] = []
    for tool in tools:
        room -= len(tool) - len(prefix) + 2
        if room < 0:
            break
        named.append(tool[len(prefix) :])
    if named:
        more = f" and {len(tools) - len(named)} more" if len(tools) > len(named) else ""
        text += f"{_TOOLS}{f'{prefix}* ' if prefix else ''}{', '.join(named)}{more}"
    return text + GENERATED


def _shared_prefix(names: Sequence[str]) -> str:
    """Return the words that all names begin with, if there are enough names for it to be worth while."""
    if len(names) <= 2:  # noqa: PLR2004
        return ""
    pairs = list(takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False)))
    shared = min(names)[: len(pairs)]
    return shared[: max(shared.rfind("_"), shared.rfind("-")) + 1]


def plain_sentence(name: str) -> str:
    """Return how the description of a server begins of which nothing is known but its name."""
    return f"Tools of the {name} server"


def is_generated(server: ServerConfig) -> bool:
    """Return whether nobody has written this server's description."""
    return server.description.endswith(GENERATED) or server.description.startswith(
        plain_sentence(server.name)
    )


def names_to_keep(server: ServerConfig, tools: Iterable[str]) -> bytes:
    """Return what is kept of a server's listing for its description; nothing when a person has written that."""
    if not is_generated(server):
        return b""
    return "\n".join(name for name in islice(tools, _LOOKED_AT) if _PLAIN.fullmatch(name)).encode()


def filled_in(server: ServerConfig, kept: bytes) -> str:
    """Return a generated description with the names of the tools that are kept for the server, if there are any."""
    words = kept[: _LOOKED_AT * 65].decode("ascii", "replace").split("\n")
    names = [name for name in words if _PLAIN.fullmatch(name)]
    about = server.description.removesuffix(GENERATED).partition(_TOOLS)[0].partition(STARTED_BY)[0]
    return composed(about[: MAX_GENERATED // 2], names) if names else server.description


def described(configuration: Configuration, choose: Callable[[ServerConfig], str]) -> Configuration:
    """Return the configuration with another description for every server that has a generated one."""
    servers = {
        name: replace(server, description=choose(server)) if is_generated(server) else server
        for name, server in configuration.servers.items()
    }
    return replace(configuration, servers=servers)
