"""How commands print what others wrote: text with everything escaped that a terminal would obey, and JSON.

Plain output is escaped wherever it goes. ``--json`` is exact: on a terminal what could be obeyed is spelled as JSON
escapes, which mean the same; into a pipe or file it goes as it is.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any, Final

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.text import escaped_json, printable

_ADVISED: Final = re.compile(r"(\bdmcp auth (?:login|logout|adopt)) (?=\S)")
_named: list[str] = []


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
    click.echo(f"Error: {block(with_configuration(log.mask(str(text), None)))}", err=True)


def hints_are_about(config: str) -> None:
    """Remember the configuration a person has named: commands that are advised have to name it too."""
    _named[:] = [shlex.quote(config)]


def with_configuration(text: str) -> str:
    """Return the text with the configuration named in the commands of dmcp's that it advises."""
    if not _named:
        return text
    return _ADVISED.sub(lambda match: f"{match.group(1)} {_named[0]} ", text)
