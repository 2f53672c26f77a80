"""How commands print: numbers for people, what others wrote with everything escaped that a terminal would obey, JSON.

Plain output is escaped wherever it goes. ``--json`` is exact: on a terminal what could be obeyed is spelled as JSON
escapes, which mean the same; into a pipe or file it goes as it is.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.text import escaped_json, printable

MAX_NAME: Final = 120
"""Characters of a name that are shown; --json has it whole."""

MAX_LINE: Final = 4000
"""Characters of a line, likewise."""

MAX_TEXT: Final = 20_000
"""Characters of a description, likewise."""

BYTES_PER_TOKEN: Final = 4
"""A rule of thumb for English and JSON; every model counts differently."""


def name(text: object) -> str:
    """Return what somebody has called a thing, fit to stand among others. A longer name is cut."""
    return printable(str(text), MAX_NAME)


def line(text: object, limit: int | None = MAX_LINE) -> str:
    """Return a text fit for one line: line feeds are escaped too."""
    return printable(str(text), limit)


def block(text: object, limit: int | None = None) -> str:
    """Return a text of several lines fit to be printed. Windows' line ends become plain ones."""
    return printable(str(text).replace("\r\n", "\n"), limit, lines=True)


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    text = to_json(value, indent=2, inf_nan_mode="constants").decode()
    click.echo(escaped_json(text) if sys.stdout.isatty() else text)


def echo_error(text: object) -> None:
    """Print an error of a command, masked: "Error: ..." on standard error."""
    click.echo(f"Error: {block(log.mask(str(text)))}", err=True)


def size(definitions: Any) -> int:
    """Return bytes of tool definitions as compact JSON, which is about what an assistant puts before its model."""
    return len(to_json(definitions))


def tokens(number_of_bytes: int) -> int:
    """Return about how many tokens these bytes are."""
    return round(number_of_bytes / BYTES_PER_TOKEN)


def count(number: int, thing: str) -> str:
    """Return a number with its noun: "1 tool", "12 tools"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
