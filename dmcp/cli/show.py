"""How commands print what others wrote: text with everything escaped that a terminal would obey, and JSON.

Plain output is escaped wherever it goes. ``--json`` is exact: on a terminal what could be obeyed is spelled as JSON
escapes, which mean the same; into a pipe or file it goes as it is.
"""

from __future__ import annotations

import sys
from typing import Any

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.text import escaped_json, printable


def line(text: object) -> str:
    """Return a text fit for one line: line feeds are escaped too."""
    return printable(str(text), None)


def block(text: object) -> str:
    """Return a text of several lines fit to be printed. Windows' line ends become plain ones."""
    return printable(str(text).replace("\r\n", "\n"), None, lines=True)


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    text = to_json(value, indent=2, inf_nan_mode="constants").decode()
    click.echo(escaped_json(text) if sys.stdout.isatty() else text)


def error(text: object) -> None:
    """Print an error of a command, masked: "Error: ..." on standard error."""
    click.echo(f"Error: {block(log.mask(str(text), None))}", err=True)
