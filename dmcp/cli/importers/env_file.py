"""The names of the variables in an ``envFile``, as references. Its values stay where they are: they may be secrets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dmcp.cli.importers.documents import read_text
from dmcp.cli.importers.model import Command, NotCarried
from dmcp.config.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.importers.model import ImportedServer

_ASSIGNED = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=", re.MULTILINE | re.ASCII)


def inlined(server: ImportedServer, environ: Mapping[str, str]) -> tuple[ImportedServer, NotCarried]:
    """The server with the variables of its file in env, each as a reference to itself, and what is left to do.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = resolve(server.env_file or "", environ).text
    names = dict.fromkeys(_ASSIGNED.findall(read_text(Path(path).expanduser())))
    note = NotCarried(
        server.name, f"the values in {path}", "export them as environment variables before dmcp starts"
    )
    if not isinstance(server.target, Command):
        return server, left_out(server)
    env = {name: f"${{{name}}}" for name in names} | dict(server.target.env)
    return replace(server, target=replace(server.target, env=env)), note


def left_out(server: ImportedServer) -> NotCarried:
    """The note for a file that was not inlined."""
    advice = "list its variables in env, each as NAME: ${NAME}, and export them before dmcp starts"
    return NotCarried(server.name, "its envFile", advice)
